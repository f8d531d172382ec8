"""Deadlines and limits by the injected clock."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

from chamade_mcp.kit.clock import Clock

T = TypeVar("T")


async def within(clock: Clock, seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; raises `TimeoutError`, with `work` cancelled, when it takes longer."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
        timer.cancel()
        await asyncio.gather(task, timer, return_exceptions=True)


class Window:
    """At most `limit` in any `seconds`."""

    def __init__(self, clock: Clock, limit: int, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._limit = limit
        self._times: deque[float] = deque()

    def admit(self) -> bool:
        """Counts one, unless that were one too many."""
        now = self._clock.monotonic()
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if len(self._times) >= self._limit:
            return False
        self._times.append(now)
        return True
