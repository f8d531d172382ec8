"""Signatures of platforms, by the published vectors (RFC 4231)."""

from chamade_mcp.kit.signature import hmac_sha256


def test_the_published_vectors() -> None:
    for _ in range(2):  # what is kept of a secret is not used up
        assert hmac_sha256("Jefe", b"what do ya want for nothing?") == (
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        )
        assert hmac_sha256("\x0b" * 20, b"Hi ", b"There") == (
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        )
