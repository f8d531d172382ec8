"""Usage by the day: what is counted, once, and stays when messages go."""

from typing import Any

import pytest
from sqlalchemy import Connection, text

from chamade_mcp.core import usage_rows
from chamade_mcp.core.calls import NewCall
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.core.retention import Retention
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import ConversationId, ConversationRef, MessageRef
from chamade_mcp.model.messages import DeliveryState, Sender
from chamade_mcp.store import schema
from tests.support.house import House
from tests.support.requirement import requirement
from tests.support.waiting import until

DAY_S = 86_400.0


async def used(house: House, principal: Principal, days: int = 30) -> dict[str, Any]:
    return await house.usage.of(principal, days)


@requirement("R-190")
async def test_what_there_is_is_the_accounts_own(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    for principal in (owner, owner, other):
        await house.calls.create(principal, NewCall(SCRIPTED))
    await house.platform.write(owner.scope, "hello")
    told = await used(house, owner)
    assert (told["call_count"], told["concurrent_calls"]["active"]) == (2, 2)
    assert told["platforms"] == {SCRIPTED: {"calls": 2, "conversations": 1}}
    assert (told["total"]["calls"], told["total"]["messages_in"]) == (2, 1)
    nobody = await used(house, await house.owner())
    assert nobody["platforms"] == {}
    assert nobody["total"]["platforms"] == {}


async def test_every_message_is_counted_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_rows, "_PAGE", 2)
    owner = await house.owner()
    for n in range(5):
        await house.platform.write(owner.scope, f"hello {n}", ref=f"m-{n}")
    await house.platform.write(owner.scope, "hello again", ref="m-0")  # a repeated delivery
    assert (await used(house, owner))["total"]["messages_in"] == 5
    await house.inbox.send(owner, SCRIPTED, "answer")
    for _ in range(2):
        total = (await used(house, owner))["total"]
        assert (total["messages_in"], total["messages_out"], total["failed"]) == (5, 1, 0)


