"""The inbox: its three modes, and waiting."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event

from chamade_mcp.core import dms
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import InvalidRequest, NotFound, Unauthenticated, ValidationFailed
from chamade_mcp.model.ids import ConversationRef, KeyId
from chamade_mcp.model.limits import LONGEST_WAIT_S
from chamade_mcp.store.schema import accounts
from tests.support.house import House
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until


def texts(answer: dict[str, Any]) -> list[str]:
    """What stands in the messages of a delta or detail, conversation by conversation."""
    return [m["text"] for c in answer["conversations"] for m in c["messages"]]


async def asleep(house: House, poll: "asyncio.Task[Any]") -> None:
    await until(lambda: house.clock.sleeping == 1 or poll.done())
    assert not poll.done()


# --- snapshot -----------------------------------------------------------------------------------------------


@requirement("R-081", "R-082", "R-087")
async def test_a_snapshot_lists_conversations_the_newest_first(house: House) -> None:
    owner = await house.owner()
    assert (await house.inbox.snapshot(owner))["conversations"] == []
    for name in ("alice", "bob", "carol", "alice"):
        await house.clock.advance(1)
        await house.platform.write(owner.scope, f"from {name}", conversation=name)
    answer = await house.inbox.snapshot(owner)
    assert [c["remote_name"] for c in answer["conversations"]] == ["Alice", "Carol", "Bob"]
    assert answer["conversations"][0]["last_message"]["text"] == "from alice"
    assert answer["last_message_cursor"] == await house.inbox.cursor(owner)
    part = await house.inbox.snapshot(owner, limit=1, offset=1)
    assert [c["remote_name"] for c in part["conversations"]] == ["Carol"]
    assert (await house.inbox.snapshot(owner, status="archived"))["conversations"] == []


# --- detail -------------------------------------------------------------------------------------------------


@requirement("R-083", "R-093")
async def test_a_detail_is_the_active_conversation_with_its_messages(house: House) -> None:
    owner = await house.owner()
    assert (await house.inbox.detail(owner, SCRIPTED))["conversations"] == []
    for number in range(5):
        await house.clock.advance(1)
        await house.platform.write(owner.scope, f"{number}")
    await house.inbox.send(owner, SCRIPTED, "answer")
    answer = await house.inbox.detail(owner, SCRIPTED)
    assert texts(answer) == ["0", "1", "2", "3", "4", "answer"]
    assert texts(await house.inbox.detail(owner, SCRIPTED, limit=2)) == ["4", "answer"]
    first = answer["conversations"][0]["messages"][0]
    assert first["id"].startswith("msg_")
    assert (first["direction"], first["sender"], first["attachments"]) == ("inbound", "Alice", [])
    assert answer["conversations"][0]["messages"][-1]["direction"] == "outbound"
    with pytest.raises(ValidationFailed):
        await house.inbox.detail(owner, "fax")


@requirement("R-092")
async def test_one_conversation_by_its_id(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    await house.platform.write(owner.scope, "hello")
    conversation = (await house.inbox.snapshot(owner))["conversations"][0]["conversation_id"]
    found = await house.inbox.conversation(owner, conversation)
    assert [m["text"] for m in found["messages"]] == ["hello"]
    for principal, wanted in ((owner, "conv_unknown"), (other, conversation)):
        with pytest.raises(NotFound, match="Conversation not found"):
            await house.inbox.conversation(principal, wanted)


@requirement("R-098")
async def test_other_platforms_have_no_whatsapp_window(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    assert "whatsapp_window" not in (await house.inbox.snapshot(owner))["conversations"][0]


# --- delta --------------------------------------------------------------------------------------------------


@requirement("R-085")
async def test_a_delta_tells_only_what_is_new(house: House) -> None:
    owner = await house.owner()
    start = await house.inbox.cursor(owner)
    await house.platform.write(owner.scope, "one")
    await house.platform.write(owner.scope, "two", conversation="bob")
    first = await house.inbox.delta(owner, start)
    assert texts(first) == ["one", "two"]
    await house.platform.write(owner.scope, "three")
    second = await house.inbox.delta(owner, first["last_message_cursor"])
    assert texts(second) == ["three"]
    third = await house.inbox.delta(owner, second["last_message_cursor"])
    assert third == {"conversations": [], "last_message_cursor": second["last_message_cursor"]}


async def test_the_agents_own_messages_alone_are_no_news(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    cursor = await house.inbox.cursor(owner)
    await house.inbox.send(owner, SCRIPTED, "answer")
    answer = await house.inbox.delta(owner, cursor)
    assert answer["conversations"] == []
    assert answer["last_message_cursor"] == await house.inbox.cursor(owner)


async def test_news_behind_many_messages_of_its_own(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    cursor = await house.inbox.cursor(owner)
    await asyncio.gather(*(house.inbox.send(owner, SCRIPTED, "answer") for _ in range(510)))
    await house.platform.write(owner.scope, "news")
    assert "news" in texts(await house.inbox.delta(owner, cursor, 55))


async def test_the_limit_counts_conversations(house: House) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    for name in ("alice", "bob", "alice", "carol", "bob"):
        await house.platform.write(owner.scope, name, conversation=name)
    told: list[list[str]] = []
    while found := texts(answer := await house.inbox.delta(owner, cursor, limit=2)):
        told.append(found)
        cursor = answer["last_message_cursor"]
    assert told == [["alice", "alice", "bob"], ["carol", "bob"]]


@requirement("R-086")
async def test_a_plain_timestamp_is_a_cursor(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "old")
    moment = house.clock.now()
    await house.clock.advance(1)
    await house.platform.write(owner.scope, "new")
    for stamp in (iso(moment), moment.isoformat(), moment.replace(tzinfo=None).isoformat()):
        assert texts(await house.inbox.delta(owner, stamp)) == ["new"]
    assert texts(await house.inbox.delta(owner, "1970-01-01")) == ["old", "new"]
    assert texts(await house.inbox.delta(owner, "0999-12-31T00:00:00Z")) == ["old", "new"]
    assert texts(await house.inbox.delta(owner, iso(moment - timedelta(seconds=1)))) == ["old", "new"]
    assert texts(await house.inbox.delta(owner, "9999-12-31T23:59:59Z")) == []


@pytest.mark.parametrize("ahead_s", [0, 90])
async def test_what_comes_after_a_look_is_new_whatever_moment_was_named(house: House, ahead_s: float) -> None:
    """The client's clock may be ahead of the gateway's, and the gateway's may be set back."""
    owner = await house.owner()
    await house.platform.write(owner.scope, "old")
    moment = iso(house.clock.now() + timedelta(seconds=ahead_s))
    looked = await house.inbox.delta(owner, moment)
    assert texts(looked) == []
    polling = asyncio.create_task(house.inbox.delta(owner, moment, 55))
    await asleep(house, polling)
    house.clock.jump(-1)
    await house.platform.write(owner.scope, "new")
    assert texts(await asyncio.wait_for(polling, BOUND_S)) == ["new"]
    assert texts(await house.inbox.delta(owner, looked["last_message_cursor"])) == ["new"]


