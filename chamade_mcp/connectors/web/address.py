"""Our own URLs: made, and recognised again."""

import re
from urllib.parse import SplitResult, urlsplit

from chamade_mcp.model.errors import InvalidRequest

_TOKEN = r"[A-Za-z0-9_-]{1,200}"  # noqa: S105
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Addresses:
    def __init__(self, public_url: str) -> None:
        self._base = public_url.rstrip("/")
        parts = urlsplit(self._base)
        self._site = _site(parts)
        self._room_path = re.compile(re.escape(parts.path) + rf"/r/({_TOKEN})/?")

    def room(self, token: str) -> str:
        return f"{self._base}/r/{token}"

    def chat(self, token: str) -> str:
        return f"{self._base}/c/{token}"

    def room_token(self, meeting_url: str) -> str:
        """The token of a room's URL; raises `InvalidRequest` for any other URL."""
        try:
            parts = urlsplit(meeting_url.strip())
            ours = parts.scheme in ("http", "https") and _site(parts) == self._site
        except ValueError:
            ours, parts = False, urlsplit("")
        found = self._room_path.fullmatch(parts.path) if ours else None
        if found is None:
            raise invalid_meeting_url("This is not the URL of a room of this gateway")
        return found[1]

    def is_ours(self, origin: str, host: str | None) -> bool:
        """Whether a browser's `Origin` is this gateway: by its public URL, or by the `Host` it asked for."""
        try:
            parts = urlsplit(origin)
            site = _site(parts)
        except ValueError:
            return False
        if not parts.hostname:
            return False
        return site == self._site or (host is not None and parts.netloc.lower() == host.lower())


def _site(parts: SplitResult) -> tuple[str | None, int | None]:
    """Host and port. The scheme may differ: TLS often ends before the gateway."""
    return parts.hostname, parts.port or _PORTS.get(parts.scheme)


def invalid_meeting_url(problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"{problem}. Pass the meeting_url of an open room as it was given, "
        "or leave meeting_url out to open a new room.",
        code="MEETING_URL_INVALID",
        param="meeting_url",
        platform="web",
    )
