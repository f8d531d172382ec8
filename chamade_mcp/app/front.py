"""What every process has that serves MCP: who may come in, their sessions, and its neighbours."""

from collections.abc import Awaitable, Callable

from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.clients import ClientRegistry
from chamade_mcp.core.grants import Grants
from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.core.mcp_sessions import McpSessions
from chamade_mcp.core.neighbours import Neighbours
from chamade_mcp.core.notices import Kind, Notice, Notices
from chamade_mcp.core.standing import Standing
from chamade_mcp.core.tokens import ACCESS
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.ids import GrantId, KeyId
from chamade_mcp.oauth.places import Places
from chamade_mcp.sessions.endpoint import Sessions
from chamade_mcp.store.database import Database
from chamade_mcp.store.secrets import SecretBox


class Front:
    """`follows`: events are stored by another process, and heard from there."""

    def __init__(
        self, public_url: str, database: Database, box: SecretBox, clock: Clock, *, follows: bool = False
    ) -> None:
        notices = Notices(clock)
        self.places = Places(public_url)
        self.hub = MemoryHub(database, clock)
        self.neighbours = Neighbours(database, notices, follows=self.hub if follows else None)
        self.accounts = Accounts(database, clock)
        self.grants = Grants(database, clock, key=box.derive("oauth tokens"), audience=self.places.resource)
        self.accounts.accept(ACCESS, self.grants.authenticate)
        self.clients = ClientRegistry(database, clock)
        self.stored = McpSessions(database, clock, notices)
        self.sessions = Sessions(self.stored, self.hub, clock)
        self.sessions.hear(self.neighbours)
        self.neighbours.on(Kind.CREDENTIAL, self._revoked_elsewhere)
        self._ending: list[Callable[[KeyId | GrantId], Awaitable[None]]] = []
        self.accounts.keys.on_revoke(self.sessions.end_sessions)
        self.grants.on_revoke(self.sessions.end_sessions)
        self.standing = Standing(database, clock)
        self.on_revoke(self.standing.revoked)

    def on_revoke(self, end: Callable[[KeyId | GrantId], Awaitable[None]]) -> None:
        """`end` is awaited once a key or a grant is revoked, in whatever process."""
        self.accounts.keys.on_revoke(end)
        self.grants.on_revoke(end)
        self._ending.append(end)

    async def _revoked_elsewhere(self, notice: Notice) -> None:
        self.accounts.keys.forget_all()
        self.grants.forget()
        self.sessions.drop_of(notice.subject)
        for end in self._ending:
            await end(KeyId(notice.subject))
