"""Each message names the one before it in its conversation: none gets lost, whatever comes and goes."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, select, text

from chamade_mcp.core import agent_rows, dms
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.core.retention import Retention
from chamade_mcp.core.sending import SendResult
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import COMMON, ConversationId, ConversationRef, MessageId, MessageRef, new_agent_id
from chamade_mcp.model.messages import Sender
from chamade_mcp.store.schema import agents, conversations, messages
from tests.support.house import House
from tests.support.waiting import until
from tests.unit.core.test_together import at_once

DAY_S = 86_400.0
LINK = SCRIPTED, COMMON


async def shown(house: House, owner: Principal) -> dict[str, list[str]]:
    """What was said, by person, as an agent reads it."""
    listed = (await house.inbox.snapshot(owner))["conversations"]
    whole = [await house.inbox.conversation(owner, one["conversation_id"]) for one in listed]
    return {one["remote_name"]: [m["text"] for m in one["messages"]] for one in whole}


async def test_what_follows_a_repeated_delivery_follows_what_is_before_that(house: House) -> None:
    owner, write = await house.owner(), house.platform.write
    await write(owner.scope, "one", ref="1")
    await at_once(
        house,
        write(owner.scope, "two", ref="2"),
        write(owner.scope, "one", ref="1"),
        write(owner.scope, "from bob", conversation="bob"),
        write(owner.scope, "two", ref="2"),
        write(owner.scope, "three", ref="3"),
        write(owner.scope, "one", ref="1"),
    )
    await write(owner.scope, "four", ref="4")
    alice, bob = ["one", "two", "three", "four"], ["from bob"]
    assert sorted((await shown(house, owner)).values()) == [bob, alice]


async def test_what_is_sent_again_under_its_ids_stays_where_it_is(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "one")

    def send(message: MessageId) -> Coroutine[Any, Any, SendResult]:
        return house.inbox.send(owner, SCRIPTED, message, message_id=message)

    two, three = MessageId("msg_two"), MessageId("msg_three")
    for _ in range(2):
        await at_once(house, send(two), send(three))
    await house.platform.write(owner.scope, "four")
    await at_once(house, send(two), send(three), house.platform.write(owner.scope, "five"))
    said = ["one", "msg_two", "msg_three", "four", "five"]
    async with asyncio.timeout(10):
        assert list((await shown(house, owner)).values()) == [said]


async def test_what_waits_to_be_sent_keeps_what_was_said_after_it(house: House) -> None:
    owner, write = await house.owner(), house.platform.write
    retention = Retention(house.database, house.clock, house.inbox.messages_removed)
    await retention.change(owner, {"messages_days": 1})
    await write(owner.scope, "one")
    await write(owner.scope, "from bob", conversation="bob")
    house.platform.script.send_error = PlatformUnavailable("down")
    await house.inbox.send(
        owner, SCRIPTED, "an answer", conversation_id=await place_of(house, owner, "alice")
    )
    await write(owner.scope, "two")
    house.clock.jump(DAY_S + 1)
    await retention.sweep()
    assert list((await shown(house, owner)).values()) == [["an answer", "two"]]
    house.platform.script.send_error = None
    await house.clock.advance(60)
    await until(lambda: house.platform.delivered)
    await retention.sweep()
    assert await shown(house, owner) == {}
    assert await house.database.read(count) == (0, 0)


async def test_an_agent_that_goes_takes_what_was_said_to_it_and_nothing_else(house: House) -> None:
    owner, write = await house.owner(), house.platform.write
    second = Scope(owner.account, new_agent_id())
    row = {"id": second.agent, "account_id": owner.account, "name": "Second", "is_default": False}
    new = agents.insert().values(**row, created_at=house.clock.now())
    await house.database.write(lambda conn: conn.execute(new).rowcount)
    for number in range(3):
        await write(owner.scope, f"to the first {number}")
        await write(second, f"to the second {number}")
        await write(second, f"bob to the second {number}", conversation="bob")
    await house.database.write(lambda conn: agent_rows.remove(conn, second))
    assert list((await shown(house, owner)).values()) == [[f"to the first {n}" for n in range(3)]]
    assert await house.database.read(count) == (1, 3)


async def test_nothing_is_said_in_a_conversation_that_is_gone(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    place = ConversationId(await place_of(house, owner, "alice"))
    whom = Correspondent(owner.scope, SCRIPTED, place, ConversationRef("alice"))
    for table in (messages, conversations):
        await house.database.write(lambda conn, table=table: conn.execute(delete(table)).rowcount)
    await house.inbox.say(whom, "Is anybody there?")
    aside = MessageReceived(whom.ref, MessageRef("2"), Sender("alice", "Alice"), "yes")
    assert not await house.inbox.received_aside(whom, aside)
    assert await house.database.read(count) == (0, 0)
    assert house.platform.delivered == []
    await house.platform.write(owner.scope, "hello again")
    assert list((await shown(house, owner)).values()) == [["hello again"]]


async def test_whether_a_person_has_written_since(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    for answer in ("first", "second"):
        await house.inbox.send(owner, SCRIPTED, answer)

    def heard(conn: Connection) -> dict[str, bool]:
        return {row.text: dms.heard_since(conn, row) for row in conn.execute(select(messages))}

    assert await house.database.read(heard) == {"hello": False, "first": False, "second": False}
    await house.platform.write(owner.scope, "thanks")
    assert await house.database.read(heard) == {"hello": True, "first": True, "second": True, "thanks": False}


@pytest.mark.parametrize("limit", [1, 50])
async def test_the_newest_are_read_without_the_rest(house: House, limit: int) -> None:
    owner = await house.owner()
    for conversation, many in (("alice", 51), ("bob", 1_000)):
        write = (house.platform.write(owner.scope, "x", conversation=conversation) for _ in range(many))
        await asyncio.gather(*write)

    def steps(conn: Connection, conversation: str) -> int:
        """Of SQLite's machine, to read the newest."""
        place = dms.find_by_ref(conn, owner.scope, LINK, ConversationRef(conversation))
        driver: Any = conn.connection.driver_connection
        taken = 0

        def step() -> int:
            nonlocal taken
            taken += 1
            return 0

        driver.set_progress_handler(step, 1)
        assert place is not None
        assert len(dms.newest(conn, place, limit)) == limit
        driver.set_progress_handler(None, 1)
        return taken

    few, many = [
        await house.database.read(lambda conn, one=one: steps(conn, one)) for one in ("alice", "bob")
    ]
    assert many == few


