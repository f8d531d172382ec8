"""What goes by age, as each account has set it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from chamade_mcp.core.calls import NewCall
from chamade_mcp.core.retention import EVENTS_KEPT, Keeping, Retention
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.store import schema
from tests.support.house import House
from tests.support.waiting import until

DAY_S = 86_400.0


@pytest.fixture
def retention(house: House) -> Retention:
    return Retention(house.database, house.clock, house.inbox.messages_removed)


async def one_chunk() -> AsyncIterator[bytes]:
    yield b"quokka"


async def rows(house: House, owner: Principal, name: str) -> int:
    table = schema.metadata.tables[name]
    query = select(func.count()).select_from(table).where(table.c.account_id == owner.account)
    return await house.database.read(lambda conn: conn.execute(query).scalar_one())


async def test_nothing_has_a_limit_until_one_is_set(house: House, retention: Retention) -> None:
    owner, other = await house.owner(), await house.owner()
    assert await retention.of(owner) == Keeping(None, None, None, None)
    await retention.change(owner, {"messages_days": 3, "files_days": 2})
    assert await retention.change(owner, {"files_days": None}) == Keeping(3, None, None, None)
    assert await retention.change(owner, {}) == Keeping(3, None, None, None)
    assert await retention.of(other) == Keeping(None, None, None, None)


async def test_old_messages_go_with_their_events_and_conversations(
    house: House, retention: Retention
) -> None:
    owner, other = await house.owner(), await house.owner()
    await retention.change(owner, {"messages_days": 2})
    for principal in (owner, other):
        await house.platform.write(principal.scope, "quokka", conversation="alice")
        await house.platform.write(principal.scope, "older", conversation="bob")
    house.clock.jump(DAY_S)
    await house.platform.write(owner.scope, "newer", conversation="bob")
    house.clock.jump(DAY_S + 1)
    assert await retention.sweep() == 4  # two messages, and the two events that told of them
    listed = (await house.inbox.snapshot(owner))["conversations"]
    assert [one["last_message"]["text"] for one in listed] == ["newer"]
    (bob,) = listed
    shown = await house.inbox.conversation(owner, bob["conversation_id"])
    assert [one["text"] for one in shown["messages"]] == ["newer"]
    assert await rows(house, owner, "events") == 1
    assert await rows(house, other, "messages") == 2
    assert await rows(house, other, "events") == 2


async def test_polling_goes_on_when_all_messages_have_gone(house: House, retention: Retention) -> None:
    owner = await house.owner()
    await retention.change(owner, {"messages_days": 1})
    await house.platform.write(owner.scope, "hello")
    lost = await house.inbox.cursor(owner)
    house.clock.jump(DAY_S + 1)
    await retention.sweep()
    assert (await house.inbox.delta(owner, lost))["reset"] is True
    fresh = await house.inbox.cursor(owner)
    await house.platform.write(owner.scope, "again")
    answer = await house.inbox.delta(owner, fresh)
    assert [m["text"] for c in answer["conversations"] for m in c["messages"]] == ["again"]


async def test_old_lines_of_transcripts_and_chats_go(house: House, retention: Retention) -> None:
    owner = await house.owner()
    await retention.change(owner, {"transcripts_days": 10})
    view = await house.calls.create(owner, NewCall(SCRIPTED))
    await until(lambda: house.platform.legs)
    live = house.engine.find(owner.scope, view.record.id)
    await house.calls.add_transcript(live, "Alice", "first")
    await house.platform.post(owner.scope, view.record.room, "first")
    house.clock.jump(DAY_S * 10)
    await house.calls.add_transcript(live, "Alice", "second")
    await house.calls.chat(owner, view.record.id, "second")
    house.clock.jump(1)
    await retention.sweep()
    assert await rows(house, owner, "transcript_lines") == 1
    assert await rows(house, owner, "call_chat") == 1
    assert await rows(house, owner, "calls") == 1


async def test_old_files_go_with_their_bytes(house: House, retention: Retention) -> None:
    owner = await house.owner()
    await retention.change(owner, {"files_days": 1})
    await house.files.save(owner.scope, name="a.txt", mime="text/plain", chunks=one_chunk())
    house.clock.jump(DAY_S)
    await retention.sweep()
    assert await house.files.sweep() == 0
    house.clock.jump(1)
    await retention.sweep()
    assert await house.files.sweep() == 1
    assert not [path for path in house.files_root.rglob("*") if path.is_file()]


def test_events_stay_no_longer_than_what_they_tell() -> None:
    assert Keeping(None, 1, None, 1).events() == EVENTS_KEPT
    assert Keeping(3, None, 5, None).events().days == 3
    assert Keeping(30, None, 60, None).events() == EVENTS_KEPT
