"""Time, injected. Logic never asks the operating system for it."""

import asyncio
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Protocol


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


def iso(moment: datetime) -> str:
    """UTC with microseconds and a Z: sorts as text in the order of time."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
