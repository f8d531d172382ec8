"""Waiting no longer than a time that is the same for all."""

import asyncio

from chamade_mcp.core.patience import Patience
from chamade_mcp.kit.testing import VirtualClock


def futures(count: int) -> list[asyncio.Future[int]]:
    return [asyncio.get_running_loop().create_future() for _ in range(count)]


async def test_it_ends_when_all_are_done() -> None:
    clock = VirtualClock()
    patience, awaited = Patience(clock, 25), futures(3)
    waiting = asyncio.create_task(patience.wait(awaited))
    for number, one in enumerate(awaited):
        await clock.advance(1)
        assert not waiting.done()
        one.set_result(number)
    await clock.advance(0)
    assert waiting.done()
    await patience.wait(awaited)  # at once


async def test_it_ends_when_the_time_is_up() -> None:
    clock = VirtualClock()
    patience, (early, late) = Patience(clock, 25), futures(2)
    first = asyncio.create_task(patience.wait([early]))
    await clock.advance(10)
    second = asyncio.create_task(patience.wait([early, late]))
    await clock.advance(14)
    assert (first.done(), second.done()) == (False, False)
    await clock.advance(1)
    assert (first.done(), second.done(), early.done()) == (True, False, False)
    await clock.advance(10)
    assert (second.done(), clock.sleeping) == (True, 0)


async def test_many_cost_one_sleeper_and_one_who_goes_leaves_the_others() -> None:
    clock = VirtualClock()
    patience, (one,) = Patience(clock, 25), futures(1)
    waiting = [asyncio.create_task(patience.wait([one])) for _ in range(100)]
    await clock.advance(1)
    assert clock.sleeping == 1
    waiting[0].cancel()
    await clock.advance(0)
    assert not one.cancelled()
    one.set_result(1)
    await asyncio.gather(*waiting[1:])
    assert waiting[0].cancelled()
    assert clock.sleeping == 0, "nothing runs without somebody who waits"


async def test_closing_ends_every_wait() -> None:
    clock = VirtualClock()
    patience, awaited = Patience(clock, 25), futures(2)
    waiting = [asyncio.create_task(patience.wait([one])) for one in awaited]
    await clock.advance(1)
    patience.close()
    await asyncio.gather(*waiting)
    assert [one.done() for one in awaited] == [False, False]
