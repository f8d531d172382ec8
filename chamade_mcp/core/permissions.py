"""A client asks before it uses a tool: the question goes to the operator, the verdict back to the session."""

from dataclasses import dataclass
from typing import Protocol

from chamade_mcp.model.access import Principal


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """What a client would like to do. All of it is the client's words; `id` is five letters."""

    id: str
    tool_name: str
    description: str
    input_preview: str


class VerdictLine(Protocol):
    """The way back to the client that asked; harmless once its session is over."""

    async def tell_verdict(self, session: str, request_id: str, *, allow: bool) -> None: ...


class PermissionDesk(Protocol):
    async def requested(
        self, principal: Principal, session: str, request: PermissionRequest, line: VerdictLine
    ) -> None:
        """Called once per request, and must not wait for the operator: the verdict, if any ever comes, goes
        to ``line.tell_verdict(session, ...)``. `session` names the session in this gateway; no secret."""
        ...


class NoDesk:
    """Nobody is asked: the dialog in the client stays, and decides."""

    async def requested(
        self, principal: Principal, session: str, request: PermissionRequest, line: VerdictLine
    ) -> None:
        return
