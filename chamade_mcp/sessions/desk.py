"""Where a client's requests for permission go: the seam to whoever can ask a person."""

from typing import Protocol

from chamade_mcp.model.access import Caller
from chamade_mcp.model.permissions import PermissionRequest


class PermissionDesk(Protocol):
    async def requested(self, caller: Caller, session: str, request: PermissionRequest) -> None:
        """Called once per request, and must not wait for the person: the verdict, if any ever comes, goes to
        the session by `Sessions.tell_verdict`. `session` is its key inside, no secret of the client's."""
        ...


class NoDesk:
    """Nobody is asked: the dialog in the client stays, and decides."""

    async def requested(self, caller: Caller, session: str, request: PermissionRequest) -> None:
        return
