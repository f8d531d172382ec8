"""What other processes on the store say of sessions: each may serve any of them, one after the other."""

from chamade_mcp.core.neighbours import Neighbours
from chamade_mcp.core.notices import Kind, Notice
from chamade_mcp.sessions.jsonrpc import Response
from chamade_mcp.sessions.live import LiveSessions


class Elsewhere:
    def __init__(self, sessions: LiveSessions) -> None:
        self._sessions = sessions

    def attend(self, neighbours: Neighbours) -> None:
        neighbours.on(Kind.SESSION, self._changed)
        neighbours.on(Kind.MAIL, self._mailed)
        neighbours.on(Kind.ANSWER, self._answered)
        neighbours.on(Kind.CANCEL, self._cancelled)

    async def _changed(self, notice: Notice) -> None:
        await self._sessions.changed(notice.subject)

    async def _mailed(self, notice: Notice) -> None:
        await self._sessions.mailed(notice.subject)

    async def _answered(self, notice: Notice) -> None:
        self._sessions.answered(notice.subject, Response(**notice.body))

    async def _cancelled(self, notice: Notice) -> None:
        self._sessions.cancelled(notice.subject, notice.body)
