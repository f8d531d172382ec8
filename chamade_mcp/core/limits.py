"""Counting, so that too much is told in time."""

from collections import deque

from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.errors import LimitReached


class Attempts:
    """At most `limit` counted attempts per name in any `window_s` seconds. Names are forgotten with time."""

    def __init__(self, clock: Clock, *, limit: int, window_s: float) -> None:
        self._clock = clock
        self._limit = limit
        self._window_s = window_s
        self._times: dict[str, deque[float]] = {}

    def check(self, name: str) -> None:
        """Raises `LimitReached` with the seconds to wait."""
        times = self._recent(name)
        if len(times) >= self._limit:
            wait = times[0] + self._window_s - self._clock.monotonic()
            raise LimitReached("Too many attempts; wait a while", retry_after=max(1, round(wait)))

    def count(self, name: str) -> None:
        self._times.setdefault(name, deque()).append(self._clock.monotonic())

    def clear(self, name: str) -> None:
        self._times.pop(name, None)

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
