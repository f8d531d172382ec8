"""Time, injected. Logic never asks the operating system for it."""

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from chamade_mcp.model.moments import stamp

__all__ = ["Clock", "SteadyTime", "SystemClock", "iso"]

iso = stamp
"""A moment as it stands in the database and in every answer."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware, UTC. For stamps and expiry dates."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump. For intervals and deadlines."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> Awaitable[None]:
        return asyncio.sleep(seconds)


class SteadyTime:
    """Moments that can be stored and compared, and do not jump: the wall clock as it was when this was made,
    and what has passed since. What is due then comes neither early nor late when the wall clock is set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start, self._at = clock.now(), clock.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._clock.monotonic() - self._at)
