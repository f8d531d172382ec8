"""Other processes on the same store: their events and their notices, heard within moments.

Each process watches the database (`store.watch`); the log and the notices are the truth, and a change of the
file is only the wake-up.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from chamade_mcp.core import event_log
from chamade_mcp.core.event_log import Place
from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.core.notices import PAGE as NOTICES_PAGE
from chamade_mcp.core.notices import Kind, Notice, Notices
from chamade_mcp.model.errors import Unavailable
from chamade_mcp.model.events import Envelope
from chamade_mcp.model.ids import AccountId
from chamade_mcp.store.database import Database

log = logging.getLogger(__name__)

Hear = Callable[[Notice], Awaitable[None]]

EVENTS_S: Final = 0.01
"""How often a process looks that waits for events of another one: what they are late by, at most."""
NOTICES_S: Final = 0.1
"""How often one looks that makes all events itself."""
_PAGE: Final = 256


@dataclass(frozen=True, slots=True)
class _Heard:
    notices: Sequence[Notice]
    events: Sequence[Envelope] | None
    """None: some may have been missed."""


class Neighbours:
    """To be used inside `run`. With `follows`, events that others store are announced on that hub."""

    def __init__(self, database: Database, notices: Notices, *, follows: MemoryHub | None = None) -> None:
        self._database = database
        self._notices = notices
        self._hub = follows
        self._hearers: dict[Kind, Hear] = {}
        self._heard = asyncio.Queue[Notice]()
        # Of the watching thread, once that runs.
        self._number = 0
        self._place: Place | None = None

    def on(self, kind: Kind, hear: Hear) -> None:
        """`hear` is awaited for each notice of the kind, in their order, one at a time."""
        self._hearers[kind] = hear

    async def tell(self, account: AccountId, kind: Kind, subject: str, body: object = None) -> None:
        """`body` is JSON."""
        await self._database.write(
            partial(self._notices.add, account=account, kind=kind, subject=subject, body=body)
        )

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        await self._database.read(self._begin)
        hearing = asyncio.create_task(self._hear(), name="neighbours")
        every_s = EVENTS_S if self._hub is not None else NOTICES_S
        watch = self._database.watch(self._look, self._take, every_s)
        try:
            yield
        finally:
            await asyncio.to_thread(watch.close)
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    # --- on the watching thread ----------------------------------------------------------------------------

    def _begin(self, conn: Connection) -> None:
        self._number = self._notices.newest(conn)
        self._place = event_log.end(conn)

    def _look(self, conn: Connection) -> tuple[_Heard, bool]:
        notices = self._notices.after(conn, self._number)
        if notices:
            self._number = notices[-1].number
        more = len(notices) == NOTICES_PAGE
        if self._hub is None:
            return _Heard(notices, ()), more
        found = event_log.behind(conn, self._place, _PAGE)
        if found is None:
            self._place = event_log.end(conn)
            return _Heard(notices, None), more
        if found:
            self._place = found[-1][0]
        return _Heard(notices, [envelope for _, envelope in found]), more or len(found) == _PAGE

    # --- on the event loop ---------------------------------------------------------------------------------

    def _take(self, heard: _Heard) -> None:
        if self._hub is not None:
            if heard.events is None:
                self._hub.look_again()
            else:
                self._hub.announce(heard.events)
        for notice in heard.notices:
            self._heard.put_nowait(notice)

    async def _hear(self) -> None:
        while True:
            notice = await self._heard.get()
            hear = self._hearers.get(notice.kind)
            if hear is None:
                continue
            try:
                await hear(notice)
            except Unavailable as error:
                log.warning("a %s notice was not followed: %s", notice.kind, error)
            except Exception:  # the next one may be another's revocation
                log.exception("a %s notice was not followed", notice.kind)
