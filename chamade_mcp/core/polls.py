"""Agents that wait for messages, many at a time: a message wakes thousands, and they share one look."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from heapq import heappop, heappush
from typing import Any

from chamade_mcp.core.hub import EventHub
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Unauthenticated

Answer = dict[str, Any]


class SharedLooks:
    """Those who ask the same question before it is put to the database get one answer."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Answer]] = {}
        self._next: dict[Hashable, asyncio.Task[Answer]] = {}

    async def ask(self, question: Hashable, look: Callable[[], Awaitable[Answer]]) -> Answer:
        """An answer that was looked up after the call, not to be changed: others have it too."""
        task = self._next.get(question)
        if task is None:
            # One that is under way may have begun before what the caller was woken for.
            task = asyncio.ensure_future(self._look(question, self._running.get(question), look))
            task.add_done_callback(_heard)
            self._next[question] = task
        return await asyncio.shield(task)

    async def _look(
        self,
        question: Hashable,
        before: asyncio.Task[Answer] | None,
        look: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        if before is not None:
            await asyncio.wait({before})
        task = self._next.pop(question)
        self._running[question] = task
        try:
            return await look()
        finally:
            if self._running.get(question) is task:
                del self._running[question]


def _heard(task: asyncio.Task[Answer]) -> None:
    """An error is for those who asked: when all of them have left, it is nobody's."""
    if not task.cancelled():
        task.exception()


class Polls:
    """Everybody who waits. One wait is a future and a place in a heap, and nothing else: tasks, events and
    timers of their own would be half of what a waiting agent costs."""

    def __init__(self, hub: EventHub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._closing = False
        self._waits: set[_Wait] = set()
        self._due: list[_Wait] = []
        self._timer: asyncio.Task[None] | None = None

    async def wait(
        self, principal: Principal, seconds: float, look: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The first answer of `look` that has conversations, or its last after `seconds`.

        `look` is called at once, and whenever something has happened to the agent. Raises `Unauthenticated`
        once what `principal` came in with is revoked.
        """
        wait = _Wait(self._clock.monotonic() + seconds, principal)
        # Before the first look: what happens during it wakes.
        following = self._hub.follow(principal.scope, wait.wake)
        self._waits.add(wait)
        try:
            while True:
                last = self._closing or self._clock.monotonic() >= wait.due
                wait.news = False
                answer = await look()
                if wait.void:
                    by_key = principal.key is not None
                    raise Unauthenticated(code="REVOKED_API_KEY" if by_key else "REVOKED_ACCESS_TOKEN")
                if last or answer["conversations"] or "reset" in answer:
                    return answer
                if not wait.entered:
                    self._enter(wait)
                await wait.woken()
        finally:
            self._leave(wait)
            following.close()

    def close(self) -> None:
        """Answers everybody; who comes now does not wait."""
        self._closing = True
        for wait in self._waits:
            wait.wake()

    def end(self, over: Callable[[Principal], bool]) -> None:
        """What some came in with is revoked: who of them waits is told so."""
        for wait in self._waits:
            if over(wait.principal):
                wait.void = True
                wait.wake()

    def _enter(self, wait: "_Wait") -> None:
        if self._closing:
            wait.wake()
        wait.entered = True
        heappush(self._due, wait)
        if self._timer is None or self._due[0] is wait:
            self._stop_timer()
            self._timer = asyncio.ensure_future(self._tell_the_due())

    def _leave(self, wait: "_Wait") -> None:
        self._waits.discard(wait)
        if not self._waits:
            self._due.clear()
            self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _tell_the_due(self) -> None:
        while self._due:
            left_s = self._due[0].due - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
                continue
            heappop(self._due).wake()
        self._timer = None


class _Wait:
    __slots__ = ("_waiting", "due", "entered", "news", "principal", "void")

    def __init__(self, due: float, principal: Principal) -> None:
        self.due = due
        """On the clock's monotonic time."""
        self.principal = principal
        self.entered = self.void = False
        self.news = False
        """Something has happened since the last look."""
        self._waiting: asyncio.Future[None] | None = None

    def __lt__(self, other: "_Wait") -> bool:
        return self.due < other.due

    def wake(self) -> None:
        self.news = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def woken(self) -> None:
        if not self.news:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
