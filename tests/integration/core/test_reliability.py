"""Deliveries repeated, clocks that jump, a platform that hangs, a database somebody else holds."""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chamade_mcp.core.outbox import GIVE_UP_S
from chamade_mcp.core.repeats import Answered, Begun, KeyReused, Repeats, Request
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Conflict
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.limits import RING_S
from chamade_mcp.model.messages import Sender
from chamade_mcp.store.migrate import migrate
from tests.support.gateway_process import gateway_process
from tests.support.house import House, open_house
from tests.support.locked import locked
from tests.support.waiting import BOUND_S, Gate, until

REPLY_S = 60.0


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    migrate(tmp_path / "chamade.db")
    async with open_house(tmp_path / "chamade.db", reply_timeout_s=REPLY_S) as house:
        yield house


async def test_what_is_delivered_five_times_at_once_is_one_message(house: House) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    facts = [
        MessageReceived(ConversationRef("c"), MessageRef(f"m{n}"), Sender("ann", "Ann"), f"text {n}")
        for n in range(40)
    ]
    emit = house.platform.context.emit
    for fact in facts:
        await asyncio.gather(*(emit(owner.scope, fact) for _ in range(5)))
    found = (await house.inbox.delta(owner, cursor))["conversations"]
    assert [m["text"] for m in found[0]["messages"]] == [f"text {n}" for n in range(40)]


@pytest.mark.parametrize("jump_s", [7_200.0, -3_600.0])
async def test_nothing_is_early_or_late_when_the_wall_clock_jumps(house: House, jump_s: float) -> None:
    """A person is told that nobody answers after a minute of waiting, whatever the wall clock says."""
    owner = await house.owner()
    await house.platform.write(owner.scope, "Anybody there?")
    await until(lambda: house.inbox.waiting == 1)
    await house.clock.advance(REPLY_S / 2)
    house.clock.jump(jump_s)
    await house.clock.advance(REPLY_S / 2 - 1)
    assert house.platform.delivered == []
    await house.clock.advance(2)
    await until(lambda: len(house.platform.delivered) == 1)


@pytest.mark.parametrize("jump_s", [7_200.0, -3_600.0])
async def test_a_message_is_tried_for_an_hour_when_the_wall_clock_jumps(house: House, jump_s: float) -> None:
    owner = await house.owner()
    for person in ("early", "late"):
        await house.platform.write(owner.scope, "Hello", conversation=person)
    early, late = [
        c["conversation_id"]
        for name in ("Early", "Late")
        for c in (await house.inbox.snapshot(owner))["conversations"]
        if c["remote_name"] == name
    ]
    house.platform.script.send_error = PlatformUnavailable("down")
    assert (await house.inbox.send(owner, SCRIPTED, "x", conversation_id=early)).status == 202
    house.clock.jump(jump_s)
    await house.clock.advance(GIVE_UP_S - 130)
    assert (await house.inbox.send(owner, SCRIPTED, "y", conversation_id=late)).status == 202
    house.clock.jump(jump_s)
    house.platform.script.send_error = None
    async with asyncio.timeout(BOUND_S):
        while len(house.platform.delivered) < 2:
            await house.clock.advance(0.1)
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("jump_s", [7_200.0, -3_600.0])
async def test_a_message_is_given_up_after_an_hour_when_the_wall_clock_jumps(
    house: House, jump_s: float
) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "Hello")
    house.platform.script.send_error = PlatformUnavailable("down")
    assert (await house.inbox.send(owner, SCRIPTED, "x")).status == 202
    house.clock.jump(jump_s)
    await house.clock.advance(GIVE_UP_S + 61)
    async with asyncio.timeout(BOUND_S):
        while (await last_message(house, owner))["status"] != "failed":  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def last_message(house: House, owner: Principal) -> dict[str, Any]:
    return (await house.inbox.detail(owner, SCRIPTED))["conversations"][0]["messages"][-1]


@pytest.mark.parametrize("jump_s", [7_200.0, -3_600.0])
async def test_a_call_rings_for_a_minute_when_the_wall_clock_jumps(house: House, jump_s: float) -> None:
    owner = await house.owner()
    room = await house.platform.ring(owner.scope)
    house.clock.jump(jump_s)
    await house.clock.advance(RING_S - 0.1)
    assert house.platform.refused == []
    await house.clock.advance(0.2)
    await until(lambda: house.platform.refused == [room])


