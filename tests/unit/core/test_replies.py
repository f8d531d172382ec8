"""The reply clock: what a person who wrote sees while the agent is silent."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chamade_mcp.core.replies import TYPING_EVERY_S, Correspondent, ReplyClock
from chamade_mcp.core.sending import NO_REPLY
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.testing import SCRIPTED, VirtualClock
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import AccountId, AgentId, ConversationId, ConversationRef
from tests.support.house import House, open_house
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until

TIMEOUT_S = 60.0
BEAT_S = 0.5


@pytest.fixture
async def house(database_path: Path) -> AsyncGenerator[House]:
    async with open_house(database_path, reply_timeout_s=TIMEOUT_S) as house:
        yield house


def notices(house: House) -> list[str]:
    """To whom the gateway has said that nobody answers."""
    return [to for to, message in house.platform.delivered if message.text == NO_REPLY]


async def silence(house: House, seconds: float = TIMEOUT_S + BEAT_S) -> None:
    """Time passes; what becomes due goes through the database, which the virtual clock does not wait for."""
    before, clocks = len(notices(house)), house.inbox.waiting
    await house.clock.advance(seconds)
    if house.inbox.waiting < clocks:
        await until(lambda: len(notices(house)) > before)


async def status_of_notice(house: House, owner: Principal) -> str:
    """Once it is settled."""
    async with asyncio.timeout(BOUND_S):
        while True:
            (conversation,) = (await house.inbox.detail(owner, SCRIPTED))["conversations"]
            found = [m["status"] for m in conversation["messages"] if m["text"] == NO_REPLY]
            if found not in ([], ["pending"]):
                return found[0]


# --- the notice ---------------------------------------------------------------------------------------------


@requirement("R-118")
async def test_silence_is_told_after_a_minute(house: House) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(TIMEOUT_S - BEAT_S)
    assert (notices(house), house.inbox.waiting) == ([], 1)
    await silence(house, 2 * BEAT_S)
    assert (notices(house), house.inbox.waiting) == (["alice"], 0)
    (_, message), = house.platform.delivered  # fmt: skip
    assert message.sender_name == "Gateway"
    await house.inbox.stop()
    (conversation,) = (await house.inbox.delta(owner, cursor))["conversations"]
    told = conversation["messages"][-1]
    assert (told["direction"], told["sender"], told["text"]) == ("outbound", "Gateway", NO_REPLY)
    assert told["status"] == "delivered"


async def test_one_notice_for_one_silence(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await silence(house)
    shown = len(house.platform.typed)
    for _ in range(3):
        await house.platform.write(owner.scope, "anybody?")
        await house.clock.advance(2 * TIMEOUT_S)
    assert notices(house) == ["alice"]
    assert len(house.platform.typed) == shown, "nobody is typing, and the person knows"
    await house.platform.write(owner.scope, "hello", conversation="bob")
    await silence(house)
    assert notices(house) == ["alice", "bob"]

    alice = (await house.inbox.snapshot(owner))["conversations"]
    by_name = {c["remote_name"]: c["conversation_id"] for c in alice}
    await house.inbox.send(owner, SCRIPTED, "sorry", conversation_id=by_name["Alice"])
    await house.platform.write(owner.scope, "there you are")
    await silence(house)
    await house.platform.write(owner.scope, "hello again", conversation="bob")
    await house.clock.advance(2 * TIMEOUT_S)
    assert notices(house) == ["alice", "bob", "alice"]


async def test_every_message_gives_the_agent_all_its_time(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "one")
    await house.clock.advance(TIMEOUT_S - 10)
    await house.platform.write(owner.scope, "two")
    await house.clock.advance(TIMEOUT_S - BEAT_S)
    assert notices(house) == []
    await silence(house)
    assert notices(house) == ["alice"]


async def test_many_messages_show_one_indicator(house: House) -> None:
    owner = await house.owner()
    for number in range(5):
        await house.platform.write(owner.scope, f"line {number}")
        await house.clock.advance(BEAT_S)
    assert house.platform.typed == ["alice"]
    await house.clock.advance(TYPING_EVERY_S)
    assert house.platform.typed == ["alice", "alice"]


async def test_a_repeated_delivery_starts_no_clock(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", ref="m1")
    await house.inbox.send(owner, SCRIPTED, "answer")
    await house.platform.write(owner.scope, "hello", ref="m1")
    assert house.inbox.waiting == 0


# --- what stops it, and what keeps it going -----------------------------------------------------------------


@requirement("R-119")
async def test_an_answer_stops_the_clock(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(TIMEOUT_S - BEAT_S)
    await house.inbox.send(owner, SCRIPTED, "answer")
    assert house.inbox.waiting == 0
    shown = len(house.platform.typed)
    await house.clock.advance(10 * TIMEOUT_S)
    assert (notices(house), len(house.platform.typed)) == ([], shown)
    assert house.clock.sleeping == 0, "without an open clock nothing runs"


@requirement("R-120")
async def test_keep_typing_and_typing_give_all_the_time_again(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(50)
    await house.inbox.send(owner, SCRIPTED, "on it", keep_typing=True)
    for _ in range(5):
        await house.clock.advance(55)
        assert notices(house) == []
        await house.inbox.typing(owner, SCRIPTED)
    await silence(house)
    assert notices(house) == ["alice"]


async def test_typing_after_the_notice_is_shown_but_brings_no_second_one(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await silence(house)
    shown = len(house.platform.typed)
    await house.inbox.typing(owner, SCRIPTED)
    await house.clock.advance(2 * TIMEOUT_S)
    assert len(house.platform.typed) == shown + TIMEOUT_S / TYPING_EVERY_S
    assert notices(house) == ["alice"]


async def test_an_answer_that_fails_stops_nothing(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(30)
    house.platform.script.send_error = PlatformRefused()
    with pytest.raises(PlatformRefused):
        await house.inbox.send(owner, SCRIPTED, "answer")
    house.platform.script.send_error = None
    await house.clock.advance(30 - BEAT_S)
    assert notices(house) == []
    await silence(house, 2 * BEAT_S)
    assert notices(house) == ["alice"]


# --- the indicator ------------------------------------------------------------------------------------------


@requirement("R-121")
async def test_typing_is_shown_at_once_and_kept_alive(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(0)
    assert house.platform.typed == ["alice"]
    await house.clock.advance(TYPING_EVERY_S)
    assert house.platform.typed == ["alice", "alice"]
    await house.clock.advance(20)
    assert len(house.platform.typed) == 7


async def test_a_platform_out_of_reach_stops_nothing(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.send_error = PlatformUnavailable("down")
    await house.clock.advance(TIMEOUT_S + BEAT_S)
    assert await status_of_notice(house, owner) == "failed"
    house.platform.script.send_error = None
    await house.platform.write(owner.scope, "hello", conversation="bob")
    await silence(house)
    assert notices(house) == ["bob"]


async def test_zero_switches_it_off(database_path: Path) -> None:
    async with open_house(database_path, reply_timeout_s=0) as house:
        owner = await house.owner()
        await house.platform.write(owner.scope, "hello")
        await house.inbox.send(owner, SCRIPTED, "on it", keep_typing=True)
        await house.clock.advance(1000)
        assert (notices(house), house.inbox.waiting, house.clock.sleeping) == ([], 0, 0)
        assert len(house.platform.typed) == 1


async def test_an_account_that_goes_is_told_nothing(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.platform.write(other.scope, "hello", conversation="bob")
    await house.inbox.forget(owner.account)
    await silence(house)
    assert notices(house) == ["bob"]


async def test_the_end_of_the_gateway_ends_the_clock(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.inbox.stop()
    await house.platform.write(owner.scope, "hello?")
    await house.clock.advance(2 * TIMEOUT_S)
    assert notices(house) == []


# --- many ---------------------------------------------------------------------------------------------------


class Counting:
    def __init__(self) -> None:
        self.shown = self.told = 0

    async def show_typing(self, whom: Correspondent) -> None:
        self.shown += 1

    async def tell_no_reply(self, whom: Correspondent) -> None:
        self.told += 1


async def test_ten_thousand_clocks_are_one_sleeper() -> None:
    clock, seen = VirtualClock(), Counting()
    replies = ReplyClock(clock, TIMEOUT_S, seen)
    scope = Scope(AccountId("acct_1"), AgentId("agent_1"))
    people = [
        Correspondent(scope, SCRIPTED, ConversationId(f"conv_{n}"), ConversationRef(str(n)))
        for n in range(10_000)
    ]
    for one in people:
        replies.heard(one)
    await clock.advance(TYPING_EVERY_S)
    assert (replies.open, clock.sleeping, seen.shown) == (10_000, 1, 20_000)
    for one in people[:9_000]:
        replies.stop(one.conversation)
    await clock.advance(TIMEOUT_S)
    assert (replies.open, clock.sleeping, seen.told) == (0, 0, 1_000)
