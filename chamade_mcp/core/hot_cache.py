"""Bytes of files that platforms keep: fetched when somebody wants them, and here for a while then."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Row

from chamade_mcp.core import file_rows
from chamade_mcp.core.file_types import HEAD_BYTES, settled
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import Fetches
from chamade_mcp.model.errors import Gone, NotFound, TimedOut, Unavailable
from chamade_mcp.model.ids import ConnectionId, Platform
from chamade_mcp.store.blobs import Blobs
from chamade_mcp.store.database import Database

log = logging.getLogger(__name__)

HOT_LIFE = timedelta(minutes=15)
_GRACE = timedelta(minutes=5)
"""Bytes outlast their time by this much: somebody may be reading them."""
_FETCH_S = 60.0
_MOST_WARMED = 8
"""Fetches beyond these wait until somebody asks: a crowd that sends films must not stop the rest."""


@dataclass(frozen=True, slots=True)
class HotCacheDeps:
    database: Database
    clock: Clock
    blobs: Blobs
    links: Supervisor
    max_bytes: int


class HotCache:
    def __init__(self, deps: HotCacheDeps) -> None:
        self._d = deps
        self._under_way: dict[str, asyncio.Task[Row[Any]]] = {}
        """One fetch for all who want a file at the same time."""

    async def bring(self, row: Row[Any]) -> Row[Any]:
        """The row once its bytes are here. Raises `Gone`, `Unavailable` or `TimedOut`."""
        return row if await self._is_hot(row) else await asyncio.shield(self._start(row))

    def warm(self, row: Row[Any]) -> None:
        """Begins to fetch what will be wanted soon, without a word when that fails."""
        if len(self._under_way) < _MOST_WARMED:
            self._start(row)

    def _start(self, row: Row[Any]) -> asyncio.Task[Row[Any]]:
        task = self._under_way.get(row.id)
        if task is None:
            task = asyncio.create_task(self._fetch(row), name=f"fetch {row.id}")
            self._under_way[row.id] = task
            task.add_done_callback(partial(self._done, row.id))
        return task

    async def sweep(self) -> None:
        """Removes bytes that nobody wanted lately."""
        before = self._d.clock.now() - _GRACE
        await self._d.blobs.delete(await self._d.database.read(partial(file_rows.cold, before=before)))
        await self._d.database.write(partial(file_rows.cool, before=before))

    async def _is_hot(self, row: Row[Any]) -> bool:
        lasts = row.cached_until is not None and row.cached_until > self._d.clock.now()
        return lasts and await self._d.blobs.size(row.id) == row.size_bytes

    async def _fetch(self, row: Row[Any]) -> Row[Any]:
        # Who asks may have read the row before the last fetch was done.
        newest = await self._d.database.read(partial(file_rows.get, file=row.id))
        if newest is not None and await self._is_hot(newest):
            return newest
        platform = Platform(row.platform)
        try:
            link = self._d.links.link(platform, ConnectionId(row.connection_id))
        except Unavailable as error:
            if error.code == "CONNECTION_REMOVED":
                raise _gone("The connection it came over was removed") from None
            raise
        if not isinstance(link, Fetches):
            raise _gone("Its platform gives it only once")
        head = bytearray()
        try:
            async with asyncio.timeout(_FETCH_S):
                with reaching(platform):
                    async with link.fetch(row.source_ref) as chunks:
                        size = await self._d.blobs.write(row.id, self._capped(chunks, head))
        except Gone as error:
            raise _gone(error.detail) from None
        except TimeoutError:
            raise TimedOut(f"{platform} did not give the file in time") from None
        brought = await self._d.database.write(
            partial(
                file_rows.change,
                file=row.id,
                size_bytes=size,
                mime=settled(row.mime, bytes(head)),
                cached_until=self._d.clock.now() + HOT_LIFE,
            )
        )
        if brought is None:
            await self._d.blobs.delete([row.id])
            raise NotFound("File not found", code="FILE_NOT_FOUND")
        return brought

    async def _capped(self, chunks: AsyncIterator[bytes], head: bytearray) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._d.max_bytes:
                raise Gone(f"It is larger than {self._d.max_bytes} bytes")
            if len(head) < HEAD_BYTES:
                head += chunk[: HEAD_BYTES - len(head)]
            yield chunk

    def _done(self, file: str, task: asyncio.Task[Row[Any]]) -> None:
        del self._under_way[file]
        # All who asked may have left; asking for it keeps asyncio from calling it forgotten.
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("a file of a platform was not fetched: %s", error)


def _gone(why: str) -> Gone:
    return Gone(f"This file is no longer kept. {why}", code="FILE_GONE")
