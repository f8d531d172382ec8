"""What a request brings to show who sends it."""

from collections.abc import Mapping


def credential_in(headers: Mapping[bytes, bytes]) -> str | None:
    """``Authorization: Bearer`` (RFC 6750), else ``X-API-Key``; None when both are absent or empty."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token.strip():
        return token.strip().decode("latin-1")
    key = headers.get(b"x-api-key", b"").strip()
    return key.decode("latin-1") if key else None
