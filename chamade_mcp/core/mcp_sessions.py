"""MCP sessions as they are stored: a restart, or another process on the same store, goes on with them.

A session's id is told to its client alone; the store knows its hash. It belongs to one agent and to the one
credential that opened it, and ends with it.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, Update, bindparam, delete, func, select, update

from chamade_mcp.core import event_log
from chamade_mcp.core.credentials import credential_of, lapsed, void
from chamade_mcp.core.notices import Kind, Notices
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.events import Cursor
from chamade_mcp.model.ids import AccountId, AgentId
from chamade_mcp.store.database import Database
from chamade_mcp.store.prepared import Prepared
from chamade_mcp.store.schema import api_keys, mcp_sessions, notices, oauth_grants
from chamade_mcp.store.secrets import token_hash

IDLE_DAYS: Final = 30
"""After so long without a request a session is over."""
MOST_PER_ACCOUNT: Final = 2_000
"""Clients that never say goodbye: the sessions not seen for longest go."""
_KEPT_AFTER_END: Final = timedelta(days=1)
_MOST_IDS: Final = 500
"""Parameters of one statement."""

_ADD: Final = Prepared(
    mcp_sessions.insert(), *(column.name for column in mcp_sessions.c if column.name != "ended_at")
)

SessionKey = str
"""The hash of a session's id: names the session inside, and opens nothing."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session that has not ended. `position` is the cursor of the last event pushed, as last noted."""

    key: SessionKey
    scope: Scope
    credential: str
    protocol_version: str
    client_capabilities: Mapping[str, Any]
    log_level: str
    subscriptions: frozenset[str]
    first_cursor: Cursor
    position: Cursor
    stream: str
    """Names the stream opened last, in whatever process."""

    def belongs_to(self, principal: Principal) -> bool:
        """To the agent, and to the key or the grant that opened it."""
        return self.scope == principal.scope and self.credential == credential_of(principal)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session's events have been pushed."""

    key: SessionKey
    position: Cursor


def key_of(session_id: str) -> SessionKey:
    return token_hash(session_id)


