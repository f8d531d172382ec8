"""Counting, so that too much is told in time."""

import math
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.errors import LimitReached


class Attempts:
    """At most `limit` counted attempts per name in any `window_s` seconds.

    Count before what is attempted, and `clear` when it went well: attempts made at once all count then.
    """

    def __init__(self, clock: Clock, *, limit: int, window_s: float) -> None:
        self._clock = clock
        self._limit = limit
        self._window_s = window_s
        self._times: dict[str, deque[float]] = {}
        self._forget_at = clock.monotonic() + window_s

    def __len__(self) -> int:
        """How many names are remembered."""
        return len(self._times)

    def count(self, name: str) -> None:
        """Raises `LimitReached` with the seconds to wait; such an attempt does not count."""
        now = self._clock.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + self._window_s
            for old in list(self._times):
                self._recent(old)
        times = self._recent(name)
        if len(times) >= self._limit:
            wait = times[0] + self._window_s - now
            raise LimitReached("Too many attempts; wait a while", retry_after=max(1, math.ceil(wait)))
        self._times.setdefault(name, times).append(now)

    def clear(self, name: str) -> None:
        self._times.pop(name, None)

    @contextmanager
    def attempt(self, name: str) -> Generator[None]:
        """Counts what fails inside: what others of that name failed at is not forgotten when this goes well.

        Nothing is counted for an empty name.
        """
        if name:
            self.count(name)
        yield
        if name and (times := self._times.get(name)):
            times.pop()
            if not times:
                del self._times[name]

    def _recent(self, name: str) -> deque[float]:
        times = self._times.get(name)
        if times is None:
            return deque()
        horizon = self._clock.monotonic() - self._window_s
        while times and times[0] <= horizon:
            times.popleft()
        if not times:
            del self._times[name]
        return times
