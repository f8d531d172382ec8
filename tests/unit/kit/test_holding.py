"""A link that lives as long as what keeps it."""

import asyncio

import pytest

from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.holding import Fate, holding
from chamade_mcp.kit.http import Unanswered, repeatable


async def test_a_link_ends_by_what_any_part_of_it_finds() -> None:
    async def finds(error: Exception) -> None:
        raise error

    async def has_parts(error: Exception) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(finds(error))

    for keeper in (finds, has_parts):
        for error in (AuthNeeded("gone"), PlatformUnavailable("down", 3), KeyError("broken")):
            with pytest.raises(type(error)) as caught:
                async with holding(keeper(error), Fate().sealed()):
                    await asyncio.Event().wait()
            assert caught.value is error


async def test_what_is_known_goes_before_what_is_not() -> None:
    fate, begun = Fate(), asyncio.Event()

    async def breaks() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            raise KeyError("broken")

    async def link() -> None:
        async with holding(breaks(), fate.sealed()):
            await begun.wait()
            fate.lost(AuthNeeded("gone"))
            await asyncio.Event().wait()

    with pytest.raises(AuthNeeded, match="gone"):
        await link()


async def test_a_call_that_is_no_longer_let_in_ends_the_link() -> None:
    async def called(error: Exception | None = None) -> str:
        if error is not None:
            raise error
        return "done"

    fate = Fate()
    assert await fate.decided_by(called()) == "done"
    with pytest.raises(Unanswered):
        await fate.decided_by(called(Unanswered("silent")))
    for words in ("gone", "gone again"):
        with pytest.raises(PlatformUnavailable, match=f"^{words}$"):
            await fate.decided_by(called(AuthNeeded(words)))
    with pytest.raises(AuthNeeded, match=r"^gone$"):
        await fate.sealed()


def test_what_may_be_done_twice_is_out_of_reach_where_nobody_answers() -> None:
    with pytest.raises(PlatformUnavailable, match=r"^silent$"), repeatable():
        raise Unanswered("silent")
    with pytest.raises(KeyError), repeatable():
        raise KeyError("on purpose")
