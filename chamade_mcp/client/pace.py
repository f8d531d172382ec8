"""How far ahead of the room an agent may speak."""

import asyncio
from contextlib import suppress
from typing import Final

AHEAD_S: Final = 30.0
"""Well below the 120 s that the gateway keeps: what it plays and what is under way are not known exactly."""

_SHORTEST_S: Final = 0.001
"""Of a wait: clocks have no finer steps that would be worth a turn of the loop."""


class Pace:
    """Sound goes out as it is played, `AHEAD_S` ahead of that, or less when the gateway says it is too
    much."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._silent_at = 0.0
        """When all that was sent will have been played."""
        self._held = False
        self._changed = asyncio.Event()

    def sent(self, seconds: float) -> None:
        self._silent_at = max(self._silent_at, self._now()) + seconds

    def cleared(self) -> None:
        """Nothing waits any more."""
        self._silent_at, self._held = 0.0, False
        self._changed.set()

    def told(self, *, high: bool) -> None:
        """What the gateway thinks of it."""
        self._held = high
        self._changed.set()

    async def room(self, ahead_s: float = AHEAD_S) -> None:
        """Returns once less than `ahead_s` wait to be played."""
        while self._held or self._silent_at - self._now() > ahead_s:
            wait_s = None if self._held else max(_SHORTEST_S, self._silent_at - self._now() - ahead_s)
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
