"""Whether the gateway's parts work, as far as it knows by itself: for the status page."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chamade_mcp.core.disk import Disk, Room
from chamade_mcp.kit.clock import Clock

_FRESH_S: Final = 5.0
"""How long an answer is given again: strangers may ask as often as they like."""
_ROOM: Final = {
    Room.ENOUGH: "Has room",
    Room.LITTLE: "Is nearly full",
    Room.NONE: "Is full: not everything is stored",
}
_LONGEST_S: Final = 3.0
"""A part that takes longer does not answer."""


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    title: str
    is_well: bool
    words: str
    is_low: bool = False
    """Works, but somebody should look at it."""

    def to_wire(self) -> dict[str, str]:
        status = "down" if not self.is_well else "low" if self.is_low else "ok"
        return {"name": self.name, "title": self.title, "status": status, "words": self.words}


class Health:
    def __init__(
        self,
        clock: Clock,
        ready: Callable[[], bool],
        database_answers: Callable[[], Awaitable[bool]],
        events_are_kept: Callable[[], Awaitable[bool]],
        disk: Disk,
    ) -> None:
        self._clock = clock
        self._ready = ready
        self._database_answers = database_answers
        self._events_are_kept = events_are_kept
        self._disk = disk
        self.started_at: datetime = clock.now()
        self._began = clock.monotonic()
        self._asking = asyncio.Lock()
        self._known: Sequence[Part] = ()
        self._known_until = self._began

    @property
    def uptime_s(self) -> int:
        return int(self._clock.monotonic() - self._began)

    async def parts(self) -> Sequence[Part]:
        """At most a few seconds old. Never raises."""
        ready = self._ready()
        requests = Part(
            "requests", "Requests", ready, "Are taken" if ready else "Are not taken: it is stopping"
        )
        return [requests, *await self._stored(), self._room()]

    def _room(self) -> Part:
        """How much is free is nobody's business but the owner's."""
        room = self._disk.room
        return Part("disk", "Disk", room is not Room.NONE, _ROOM[room], room is Room.LITTLE)

    async def _stored(self) -> Sequence[Part]:
        async with self._asking:
            if not self._known or self._clock.monotonic() >= self._known_until:
                reads, writes = await asyncio.gather(
                    _in_time(self._database_answers), _in_time(self._events_are_kept)
                )
                self._known = (
                    Part("database", "Database", reads, "Answers" if reads else "Does not answer"),
                    Part("events", "Event log", writes, "Is written" if writes else "Is not written"),
                )
                self._known_until = self._clock.monotonic() + _FRESH_S
            return self._known


async def _in_time(check: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(_LONGEST_S):
            return await check()
    except TimeoutError:
        return False
