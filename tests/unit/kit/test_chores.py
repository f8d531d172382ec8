"""Chores that nobody waits for."""

import asyncio
import logging

import pytest

from chamade_mcp.kit.chores import background, forever
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.errors import Unavailable

WORDS = "the flowers were not watered this time"


@pytest.mark.parametrize(
    ("error", "level", "traced"),
    [
        (Unavailable("busy on purpose"), logging.WARNING, False),
        (OSError("full on purpose"), logging.WARNING, False),
        (KeyError("wrong on purpose"), logging.ERROR, True),
    ],
)
async def test_a_chore_that_fails_is_done_again(
    error: Exception, level: int, traced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    clock, rounds = VirtualClock(), list[float]()
    start = clock.monotonic()

    async def chore() -> int:
        rounds.append(clock.monotonic() - start)
        if len(rounds) == 2:
            raise error
        return len(rounds)

    async with background(asyncio.create_task(forever(clock, 60.0, chore, WORDS))):
        await clock.advance(180.0)
    assert rounds == [0.0, 60.0, 120.0, 180.0]
    assert [(record.levelno, record.exc_info is not None) for record in caplog.records] == [(level, traced)]
    assert caplog.records[0].getMessage().startswith(WORDS)


async def test_the_pause_begins_with_the_end_of_the_chore() -> None:
    clock, rounds = VirtualClock(), list[float]()
    start = clock.monotonic()

    async def chore() -> None:
        rounds.append(clock.monotonic() - start)
        await clock.sleep(5.0)

    async with background(asyncio.create_task(forever(clock, 60.0, chore, WORDS))):
        await clock.advance(130.0)
    assert rounds == [0.0, 65.0, 130.0]


@pytest.mark.parametrize("at_s", [1.0, 30.0], ids=["at work", "in the pause"])
async def test_cancelling_ends_it(at_s: float) -> None:
    clock, rounds = VirtualClock(), list[None]()

    async def chore() -> None:
        rounds.append(None)
        await clock.sleep(5.0)

    task = asyncio.create_task(forever(clock, 60.0, chore, WORDS))
    await clock.advance(at_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (len(rounds), clock.sleeping) == (1, 0)
