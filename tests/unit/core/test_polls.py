"""Many who ask the same: one look for all, and never one that is older than the question."""

import asyncio
import gc
from typing import Any

from chamade_mcp.core.polls import SharedLooks
from tests.support.waiting import BOUND_S


class Slow:
    """A database that answers when it is told to, with what it holds at the beginning of a look."""

    def __init__(self) -> None:
        self.holds = 0
        self.looks = 0
        self.gate = asyncio.Event()

    async def look(self) -> dict[str, Any]:
        self.looks += 1
        held = self.holds
        await self.gate.wait()
        return {"held": held}


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_those_who_ask_before_the_look_begins_share_it() -> None:
    looks, slow = SharedLooks(), Slow()
    asking = [asyncio.create_task(looks.ask("q", slow.look)) for _ in range(1_000)]
    await turns()
    slow.gate.set()
    assert {answer["held"] for answer in await asyncio.gather(*asking)} == {0}
    assert slow.looks == 1


async def test_who_asks_during_a_look_gets_the_next_one() -> None:
    looks, slow = SharedLooks(), Slow()
    early = asyncio.create_task(looks.ask("q", slow.look))
    await turns()
    slow.holds = 1
    late = [asyncio.create_task(looks.ask("q", slow.look)) for _ in range(100)]
    await turns()
    slow.gate.set()
    assert (await early)["held"] == 0
    assert {answer["held"] for answer in await asyncio.gather(*late)} == {1}
    assert slow.looks == 2


async def test_different_questions_wait_for_nobody() -> None:
    looks, slow, quick = SharedLooks(), Slow(), Slow()
    quick.gate.set()
    stuck = asyncio.create_task(looks.ask("one", slow.look))
    await turns()
    assert await asyncio.wait_for(looks.ask("other", quick.look), BOUND_S) == {"held": 0}
    slow.gate.set()
    await stuck


async def test_who_goes_away_takes_no_answer_from_the_others() -> None:
    looks, slow = SharedLooks(), Slow()
    asking = [asyncio.create_task(looks.ask("q", slow.look)) for _ in range(3)]
    await turns()
    asking[0].cancel()
    await turns()
    slow.gate.set()
    assert [a["held"] for a in await asyncio.gather(*asking[1:])] == [0, 0]
    assert asking[0].cancelled()


async def test_an_error_is_told_to_all_and_to_nobody_after() -> None:
    looks, calls = SharedLooks(), 0

    async def look() -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("broken")
        return {}

    told = await asyncio.gather(*(looks.ask("q", look) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in told] == [OSError] * 3
    assert await looks.ask("q", look) == {}


async def test_an_error_that_nobody_waits_for_is_nobodys() -> None:
    """Not a task exception that was never retrieved, which the log would show at some later time."""
    looks, gate = SharedLooks(), asyncio.Event()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def look() -> dict[str, Any]:
        await gate.wait()
        raise OSError("broken")

    asking = asyncio.create_task(looks.ask("q", look))
    await turns()
    asking.cancel()
    gate.set()
    await turns()
    del asking
    gc.collect()
    assert complaints == []