async def test_a_clock_that_was_set_back_hides_nothing(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "from the future")
    house.clock.jump(-3600)
    moment = iso(house.clock.now())
    await house.clock.advance(1)
    await house.platform.write(owner.scope, "now")
    assert "now" in texts(await house.inbox.delta(owner, moment))


@pytest.mark.parametrize(
    "cursor",
    ["", "|", "x", "x|msg_1", "2026-13-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "\x00"],
)
async def test_what_is_no_cursor(house: House, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await house.inbox.delta(await house.owner(), cursor)
    assert caught.value.code == "INVALID_CURSOR"


async def test_a_foreign_message_in_a_cursor_tells_nothing(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    await house.platform.write(owner.scope, "secret")
    cursor = await house.inbox.cursor(owner)
    answer = await house.inbox.delta(other, cursor, 55)
    assert answer == {
        "reset": True,
        "conversations": [],
        "last_message_cursor": await house.inbox.cursor(other),
        "next": None,
    }


async def test_a_lost_cursor_is_told_with_a_snapshot_to_go_on_from(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "before")
    await house.platform.write(owner.scope, "and before that", conversation="bob")
    lost = f"{iso(house.clock.now())}|msg_unknown"
    answer = await house.inbox.delta(owner, lost, 55)
    assert answer == {"reset": True, **await house.inbox.snapshot(owner)}
    assert await house.inbox.delta(owner, lost) == answer
    assert (await house.inbox.delta(owner, lost, limit=1))["conversations"] == answer["conversations"][:1]
    assert (await house.inbox.delta(owner, lost, platform="telegram"))["conversations"] == []
    await house.platform.write(owner.scope, "after")
    news = await house.inbox.delta(owner, answer["last_message_cursor"])
    assert texts(news) == ["after"]
    assert "reset" not in news


async def test_reading_what_is_new_uses_the_index(house: House) -> None:
    """Without it every poll would read and sort an account's whole history."""
    owner = await house.owner()
    plans: list[str] = []

    def explain(conn: Connection) -> None:
        asked: list[tuple[str, Any]] = []

        def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        event.listen(conn, "before_cursor_execute", note)
        dms.since(conn, owner.scope, 5, None, 500)
        dms.head(conn, owner.scope)
        event.remove(conn, "before_cursor_execute", note)
        for statement, parameters in asked:
            rows = conn.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
            plans.extend(row.detail for row in rows)

    await house.database.read(explain)
    by_number = [p for p in plans if "SEARCH messages USING INDEX" in p and "(account_id=?" in p]
    assert len(by_number) == 2, plans
    assert not any("TEMP B-TREE" in plan or "SCAN" in plan for plan in plans), plans


# --- waiting ------------------------------------------------------------------------------------------------


@requirement("R-088")
async def test_a_poll_ends_as_soon_as_somebody_writes(house: House) -> None:
    owner = await house.owner()
    polling = asyncio.create_task(house.inbox.delta(owner, await house.inbox.cursor(owner), 55))
    await asleep(house, polling)
    await house.platform.write(owner.scope, "hello")
    assert texts(await asyncio.wait_for(polling, BOUND_S)) == ["hello"]
    assert (house.clock.sleeping, house.hub.subscribers) == (0, 0)


@requirement("R-088", "R-089")
@pytest.mark.parametrize(("wait", "ends_at"), [(10, 10), (55, 55), (1000, LONGEST_WAIT_S)])
async def test_a_poll_ends_empty_at_its_deadline(house: House, wait: int, ends_at: int) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    polling = asyncio.create_task(house.inbox.delta(owner, cursor, wait))
    await asleep(house, polling)
    await house.clock.advance(ends_at - 0.001)
    assert not polling.done()
    await house.clock.advance(0.001)
    answer = await asyncio.wait_for(polling, BOUND_S)
    assert answer == {"conversations": [], "last_message_cursor": cursor}


async def test_a_poll_waits_for_its_own_platform_and_agent(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    cursor = await house.inbox.cursor(owner)
    polling = asyncio.create_task(house.inbox.delta(owner, cursor, 55, platform="telegram"))
    await asleep(house, polling)
    await house.platform.write(owner.scope, "elsewhere")
    await house.platform.write(other.scope, "somebody else's")
    await house.clock.advance(30)
    assert not polling.done()
    await house.clock.advance(25)
    assert texts(await asyncio.wait_for(polling, BOUND_S)) == []


async def test_every_poll_of_an_agent_is_answered(house: House) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    polls = [asyncio.create_task(house.inbox.delta(owner, cursor, 55)) for _ in range(5)]
    await until(lambda: house.hub.subscribers == 5)
    await house.platform.write(owner.scope, "hello")
    assert [texts(a) for a in await asyncio.wait_for(asyncio.gather(*polls), BOUND_S)] == [["hello"]] * 5


async def test_who_waits_with_what_is_revoked_hears_nothing_more(house: House) -> None:
    owner = await house.owner()
    first, second = (replace(owner, key=KeyId(f"key_{n}")) for n in range(2))
    cursor = await house.inbox.cursor(owner)
    polling = asyncio.create_task(house.inbox.delta(first, cursor, 55))
    staying = asyncio.create_task(house.inbox.delta(second, cursor, 55))
    await until(lambda: house.hub.subscribers == 2)
    await house.inbox.revoked(KeyId("key_0"))
    await house.platform.write(owner.scope, "secret")
    with pytest.raises(Unauthenticated) as caught:
        await asyncio.wait_for(polling, BOUND_S)
    assert caught.value.code == "REVOKED_API_KEY"
    assert texts(await asyncio.wait_for(staying, BOUND_S)) == ["secret"]
    assert (house.clock.sleeping, house.hub.subscribers) == (0, 0)


async def test_who_waits_while_the_account_goes_is_told(house: House) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    polling = asyncio.create_task(house.inbox.delta(owner, cursor, 55))
    await asleep(house, polling)
    await house.inbox.forget(owner.account)
    gone = delete(accounts).where(accounts.c.id == owner.account)
    await house.database.write(lambda conn: conn.execute(gone).rowcount)
    assert texts(await house.inbox.delta(owner, cursor, 0)) == [], "who looks just then finds nothing"
    await house.clock.advance(55)
    with pytest.raises(Unauthenticated):
        await asyncio.wait_for(polling, BOUND_S)


async def test_the_end_of_the_gateway_answers_every_poll(house: House) -> None:
    owner = await house.owner()
    polling = asyncio.create_task(house.inbox.delta(owner, await house.inbox.cursor(owner), 55))
    await asleep(house, polling)
    await house.inbox.stop()
    assert texts(await asyncio.wait_for(polling, BOUND_S)) == []


async def test_a_poll_whose_client_goes_away_leaves_nothing(house: House) -> None:
    owner = await house.owner()
    polling = asyncio.create_task(house.inbox.delta(owner, await house.inbox.cursor(owner), 55))
    await asleep(house, polling)
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    assert (house.clock.sleeping, house.hub.subscribers) == (0, 0)


# --- receiving ----------------------------------------------------------------------------------------------


async def test_a_repeated_delivery_changes_nothing(house: House) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    for _ in range(3):
        await house.platform.write(owner.scope, "once", ref="m1")
    await house.platform.write(owner.scope, "another conversation", conversation="bob", ref="m1")
    assert texts(await house.inbox.delta(owner, cursor)) == ["once", "another conversation"]


async def test_what_was_said_is_told_even_if_the_sender_leaves_at_once(house: House) -> None:
    owner = await house.owner()
    polling = asyncio.create_task(house.inbox.delta(owner, await house.inbox.cursor(owner), 55))
    await asleep(house, polling)
    writing = asyncio.create_task(house.platform.write(owner.scope, "bye"))
    await asyncio.sleep(0)
    writing.cancel()
    assert texts(await asyncio.wait_for(polling, BOUND_S)) == ["bye"]
    assert writing.cancelled()


async def test_half_a_surrogate_pair_is_marked(house: House) -> None:
    owner = await house.owner()
    cursor = await house.inbox.cursor(owner)
    await house.platform.write(owner.scope, "half \ud83d of it, whole \U0001f600")
    assert texts(await house.inbox.delta(owner, cursor)) == ["half ? of it, whole \U0001f600"]


async def test_a_conversation_belongs_to_one_account(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    await house.platform.write(owner.scope, "to the first")
    await house.platform.write(other.scope, "to the second")
    for principal, expected in ((owner, "to the first"), (other, "to the second")):
        assert texts(await house.inbox.detail(principal, SCRIPTED)) == [expected]


async def test_what_a_page_shows_again(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", ref="key-1")
    await house.inbox.send(owner, SCRIPTED, "answer")
    history = house.context(SCRIPTED).history
    shown = await history.recent(owner.scope, ConversationRef("alice"), 10)
    assert [(m.text, m.inbound) for m in shown] == [("hello", True), ("answer", False)]
    assert shown[0].key == "key-1"
    assert await history.recent(owner.scope, ConversationRef("nobody"), 10) == []


async def test_the_cursor_in_memory_is_the_one_of_the_database(house: House) -> None:
    owner = await house.owner()

    async def both(principal: Principal) -> tuple[str, str]:
        return await house.inbox.cursor(principal), (await house.inbox.snapshot(principal))[
            "last_message_cursor"
        ]

    for _ in range(3):
        kept, stored = await both(owner)
        assert kept == stored
        await house.platform.write(owner.scope, "hello")
        kept, stored = await both(owner)
        assert kept == stored
        await house.inbox.send(owner, SCRIPTED, "answer")
