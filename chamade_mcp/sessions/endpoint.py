"""The MCP transport put together, for a surface and a core."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.mcp_sessions import McpSessions
from chamade_mcp.core.neighbours import Neighbours
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import AccountId
from chamade_mcp.sessions.desk import NoDesk, PermissionDesk
from chamade_mcp.sessions.elsewhere import Elsewhere
from chamade_mcp.sessions.handshake import Handshake
from chamade_mcp.sessions.http import Endpoint
from chamade_mcp.sessions.listen import Listening
from chamade_mcp.sessions.live import LiveSessions
from chamade_mcp.sessions.methods import Methods
from chamade_mcp.sessions.stateful import Stateful
from chamade_mcp.sessions.stateless import Stateless
from chamade_mcp.sessions.streams import Streams
from chamade_mcp.sessions.surface import Surface

RETRY_MS = 5_000
"""How long clients wait before they reopen a stream that broke.

Claude Code tries twice and then gives push up for the rest of the session, so an outage may last twice as
long as this: a restart with a migration fits in. What happened meanwhile is replayed, so the wait costs no
event.
"""


class Sessions:
    """What all endpoints of one gateway share. To be used inside `run`."""

    def __init__(
        self,
        store: McpSessions,
        hub: EventHub,
        clock: Clock,
        *,
        retry_ms: int = RETRY_MS,
    ) -> None:
        self._live = LiveSessions(store, hub, clock, retry_ms=retry_ms)

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._live.streams.open)

    def live(self, credential: str) -> bool:
        """Whether a session opened with this key or grant has its stream of events open."""
        return self._live.live(credential)

    def listening(self, scope: Scope) -> frozenset[str]:
        """The keys and grants by which this agent's events are streamed to somebody."""
        return self._live.listening(scope)

    @property
    def event_streams(self) -> Streams:
        """Looked after inside `run`, for others who stream."""
        return self._live.streams

    @property
    def known(self) -> int:
        """How many sessions are in memory."""
        return self._live.known

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        async with self._live.run():
            yield

    def hear(self, neighbours: Neighbours) -> None:
        """Goes by what other processes on the store say of sessions that are known here, too."""
        Elsewhere(self._live).attend(neighbours)

    def endpoint(self, surface: Surface, desk: PermissionDesk | None = None) -> Endpoint:
        """Without a desk nobody is asked for permission."""
        methods = Methods(surface)
        handshake = Handshake(methods)
        return Endpoint(
            Stateless(methods, handshake, Listening(surface, self._live.streams)),
            Stateful(methods, handshake, self._live, desk or NoDesk()),
        )

    def drain(self) -> None:
        """Ends every stream. Requests that come after are served, streams are refused."""
        self._live.drain()

    async def end_sessions(self, credential: str) -> None:
        """Of a key or a grant that was revoked: its id. They are over at once, streams included."""
        await self._live.end_sessions(credential)

    def drop_of(self, credential: str) -> None:
        """The same, said by another process: there is nothing left to write down."""
        self._live.drop_of(credential)

    async def leave(self, account: AccountId) -> None:
        """The account goes."""
        await self._live.leave(account)

    async def tell_verdict(self, session: str, request_id: str, *, allow: bool) -> None:
        """What the operator said to a client's request for permission; see `sessions.desk`."""
        await self._live.tell_verdict(session, request_id, allow=allow)
