"""Answers are waited for no longer than a time that is the same for everybody."""

import asyncio
from typing import Generic, TypeVar

from chamade_mcp.kit.clock import Clock

T = TypeVar("T")


class Patience(Generic[T]):
    """One sleeper for all who wait: a timer and its tasks for each would be a third of what a send costs."""

    def __init__(self, clock: Clock, seconds: float, too_late: T) -> None:
        self._clock = clock
        self._seconds = seconds
        self._too_late = too_late
        self._due: dict[asyncio.Future[T], float] = {}
        """What is waited for, and until when: in that order, since each has as long as the others."""
        self._sleeper: asyncio.Task[None] | None = None

    def limit(self, answer: asyncio.Future[T]) -> None:
        """From now on it has so many seconds; if it is not there then, it is `too_late`. Whoever waits for it
        has to `forget` it afterwards."""
        if answer.done():
            return
        self._due[answer] = self._clock.monotonic() + self._seconds
        if self._sleeper is None:
            self._sleeper = asyncio.create_task(self._sleep(), name="patience")

    def forget(self, answer: asyncio.Future[T]) -> None:
        """It is there, or nobody waits for it any more. Harmless where it was not limited."""
        self._due.pop(answer, None)
        if not self._due:
            self._rest()

    def close(self) -> None:
        """It is too late for all."""
        for answer in self._due:
            self._answer(answer)
        self._due.clear()
        self._rest()

    def _answer(self, answer: asyncio.Future[T]) -> None:
        if not answer.done():
            answer.set_result(self._too_late)

    def _rest(self) -> None:
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    async def _sleep(self) -> None:
        while self._due:
            answer, due = next(iter(self._due.items()))
            left_s = due - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
                continue
            del self._due[answer]
            self._answer(answer)
        self._sleeper = None