async def test_a_poll_waits_as_long_as_it_asked_when_the_wall_clock_jumps(house: House) -> None:
    owner = await house.owner()
    poll = asyncio.create_task(house.inbox.delta(owner, await house.inbox.cursor(owner), 50))
    await until(lambda: house.clock.sleeping == 1)
    house.clock.jump(7_200)
    await house.clock.advance(49)
    assert not poll.done()
    await house.clock.advance(2)
    assert (await asyncio.wait_for(poll, BOUND_S))["conversations"] == []


async def test_one_conversation_that_hangs_holds_up_no_other(house: House) -> None:
    owner = await house.owner()
    for name in ("stuck", *(f"c{n}" for n in range(50))):
        fact = MessageReceived(ConversationRef(name), MessageRef(name), Sender(name, name), "Hello")
        await house.platform.context.emit(owner.scope, fact)
    ids = {
        c["remote_name"]: c["conversation_id"]
        for c in (await house.inbox.snapshot(owner, limit=100))["conversations"]
    }
    hold = house.platform.script.hold = Gate()
    stuck = asyncio.create_task(house.inbox.send(owner, "scripted", "hangs", conversation_id=ids["stuck"]))
    await asyncio.wait_for(hold.reached.wait(), BOUND_S)
    house.platform.script.hold = None
    waits: list[float] = []
    for name, conversation in ids.items():
        if name != "stuck":
            began = time.perf_counter()
            await house.inbox.send(owner, "scripted", "Hi", conversation_id=conversation)
            waits.append(time.perf_counter() - began)
    assert len(waits) == 50
    assert max(waits) < 1.0
    assert not stuck.done()
    hold.set()
    assert (await stuck).status == 200


async def test_what_became_of_a_message_is_stored_when_the_database_is_free_again(
    house: House, tmp_path: Path
) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "Hello")
    hold = house.platform.script.hold = Gate()
    sending = asyncio.create_task(house.inbox.send(owner, SCRIPTED, "Hi"))
    await asyncio.wait_for(hold.reached.wait(), BOUND_S)
    with locked(tmp_path / "chamade.db"):
        asleep = house.clock.sleeping
        hold.set()
        await until(lambda: house.clock.sleeping > asleep, bound_s=20)
        assert (await last_message(house, owner))["status"] == "pending"
    await house.clock.advance(1)
    assert (await asyncio.wait_for(sending, BOUND_S)).status == 200
    assert (await last_message(house, owner))["status"] == "delivered"
    assert len(house.platform.delivered) == 1


async def test_a_key_is_not_lost_when_its_answer_cannot_be_stored(house: House, tmp_path: Path) -> None:
    owner, answer = await house.owner(), Answered(200, '{"status": "delivered"}')
    repeats = Repeats(house.database, house.clock, house.box)
    done, undone = (Request(owner.scope, key, "digest") for key in ("done", "undone"))
    assert isinstance(await repeats.begin(done), Begun)
    begun = await repeats.begin(undone)
    with locked(tmp_path / "chamade.db"):
        await asyncio.gather(repeats.finish(done, answer), repeats.release(undone))
        assert await repeats.begin(done) == answer
        with pytest.raises(KeyReused):
            await repeats.begin(replace(done, digest="another"))
    assert await repeats.begin(undone) == begun, "nothing was done: it begins anew"
    with pytest.raises(Conflict):
        await repeats.begin(undone)
    assert await repeats.begin(done) == answer
    after_a_restart = Repeats(house.database, house.clock, house.box)
    assert await after_a_restart.begin(done) == answer
    assert await after_a_restart.begin(undone) == begun


async def test_a_database_that_somebody_else_holds_is_never_answered_with_accepted(tmp_path: Path) -> None:
    async with (
        gateway_process(tmp_path / "data") as gateway,
        httpx2.AsyncClient(base_url=gateway.url, headers={"x-api-key": gateway.key}, timeout=30) as api,
    ):
        assert (await api.post("/api/invite-link", json={"platform": "web"})).status_code == 200
        with locked(tmp_path / "data" / "chamade.db"):
            # Longer than the gateway itself waits for the lock.
            answers = await asyncio.gather(
                *(api.post("/api/invite-link", json={"platform": "web"}) for _ in range(4))
            )
        for answer in answers:
            assert answer.status_code == 503, answer.text
            assert answer.json()["code"] == "DATABASE_BUSY"
            assert int(answer.headers["retry-after"]) >= 1
        assert (await api.post("/api/invite-link", json={"platform": "web"})).status_code == 200