async def test_an_answer_answers_what_was_said_to_the_agent(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", conversation="operator")
    row = await house.database.read(lambda conn: conn.execute(schema.conversations.select()).one())
    ref, operator = ConversationRef("operator"), Sender("operator", "Olga")
    whom = Correspondent(owner.scope, SCRIPTED, ConversationId(row.id), ref)
    house.clock.jump(10)
    await house.inbox.say(whom, "Shall the agent wait?")
    yes = MessageReceived(ref, MessageRef("yes"), operator, "yes")
    assert await house.inbox.received_aside(whom, yes)
    house.clock.jump(20)
    await house.inbox.send(owner, SCRIPTED, "an answer, 30 s after the question")
    await house.inbox.say(whom, "Noted")
    await house.inbox.send(owner, SCRIPTED, "not another one")
    total = (await used(house, owner))["total"]
    assert (total["answers"], total["answer_p50_s"]) == (1, pytest.approx(30.0, rel=0.08))


async def test_each_day_has_its_own_and_those_before_are_left_out(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "long ago")
    house.clock.jump(3 * DAY_S)
    await house.platform.write(owner.scope, "today")
    told = await used(house, owner, 3)
    assert [day["messages_in"] for day in told["days"]] == [0, 0, 1]
    assert [day["platforms"].keys() for day in told["days"]] == [set(), set(), {SCRIPTED}]
    assert told["days"][0]["day"] == told["first_day"] < told["last_day"] == told["days"][2]["day"]
    assert told["total"]["messages_in"] == 1
    assert (await used(house, owner, 4))["total"]["messages_in"] == 2


async def test_how_fast_the_agent_answers(house: House) -> None:
    owner = await house.owner()
    for waits_s, conversation in ((2.0, "alice"), (30.0, "bob")):
        house.clock.jump(1)  # or either would be the latest conversation, to which answers go
        await house.platform.write(owner.scope, "hello", conversation=conversation)
        house.clock.jump(waits_s)
        await house.inbox.send(owner, SCRIPTED, "answer")
        await house.inbox.send(owner, SCRIPTED, "and something else")
    total = (await used(house, owner))["total"]
    assert (total["answers"], total["messages_out"]) == (2, 4)
    assert total["answer_p50_s"] == pytest.approx(2.0, rel=0.08)
    assert total["answer_p95_s"] == pytest.approx(30.0, rel=0.08)


async def test_a_message_that_names_itself_as_the_one_before_ends_the_search(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    for words in ("of the gateway", "of the agent"):
        await house.inbox.send(owner, SCRIPTED, words)
    circle = "UPDATE messages SET before_seq = seq, sender_name = 'gateway' WHERE text = 'of the gateway'"
    await house.database.write(lambda conn: conn.exec_driver_sql(circle))
    assert (await used(house, owner))["total"]["answers"] == 0


async def test_a_failure_is_one_as_long_as_it_was_not_made_good(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.delivery = DeliveryState.FAILED
    with pytest.raises(PlatformRefused):
        await house.inbox.send(owner, SCRIPTED, "answer")
    (conversation,) = (await house.inbox.snapshot(owner))["conversations"]
    message = conversation["last_message"]["id"]
    total = (await used(house, owner))["total"]
    assert (total["messages_out"], total["failed"]) == (1, 1)
    house.platform.script.delivery = DeliveryState.DELIVERED
    await house.inbox.retry(owner, message)
    total = (await used(house, owner))["total"]
    assert (total["messages_out"], total["failed"]) == (1, 0)


async def test_counts_stay_when_messages_go(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.delivery = DeliveryState.FAILED
    with pytest.raises(PlatformRefused):
        await house.inbox.send(owner, SCRIPTED, "answer")
    retention = Retention(house.database, house.clock, house.inbox.messages_removed)
    await retention.change(owner, {"messages_days": 1})
    house.clock.jump(DAY_S + 1)
    await retention.sweep()
    assert (await house.inbox.snapshot(owner))["conversations"] == []
    told = await used(house, owner)
    total = told["total"]
    assert (total["messages_in"], total["messages_out"], total["failed"], total["answers"]) == (1, 1, 1, 1)
    assert told["platforms"] == {}


async def test_calls_are_counted_and_timed(house: House) -> None:
    owner = await house.owner()
    view = await house.calls.create(owner, NewCall(SCRIPTED))
    await until(lambda: house.platform.legs)
    house.clock.jump(90)
    await house.calls.leave(owner, view.record.id)
    await house.platform.ring(owner.scope)  # nobody takes it, and it is no time
    house.clock.jump(30)
    total = (await used(house, owner))["total"]
    assert total["calls"] == 2
    assert total["call_s"] == pytest.approx(90, abs=2)


async def test_what_failed_is_found_by_its_index(house: House) -> None:
    owner = await house.owner()
    seen: list[str] = []

    def plan(conn: Connection) -> None:
        driver = conn.connection.driver_connection
        assert driver is not None
        driver.set_trace_callback(seen.append)
        usage_rows.counted(conn, owner.scope, "2026-01-01")
        driver.set_trace_callback(None)
        (asked,) = [statement for statement in seen if "FROM messages" in statement]
        steps = conn.execute(text(f"EXPLAIN QUERY PLAN {asked.replace(':', chr(92) + ':')}")).all()
        assert any("ix_messages_failed" in str(step) for step in steps), steps

    await house.database.read(plan)


async def test_a_gateway_that_comes_back_counts_what_it_has(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    for principal in (owner, other):
        await house.platform.write(principal.scope, "hello")
    await house.usage.count_all()
    assert await house.database.read(usage_rows.uncounted) == []
    rows = await house.database.read(lambda conn: conn.execute(schema.usage_counts.select()).all())
    assert {(row.account_id, row.measure, row.amount) for row in rows} == {
        (owner.account, "in", 1),
        (other.account, "in", 1),
    }
