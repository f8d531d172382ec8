"""How far ahead of the room an agent may speak."""

import asyncio
from contextlib import suppress
from typing import Final

AHEAD_S: Final = 30.0
"""Well below the 120 s that the gateway keeps: what it plays and what is under way are not known exactly."""


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

    async def room(self) -> None:
        """Returns once more may be sent."""
        while self._held or self._early_s > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._held else self._early_s):
                    await self._changed.wait()

    @property
    def _early_s(self) -> float:
        return self._silent_at - self._now() - AHEAD_S
