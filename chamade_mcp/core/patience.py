"""Waiting for what others do, no longer than a time that is the same for everybody."""

import asyncio
from collections.abc import Iterable
from typing import Any

from chamade_mcp.kit.clock import Clock


class Patience:
    """One sleeper for all who wait: a timer and its tasks for each would be a third of what a send costs."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._due: dict[asyncio.Future[None], float] = {}
        """Who waits, and until when: in that order, since each waits as long as the others."""
        self._sleeper: asyncio.Task[None] | None = None

    async def wait(self, awaited: Iterable[asyncio.Future[Any]]) -> None:
        """Returns once all of them are done, or when the time is up; none is cancelled."""
        left = [one for one in awaited if not one.done()]
        if not left:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        count = len(left)

        def done(_: asyncio.Future[Any]) -> None:
            nonlocal count
            count -= 1
            if not count and not waiter.done():
                waiter.set_result(None)

        for one in left:
            one.add_done_callback(done)
        self._due[waiter] = self._clock.monotonic() + self._seconds
        if self._sleeper is None:
            self._sleeper = asyncio.create_task(self._sleep(), name="patience")
        try:
            await waiter
        finally:
            self._due.pop(waiter, None)
            if count:
                for one in left:
                    one.remove_done_callback(done)
            self._rest()

    def close(self) -> None:
        """Nobody waits any more."""
        for waiter in self._due:
            if not waiter.done():
                waiter.set_result(None)

    def _rest(self) -> None:
        if not self._due and self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    async def _sleep(self) -> None:
        while self._due:
            waiter, due = next(iter(self._due.items()))
            left_s = due - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
                continue
            del self._due[waiter]
            if not waiter.done():
                waiter.set_result(None)
        self._sleeper = None
