"""Racing, and finishing what was begun."""

import asyncio

import pytest

from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.kit.waiting import lasting, lasts, race, to_the_end


async def test_the_first_wins_and_the_others_are_gone() -> None:
    clock, forever = VirtualClock(), asyncio.Event()
    racing = asyncio.create_task(race(forever.wait(), _after(clock, 1), clock.sleep(2)))
    await clock.advance(1)
    loser, winner, late = await racing
    assert (loser.cancelled(), winner.result(), late.cancelled()) == (True, "done", True)
    assert clock.sleeping == 0


async def _after(clock: VirtualClock, seconds: float) -> str:
    await clock.sleep(seconds)
    return "done"


async def test_an_error_is_a_way_of_being_first() -> None:
    async def fails() -> None:
        raise KeyError("on purpose")

    failed, other = await race(fails(), asyncio.Event().wait())
    assert isinstance(failed.exception(), KeyError)
    assert other.cancelled()


async def test_a_race_that_is_cancelled_cancels_everybody() -> None:
    clock = VirtualClock()
    racing = asyncio.create_task(race(_after(clock, 1), clock.sleep(2)))
    await clock.advance(0.5)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert clock.sleeping == 0


async def test_what_was_begun_is_finished() -> None:
    clock, done = VirtualClock(), list[str]()

    async def work() -> None:
        done.append(await _after(clock, 1))

    caller = asyncio.create_task(to_the_end(work()))
    await clock.advance(0.5)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await clock.advance(0.5)
    assert done == ["done"]
    assert await to_the_end(asyncio.sleep(0, "result")) == "result"


async def test_a_task_says_of_itself_alone_that_it_lasts() -> None:
    async def another() -> bool:
        return lasts()

    assert not lasts()
    with lasting():
        assert lasts()
        assert not await asyncio.create_task(another())
    assert not lasts()
    with pytest.raises(KeyError), lasting():
        raise KeyError("on purpose")
    assert not lasts()
