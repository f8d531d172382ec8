"""Whether there is room where the gateway keeps its data, as it was a moment ago."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from chamade_mcp.kit.chores import forever
from chamade_mcp.kit.clock import Clock

log = logging.getLogger(__name__)

NEARLY_FULL_BYTES: Final = 500 << 20
"""With less a person should look, long before recordings end (`store.reel.RESERVE_BYTES`)."""
_LOOK_EVERY_S: Final = 15.0
_REMEMBERED: Final = timedelta(minutes=10)
"""How long something that could not be stored is told: what is smaller may fit all the while."""


def free_on_disk(folder: Path) -> int:
    """Bytes. Raises `OSError`."""
    return shutil.disk_usage(folder).free


class Room(StrEnum):
    ENOUGH = "ok"
    LITTLE = "low"
    NONE = "down"


class Disk:
    def __init__(self, clock: Clock, free_bytes: Callable[[], int], refusals: Callable[[], int]) -> None:
        """`free_bytes` measures; it may block, and raise `OSError`. `refusals` counts what was not stored."""
        self._clock = clock
        self._measure = free_bytes
        self._refusals = refusals
        self._refused = refusals()
        self._refused_at: datetime | None = None
        self.room = Room.ENOUGH
        self.since = clock.now()
        """When `room` became what it is."""
        self.free_bytes: int | None = None
        """None: not measured yet."""

    @property
    def words(self) -> str:
        """For the owner."""
        free = f"{(self.free_bytes or 0) // 1_000_000} MB are free where the gateway keeps its data"
        return f"Something could not be stored: {free}" if self.room is Room.NONE else f"Only {free}"

    async def watch_forever(self) -> None:
        await forever(self._clock, _LOOK_EVERY_S, self.look, "the disk was not looked at this time")

    async def look(self) -> None:
        """What cannot be measured is as it was."""
        now = self._clock.now()
        try:
            self.free_bytes = await asyncio.to_thread(self._measure)
        except OSError as error:
            log.warning("the free space of the data folder cannot be measured: %s", error)
        if (refused := self._refusals()) != self._refused:
            self._refused, self._refused_at = refused, now
        room = self._judged(now)
        if room is not self.room:
            self.room, self.since = room, now
            if room is Room.ENOUGH:
                log.info("the disk has room again")
            else:
                log.warning("the disk is running full: %s", self.words)

    def _judged(self, now: datetime) -> Room:
        if self._refused_at is not None and now - self._refused_at < _REMEMBERED:
            return Room.NONE
        few = self.free_bytes is not None and self.free_bytes < NEARLY_FULL_BYTES
        return Room.LITTLE if few else Room.ENOUGH
