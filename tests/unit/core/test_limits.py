"""Counting attempts."""

import pytest

from chamade_mcp.core.limits import Attempts
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.errors import LimitReached


async def test_the_window_slides() -> None:
    clock = VirtualClock()
    attempts = Attempts(clock, limit=2, window_s=10)
    attempts.count("a")
    await clock.advance(4)
    attempts.count("a")
    with pytest.raises(LimitReached) as caught:
        attempts.count("a")
    assert caught.value.retry_after == 6
    attempts.count("b")
    await clock.advance(6)
    attempts.count("a")
    with pytest.raises(LimitReached):
        attempts.count("a")


async def test_waiting_as_long_as_told_is_enough() -> None:
    clock = VirtualClock()
    attempts = Attempts(clock, limit=1, window_s=10)
    attempts.count("a")
    await clock.advance(0.7)
    with pytest.raises(LimitReached) as caught:
        attempts.count("a")
    await clock.advance(caught.value.retry_after or 0)
    attempts.count("a")


async def test_success_clears() -> None:
    attempts = Attempts(VirtualClock(), limit=1, window_s=10)
    attempts.count("a")
    attempts.clear("a")
    attempts.clear("never counted")
    attempts.count("a")


async def test_names_are_forgotten() -> None:
    clock = VirtualClock()
    attempts = Attempts(clock, limit=1, window_s=10)
    for number in range(100):
        attempts.count(f"name {number}")
    await clock.advance(10)
    attempts.count("another")
    assert len(attempts) == 1
