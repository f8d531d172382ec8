"""Sessions over a real database, a real hub and the clock of choice, without the rest of the gateway."""

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.core.mcp_sessions import McpSessions
from chamade_mcp.core.neighbours import Neighbours
from chamade_mcp.core.notices import Notices
from chamade_mcp.kit.clock import Clock, SystemClock, iso
from chamade_mcp.model.access import ALL_PERMISSIONS, Caller, Principal, Scope
from chamade_mcp.model.errors import Unauthenticated
from chamade_mcp.model.events import Event, EventType
from chamade_mcp.model.ids import AccountId, AgentId, KeyId
from chamade_mcp.sessions.endpoint import Sessions
from chamade_mcp.store import schema
from chamade_mcp.store.database import Database
from chamade_mcp.store.migrate import migrate


@dataclass
class McpHouse:
    database: Database
    clock: Clock
    hub: MemoryHub
    store: McpSessions
    sessions: Sessions
    keys: dict[str, Principal] = field(default_factory=dict[str, Principal])
    """Who may come in, by what they show."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def authenticate(self, credential: str) -> Principal:
        if credential not in self.keys:
            raise Unauthenticated()
        return self.keys[credential]

    async def admit(self, credential: str, principal: Principal | None = None) -> Principal:
        """Makes an account with an agent, and a key of theirs; or a key for somebody who is there."""
        number = next(self._numbers)
        if principal is None:
            scope = Scope(AccountId(f"acct_{credential}"), AgentId(f"agent_{credential}"))
        else:
            scope = principal.scope
        admitted = Principal(scope, ALL_PERMISSIONS, True, KeyId(f"key_{credential}"[:32]))

        def insert(conn: Connection) -> None:
            account = schema.accounts.c.id == scope.account
            now = self.clock.now()
            if conn.execute(schema.accounts.select().where(account)).one_or_none() is None:
                conn.execute(
                    schema.accounts.insert().values(
                        id=scope.account,
                        email=f"owner{number}@example.org",
                        email_verified=True,
                        name="Owner",
                        password_hash="-",
                        created_at=now,
                    )
                )
                conn.execute(
                    schema.agents.insert().values(
                        id=scope.agent,
                        account_id=scope.account,
                        name="Agent",
                        is_default=True,
                        created_at=now,
                    )
                )
            conn.execute(
                schema.api_keys.insert().values(
                    id=admitted.key,
                    account_id=scope.account,
                    agent_id=scope.agent,
                    name="k",
                    secret_sha256="-",
                    permissions="read",
                    created_at=now,
                )
            )

        await self.database.write(insert)
        self.keys[credential] = admitted
        return admitted

    async def forget_events(self, scope: Scope, *, up_to: int) -> None:
        """As if they were too old to be kept."""
        events = schema.events.c

        def remove(conn: Connection) -> None:
            conn.execute(
                schema.events.delete().where(events.account_id == scope.account, events.seq <= up_to)
            )

        await self.database.write(remove)

    async def expire_key(self, credential: str, *, in_s: float) -> None:
        """Stores the key as one that expires, which `authenticate` knows nothing of."""
        key, until = self.keys[credential].key, self.clock.now() + timedelta(seconds=in_s)

        def note(conn: Connection) -> None:
            keys = schema.api_keys
            conn.execute(keys.update().where(keys.c.id == key).values(expires_at=until))

        await self.database.write(note)

    def caller(self, credential: str) -> Caller:
        return Caller(self.keys[credential], credential, request_id="req-1")

    async def publish(self, scope: Scope, text: str, type: EventType = EventType.DM_CHAT) -> None:
        """Something happens for an agent."""
        payload: dict[str, object] = {
            "type": str(type),
            "platform": "web",
            "text": text,
            "timestamp": iso(self.clock.now()),
        }
        if type is EventType.DM_CHAT:
            payload |= {"conversation_id": "conv_1", "message_id": f"msg_{text}", "sender": "Alice"}
        else:
            payload |= {"call_id": "call_1", "speaker": "Bob"}
        await self.hub.publish(Event(scope.account, scope.agent, type, payload))


@asynccontextmanager
async def mcp_house(
    path: Path, *, clock: Clock | None = None, retry_ms: int = 50, follows: bool = False
) -> AsyncGenerator[McpHouse]:
    """Open, with the sessions' housekeeping running. The file at `path` may be there from before.

    `follows`: as a worker, whose events are another process's.
    """
    migrate(path)
    database, clock = Database(path), clock or SystemClock()
    try:
        hub, notices = MemoryHub(database, clock), Notices(clock)
        store = McpSessions(database, clock, notices)
        neighbours = Neighbours(database, notices, follows=hub if follows else None)
        sessions = Sessions(store, hub, clock, retry_ms=retry_ms)
        sessions.hear(neighbours)
        async with neighbours.run(), sessions.run():
            yield McpHouse(database, clock, hub, store, sessions)
    finally:
        database.close()
