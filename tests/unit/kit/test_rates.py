"""Rate limits, kept before a platform says so."""

import asyncio

import pytest

from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.rates import Rate, Rates
from chamade_mcp.kit.testing import VirtualClock

CHAT = Rate(1, 1.0)
BOT = Rate(30, 1.0)
GROUP = Rate(20, 60.0)


async def moments(clock: VirtualClock, rates: Rates, count: int, *limits: tuple[str, Rate]) -> list[float]:
    """When each of `count` turns came, one after another."""
    began = clock.monotonic()

    async def speak() -> list[float]:
        found = list[float]()
        for _ in range(count):
            await rates.turn(*limits)
            found.append(round(clock.monotonic() - began, 3))
        return found

    speaking = asyncio.create_task(speak())
    await clock.advance(0)
    while not speaking.done():
        await clock.advance(0.1)
    return await speaking


async def test_one_chat_waits_for_its_second() -> None:
    clock = VirtualClock()
    assert await moments(clock, Rates(clock), 3, ("chat 1", CHAT)) == [0, 1, 2]


async def test_chats_share_the_limit_of_their_bot() -> None:
    clock = VirtualClock()
    rates = Rates(clock)
    for chat in range(30):
        assert await moments(clock, rates, 1, (f"chat {chat}", CHAT), ("bot", BOT)) == [0]
    assert await moments(clock, rates, 1, ("chat 30", CHAT), ("bot", BOT)) == [0.033]


async def test_a_long_wait_is_told_and_uses_nothing_up() -> None:
    clock = VirtualClock()
    rates = Rates(clock)
    assert await moments(clock, rates, 20, ("group", GROUP)) == [0] * 20
    assert await moments(clock, rates, 1, ("group", GROUP)) == [3]
    rates.hold("bot", 40)
    for _ in range(2):
        with pytest.raises(PlatformUnavailable) as caught:
            await rates.turn(("group", GROUP), ("bot", BOT))
        assert caught.value.retry_after == pytest.approx(40)
    await clock.advance(40)
    assert await moments(clock, rates, 1, ("group", GROUP), ("bot", BOT)) == [0]


async def test_what_is_no_longer_used_is_forgotten() -> None:
    clock = VirtualClock()
    rates = Rates(clock)
    for chat in range(10_001):
        await rates.turn((f"chat {chat}", CHAT))
    await clock.advance(2)
    for chat in range(10):
        await rates.turn((f"late {chat}", CHAT))
    assert len(rates) <= 10