async def test_what_waits_is_found_by_its_index_when_messages_go(house: House) -> None:
    owner = await house.owner()
    retention = Retention(house.database, house.clock, house.inbox.messages_removed)
    await retention.change(owner, {"messages_days": 1})
    asked: list[str] = []

    def trace(conn: Connection, listen: Any) -> None:
        driver: Any = conn.connection.driver_connection
        driver.set_trace_callback(listen)

    await house.database.write(lambda conn: trace(conn, asked.append))
    await retention.sweep()
    await house.database.write(lambda conn: trace(conn, None))
    (statement,) = {one for one in asked if "AS waits" in one}
    plan = text(f"EXPLAIN QUERY PLAN {statement.replace(':', chr(92) + ':')}")
    steps = await house.database.read(lambda conn: [str(step) for step in conn.execute(plan)])
    assert any("ix_messages_pending" in step for step in steps), steps


async def place_of(house: House, owner: Principal, person: str) -> str:
    ref = ConversationRef(person)
    place = await house.database.read(lambda conn: dms.find_by_ref(conn, owner.scope, LINK, ref))
    assert place is not None
    return place.id


def count(conn: Connection) -> tuple[int, int]:
    """Conversations and messages, of everybody."""
    both = [
        conn.execute(select(func.count()).select_from(one)).scalar_one() for one in (conversations, messages)
    ]
    return both[0], both[1]
