"""Time, ours and the tests' own."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.kit.clock import SystemClock, iso
from chamade_mcp.kit.testing import VirtualClock

MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_stamps_sort_in_the_order_of_time(one: datetime, other: datetime) -> None:
    assert (iso(one) < iso(other)) == (one < other)
    assert datetime.fromisoformat(iso(one)) == one


def test_a_stamp_is_utc() -> None:
    paris = datetime(2026, 11, 20, 13, tzinfo=timezone(timedelta(hours=1)))
    assert iso(paris) == "2026-11-20T12:00:00.000000Z"


async def test_the_system_clock() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now().tzinfo is UTC


async def test_sleepers_wake_in_order_at_their_own_moment() -> None:
    clock, woken = VirtualClock(), list[tuple[str, float]]()
    start = clock.monotonic()

    async def sleeper(name: str, *pauses: float) -> None:
        for pause in pauses:
            await clock.sleep(pause)
            woken.append((name, clock.monotonic() - start))

    tasks = [
        asyncio.create_task(sleeper("a", 3, 1)),
        asyncio.create_task(sleeper("b", 1, 1, 1)),
        asyncio.create_task(sleeper("c", 0)),
    ]
    await clock.advance(2.5)
    assert woken == [("c", 0), ("b", 1), ("b", 2)]
    await clock.advance(1.5)
    assert woken[3:] == [("a", 3), ("b", 3), ("a", 4)]
    assert clock.monotonic() - start == 4
    await asyncio.gather(*tasks)
    assert clock.sleeping == 0


async def test_the_wall_clock_can_jump_alone() -> None:
    clock = VirtualClock()
    wall, monotonic = clock.now(), clock.monotonic()
    clock.jump(-3600)
    assert (clock.now() - wall, clock.monotonic()) == (timedelta(hours=-1), monotonic)
    await clock.advance(3600)
    assert (clock.now(), clock.monotonic()) == (wall, monotonic + 3600)
