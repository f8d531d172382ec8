"""How those who write stand with a connection: asked of each message, and so remembered.

Only this process changes it: links, and the REST API, are of one process.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from chamade_mcp.core import pairing_rows as rows
from chamade_mcp.core.pairing_rows import Found
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.connections import Standing
from chamade_mcp.model.ids import ConnectionId
from chamade_mcp.store.database import Database

T = TypeVar("T")

_MOST: Final = 10_000


class Standings:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[tuple[ConnectionId, str], Found | None] = OrderedDict()
        """Those who wrote last at its end."""
        self._changes = 0

    async def of(self, connection: ConnectionId, sender: str, now: datetime) -> Standing | None:
        """None for a stranger, and for one whose request has expired."""
        who = (connection, sender)
        if who in self._known:
            self._known.move_to_end(who)
            found = self._known[who]
        else:
            changes = self._changes
            found = await self._database.read(partial(rows.standing, connection=connection, sender=sender))
            if changes == self._changes:  # else it may have been read before the change
                self._known[who] = found
                if len(self._known) > _MOST:
                    self._known.popitem(last=False)
        return rows.as_of(found, now)

    def is_unplaced(self, connection: ConnectionId, sender: str) -> bool:
        """Whether somebody stands here of whose conversation nothing is known; as far as is remembered."""
        found = self._known.get((connection, sender))
        return found is not None and not found.conversation

    async def change(self, store: Callable[[Connection], T]) -> T:
        """Whatever changes how somebody stands; to its end, even when nobody waits for it any more."""
        return await to_the_end(self._change(store))

    async def _change(self, store: Callable[[Connection], T]) -> T:
        try:
            return await self._database.write(store)
        finally:
            self._changes += 1
            self._known.clear()
