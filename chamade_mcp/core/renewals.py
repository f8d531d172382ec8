"""Credentials that a platform gives a bot instead of those that end: kept at once, its link opened anew."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from chamade_mcp.core import connection_rows as rows
from chamade_mcp.core.behind import Behind
from chamade_mcp.core.roster import Listed, Roster
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.ids import ConnectionId
from chamade_mcp.store.database import Database
from chamade_mcp.store.secrets import SecretBox

log = logging.getLogger(__name__)

Settings = Mapping[str, str]


class Renewals:
    """`reopen` closes a connection's link and opens it with other settings."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        roster: Roster,
        reopen: Callable[[Listed, Identity, Settings], Awaitable[None]],
    ) -> None:
        self._database = database
        self._box = box
        self._roster = roster
        self._reopen = reopen
        self._behind = Behind()

    async def keep(self, connection: ConnectionId, given: Settings) -> None:
        """Called by the link itself, which therefore cannot be closed before this has returned."""
        listed = self._roster.get(connection)
        if listed is None:
            return  # removed meanwhile
        settings = await to_the_end(self._store(listed, given))
        self._behind.begin(self._anew(listed, settings))

    async def _store(self, listed: Listed, given: Settings) -> Settings:
        read = partial(rows.settings_of, box=self._box, connection=listed.id)
        settings = {**await self._database.read(read), **given}
        store = partial(
            rows.set_settings, box=self._box, listed=listed, identity=listed.identity, settings=settings
        )
        await self._database.write(store)
        return settings

    async def _anew(self, listed: Listed, settings: Settings) -> None:
        try:
            await self._reopen(listed, listed.identity, settings)
        except GatewayError as error:
            log.warning("connection %s was not opened anew: %s", listed.id, error.code)
