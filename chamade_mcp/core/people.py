"""Links that pair whoever opens them, and whom the shared bot listens to: `kit.connection.People`."""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from chamade_mcp.core import connection_rows
from chamade_mcp.core import pairing_rows as rows
from chamade_mcp.core.pairing_rows import Person
from chamade_mcp.core.roster import Listed, Roster
from chamade_mcp.core.standings import Standings
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Scope
from chamade_mcp.model.connections import Access, ConnectionKind, ConnectionState, Identity
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.ids import COMMON, ConnectionId, ConversationRef, Platform, new_connection_id
from chamade_mcp.model.messages import Sender
from chamade_mcp.store.database import Database
from chamade_mcp.store.secrets import SecretBox

audit = logging.getLogger("chamade_mcp.audit")

_TOKEN_BYTES: Final = 32


class PairingLinks:
    """Tokens that the owner hands out: whoever brings one is paired by that."""

    def __init__(
        self, database: Database, standings: Standings, box: SecretBox, clock: Clock, roster: Roster
    ) -> None:
        self._database = database
        self._standings = standings
        self._box = box
        self._clock = clock
        self._roster = roster

    def of(self, platform: Platform, connection: ConnectionId = COMMON) -> "LinkPeople":
        """What a connector sees: its own link's people."""
        return LinkPeople(self, (platform, connection))

    async def issue(self, scope: Scope, link: tuple[Platform, ConnectionId]) -> str:
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock.now()
        await self._database.write(partial(rows.issue_token, scope=scope, link=link, token=token, now=now))
        return token

    async def redeem(self, link: tuple[Platform, ConnectionId], token: str, person: Person) -> Scope | None:
        """Pairs the person; on the shared bot that is what ties the account to it."""
        now = self._clock.now()

        def store(conn: Connection) -> tuple[Listed, bool] | None:
            scope = rows.spend_token(conn, link, token, now)
            return None if scope is None else self._paired(conn, scope, link, person, now)

        async def spend() -> Scope | None:
            listed = await self._tied(store)
            if listed is None:
                return None
            audit.info("a sender of %s was paired with %s by a link", link[0], listed.id)
            return listed.scope

        return await to_the_end(spend())

    async def pair(self, scope: Scope, link: tuple[Platform, ConnectionId], person: Person) -> Listed:
        """Pairs somebody who need bring no token. Raises `NotFound` when the connection is gone."""
        now = self._clock.now()

        async def settle() -> Listed:
            listed = await self._tied(lambda conn: self._paired(conn, scope, link, person, now))
            if listed is None:
                raise NotFound("Connection not found", code="CONNECTION_NOT_FOUND")
            return listed

        return await to_the_end(settle())

    async def scope_of(self, platform: Platform, sender: str) -> Scope | None:
        return await self._database.read(partial(rows.scope_of, platform=platform, sender=sender))

    async def _tied(self, store: Callable[[Connection], tuple[Listed, bool] | None]) -> Listed | None:
        tied = await self._standings.change(store)
        if tied is None:
            return None
        listed, is_new = tied
        if is_new:  # one that was there, and is not on the roster any more, was removed meanwhile
            self._roster.put(listed)
        return listed

    def _paired(
        self,
        conn: Connection,
        scope: Scope,
        link: tuple[Platform, ConnectionId],
        person: Person,
        now: datetime,
    ) -> tuple[Listed, bool] | None:
        """With which connection, and whether it is new; None where it is gone."""
        known = self._known(conn, scope, link)
        if known is None and link[1] != COMMON:
            return None
        listed = known or self._tie(conn, scope, link[0])
        rows.pair(conn, listed, person, now)
        return listed, known is None

    @staticmethod
    def _known(conn: Connection, scope: Scope, link: tuple[Platform, ConnectionId]) -> Listed | None:
        platform, connection = link
        if connection != COMMON:
            return connection_rows.find(conn, connection)
        return connection_rows.shared(conn, scope, platform)

    def _tie(self, conn: Connection, scope: Scope, platform: Platform) -> Listed:
        """The agent has none with the shared bot yet."""
        listed = Listed(
            new_connection_id(),
            scope,
            platform,
            ConnectionKind.SHARED,
            Access.PAIRING,
            ConnectionState.OK,
            "",
            Identity("", "Shared bot"),
            self._clock.now(),
        )
        connection_rows.insert(conn, self._box, listed, {})
        return listed


class LinkPeople:
    """`kit.connection.People` of one link."""

    def __init__(self, links: PairingLinks, link: tuple[Platform, ConnectionId]) -> None:
        self._links = links
        self._link = link

    async def issue(self, scope: Scope) -> str:
        return await self._links.issue(scope, self._link)

    async def redeem(self, token: str, sender: Sender, conversation: ConversationRef) -> Scope | None:
        return await self._links.redeem(self._link, token, Person.of(sender, conversation))

    async def scope_of(self, sender: str) -> Scope | None:
        return await self._links.scope_of(self._link[0], sender)