class McpSessions:
    def __init__(self, database: Database, clock: Clock, notices: Notices) -> None:
        self._database = database
        self._clock = clock
        self._notices = notices

    async def create(
        self,
        principal: Principal,
        protocol_version: str,
        client_info: Mapping[str, Any],
        client_capabilities: Mapping[str, Any],
    ) -> tuple[str, SessionRecord]:
        """A session whose events begin now, and its id, which is told this once."""
        session_id = secrets.token_urlsafe(32)
        key, scope, now = key_of(session_id), principal.scope, self._clock.now()

        def insert(conn: Connection) -> SessionRecord:
            head = event_log.head(conn, scope.account)
            _ADD.run(
                conn,
                {
                    "id_sha256": key,
                    "account_id": scope.account,
                    "agent_id": scope.agent,
                    "credential": credential_of(principal),
                    "protocol_version": protocol_version,
                    "client_info": dict(client_info),
                    "client_capabilities": dict(client_capabilities),
                    "log_level": "info",
                    "subscriptions": [],
                    "first_cursor": head,
                    "position": head,
                    "stream": "",
                    "created_at": now,
                    "last_seen_at": now,
                },
            )
            return SessionRecord(
                key,
                scope,
                credential_of(principal),
                protocol_version,
                client_capabilities,
                "info",
                frozenset(),
                head,
                head,
                "",
            )

        return session_id, await self._database.write(insert)

    async def find(self, key: SessionKey) -> SessionRecord | None:
        """None for a session that is unknown, ended or expired."""
        return await self._database.read(partial(_find, key=key, since=self._oldest()))

    async def count(self, account: AccountId) -> int:
        """The account's sessions that go on."""

        def query(conn: Connection) -> int:
            return conn.execute(
                select(func.count()).where(
                    mcp_sessions.c.account_id == account, mcp_sessions.c.ended_at.is_(None)
                )
            ).scalar_one()

        return await self._database.read(query)

    async def opened_stream(self, key: SessionKey, stream: str) -> list[str]:
        """Makes another process let go of the stream it may still hold; gives the mail for this one."""

        def note(conn: Connection) -> list[str]:
            which = update(mcp_sessions).where(mcp_sessions.c.id_sha256 == key)
            self._changed(conn, key, which.values(stream=stream, last_seen_at=self._clock.now()))
            return _take_mail(conn, key)

        return await self._database.write(note)

    async def wish(self, key: SessionKey, log_level: str, subscriptions: Collection[str]) -> None:
        """What the client wants to be told; kept before it is told so."""

        def note(conn: Connection) -> None:
            which = update(mcp_sessions).where(mcp_sessions.c.id_sha256 == key)
            self._changed(conn, key, which.values(log_level=log_level, subscriptions=sorted(subscriptions)))

        await self._database.write(note)

    async def note(self, progress: Sequence[Progress]) -> None:
        """How far live sessions are, many at once. Another process may be further: nothing goes back."""
        if not progress:
            return
        statement = (
            update(mcp_sessions)
            .where(mcp_sessions.c.id_sha256 == bindparam("b_key"))
            .values(
                position=func.max(mcp_sessions.c.position, bindparam("b_position")),
                last_seen_at=self._clock.now(),
            )
        )
        rows = [{"b_key": each.key, "b_position": each.position} for each in progress]

        def store(conn: Connection) -> None:
            conn.execute(statement, rows)

        await self._database.write(store)

    # --- between processes ---------------------------------------------------------------------------------

    async def mail(self, key: SessionKey, frame: str) -> None:
        """Leaves a frame for whoever has the session's stream, or opens it in the next minutes."""
        await self.pass_on(key, Kind.MAIL, frame)

    async def take_mail(self, key: SessionKey) -> list[str]:
        """Each frame is taken once, whoever else wants it."""
        return await self._database.write(partial(_take_mail, key=key))

    async def pass_on(self, key: SessionKey, kind: Kind, body: object) -> None:
        """Something for the other processes that know the session; nothing when it has ended."""

        def tell(conn: Connection) -> None:
            alive = (mcp_sessions.c.id_sha256 == key) & mcp_sessions.c.ended_at.is_(None)
            account = conn.execute(select(mcp_sessions.c.account_id).where(alive)).scalar_one_or_none()
            if account is not None:
                self._notices.add(conn, AccountId(account), kind, key, body)

        await self._database.write(tell)

    def _changed(self, conn: Connection, key: SessionKey, statement: Update) -> None:
        """Runs what changes a session, and tells the others."""
        account = conn.execute(statement.returning(mcp_sessions.c.account_id)).scalar_one_or_none()
        if account is not None:
            self._notices.add(conn, AccountId(account), Kind.SESSION, key)

    # --- ends ----------------------------------------------------------------------------------------------

    async def current(self, keys: Sequence[SessionKey]) -> dict[SessionKey, str]:
        """Those of `keys` that have not ended, each with the name of its newest stream."""

        def query(conn: Connection) -> dict[SessionKey, str]:
            found = dict[SessionKey, str]()
            for start in range(0, len(keys), _MOST_IDS):
                rows = conn.execute(
                    select(mcp_sessions.c.id_sha256, mcp_sessions.c.stream).where(
                        mcp_sessions.c.id_sha256.in_(keys[start : start + _MOST_IDS]),
                        mcp_sessions.c.ended_at.is_(None),
                    )
                )
                found.update((row.id_sha256, row.stream) for row in rows)
            return found

        return await self._database.read(query)

    async def void(self, credentials: Collection[str]) -> set[str]:
        """See `credentials.void`."""
        now = self._clock.now()
        return await self._database.read(partial(void, credentials=credentials, now=now))

    async def lapsed(self, credentials: Collection[str]) -> set[str]:
        """See `credentials.lapsed`."""
        now = self._clock.now()
        return await self._database.read(partial(lapsed, credentials=credentials, now=now))

    async def end(self, key: SessionKey) -> None:
        def stamp(conn: Connection) -> None:
            which = (mcp_sessions.c.id_sha256 == key) & mcp_sessions.c.ended_at.is_(None)
            self._changed(conn, key, update(mcp_sessions).where(which).values(ended_at=self._clock.now()))

        await self._database.write(stamp)

    async def end_of(self, credential: str) -> None:
        """All sessions opened with a key or by a grant."""
        which = (mcp_sessions.c.credential == credential) & mcp_sessions.c.ended_at.is_(None)

        def stamp(conn: Connection) -> None:
            conn.execute(update(mcp_sessions).where(which).values(ended_at=self._clock.now()))
            for holders in (api_keys, oauth_grants):
                account = conn.execute(
                    select(holders.c.account_id).where(holders.c.id == credential)
                ).scalar_one_or_none()
                if account is not None:
                    self._notices.add(conn, AccountId(account), Kind.CREDENTIAL, credential)

        await self._database.write(stamp)

    async def tidy(self, accounts: Sequence[AccountId]) -> None:
        """Removes what is long over, and ends what `accounts` have too many of."""
        now, oldest = self._clock.now(), self._oldest()

        def remove(conn: Connection) -> None:
            conn.execute(
                delete(mcp_sessions).where(
                    (mcp_sessions.c.last_seen_at < oldest) | (mcp_sessions.c.ended_at < now - _KEPT_AFTER_END)
                )
            )
            for account in accounts:
                newest = (
                    select(mcp_sessions.c.id_sha256)
                    .where(mcp_sessions.c.account_id == account)
                    .order_by(mcp_sessions.c.last_seen_at.desc())
                    .limit(MOST_PER_ACCOUNT)
                )
                conn.execute(
                    delete(mcp_sessions).where(
                        mcp_sessions.c.account_id == account, mcp_sessions.c.id_sha256.not_in(newest)
                    )
                )
            self._notices.sweep(conn)

        await self._database.write(remove)

    def _oldest(self) -> Any:
        return self._clock.now() - timedelta(days=IDLE_DAYS)


def _take_mail(conn: Connection, key: SessionKey) -> list[str]:
    which = (notices.c.subject == key) & (notices.c.kind == str(Kind.MAIL))
    taken = conn.execute(delete(notices).where(which).returning(notices.c.number, notices.c.body)).all()
    return [row.body for row in sorted(taken, key=lambda row: row.number)]


def _find(conn: Connection, key: SessionKey, since: Any) -> SessionRecord | None:
    row: Row[Any] | None = conn.execute(
        select(mcp_sessions).where(
            mcp_sessions.c.id_sha256 == key,
            mcp_sessions.c.ended_at.is_(None),
            mcp_sessions.c.last_seen_at >= since,
        )
    ).one_or_none()
    if row is None:
        return None
    return SessionRecord(
        row.id_sha256,
        Scope(AccountId(row.account_id), AgentId(row.agent_id)),
        row.credential,
        row.protocol_version,
        row.client_capabilities,
        row.log_level,
        frozenset(row.subscriptions),
        Cursor(row.first_cursor),
        Cursor(row.position),
        row.stream,
    )
