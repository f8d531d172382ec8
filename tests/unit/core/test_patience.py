"""Waiting no longer than a time that is the same for all."""

import asyncio

from chamade_mcp.core.patience import Patience
from chamade_mcp.kit.testing import VirtualClock

LATE = "late"


def answers(count: int) -> list[asyncio.Future[str]]:
    return [asyncio.get_running_loop().create_future() for _ in range(count)]


def patience_by(clock: VirtualClock) -> Patience[str]:
    return Patience(clock, 25, LATE)


async def test_what_comes_in_time_stays_as_it_is() -> None:
    clock = VirtualClock()
    patience, (one,) = patience_by(clock), answers(1)
    patience.limit(one)
    await clock.advance(24)
    one.set_result("here")
    await clock.advance(10)
    patience.forget(one)
    assert one.result() == "here"
    assert clock.sleeping == 0


async def test_each_has_its_time() -> None:
    clock = VirtualClock()
    patience, (early, late) = patience_by(clock), answers(2)
    patience.limit(early)
    await clock.advance(10)
    patience.limit(late)
    await clock.advance(14)
    assert (early.done(), late.done()) == (False, False)
    await clock.advance(1)
    assert (early.result(), late.done()) == (LATE, False)
    await clock.advance(10)
    assert (late.result(), clock.sleeping) == (LATE, 0)


async def test_many_cost_one_sleeper_and_one_who_goes_leaves_the_others() -> None:
    clock = VirtualClock()
    patience, awaited = patience_by(clock), answers(100)
    for one in awaited:
        patience.limit(one)
    await clock.advance(1)
    assert clock.sleeping == 1
    awaited[0].cancel()
    patience.forget(awaited[0])
    await clock.advance(24)
    assert {one.result() for one in awaited[1:]} == {LATE}
    assert clock.sleeping == 0, "nothing runs without somebody who waits"


async def test_what_was_forgotten_wakes_nobody() -> None:
    clock = VirtualClock()
    patience, (one,) = patience_by(clock), answers(1)
    patience.limit(one)
    await clock.advance(1)
    patience.forget(one)
    await clock.advance(0)
    assert (one.done(), clock.sleeping) == (False, 0)
    patience.limit(one)
    await clock.advance(25)
    assert one.result() == LATE


async def test_what_is_there_already_is_not_waited_for() -> None:
    clock = VirtualClock()
    patience, (there, given_up) = patience_by(clock), answers(2)
    there.set_result("here")
    given_up.cancel()
    patience.limit(there)
    patience.limit(given_up)
    await clock.advance(0)
    assert clock.sleeping == 0


async def test_closing_ends_every_wait() -> None:
    clock = VirtualClock()
    patience, awaited = patience_by(clock), answers(2)
    for one in awaited:
        patience.limit(one)
    await clock.advance(1)
    patience.close()
    await clock.advance(0)
    assert [one.result() for one in awaited] == [LATE, LATE]
    assert clock.sleeping == 0
