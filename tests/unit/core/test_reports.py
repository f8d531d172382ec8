"""What platforms tell of messages that are there already."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from chamade_mcp.core import event_log
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import PlatformRefused, delivery_unknown
from chamade_mcp.model.events import START
from chamade_mcp.model.facts import (
    DeliveryChanged,
    MessageDeleted,
    MessageEdited,
    MessageFact,
    Reacting,
    ReactionChanged,
)
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import DeliveryState, Sender
from tests.support.house import House
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, Gate, until

ALICE, HERS = ConversationRef("alice"), MessageRef("m1")


async def told(house: House, owner: Principal) -> list[dict[str, Any]]:
    """The events so far, without what each has and what begins all of these tests."""
    log = await house.database.read(lambda conn: event_log.after(conn, owner.account, START, 100))
    common = ("platform", "conversation_id", "timestamp")
    return [{k: v for k, v in e.event.payload.items() if k not in common} for e in log[1:]]


async def shown(house: House, owner: Principal) -> list[dict[str, Any]]:
    return (await house.inbox.detail(owner, SCRIPTED))["conversations"][0]["messages"]


async def written_to(house: House) -> tuple[Principal, str]:
    """The owner, and our id of what Alice wrote."""
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", ref=HERS)
    return owner, (await shown(house, owner))[0]["id"]


async def answered(house: House) -> tuple[Principal, str, MessageRef]:
    """The owner, our id of the answer to Alice, and the platform's."""
    owner, _ = await written_to(house)
    await house.inbox.send(owner, SCRIPTED, "answer")
    sent = house.platform.delivered[0][1].key
    return owner, sent, MessageRef(f"sent-{sent}")


async def test_a_person_changes_what_they_wrote(house: House) -> None:
    owner, hers = await written_to(house)
    for _ in range(2):
        await house.platform.tell(owner.scope, MessageEdited(ALICE, HERS, "hello\u202e there"))
    (message,) = await shown(house, owner)
    assert (message["text"], message["status"]) == ("hello there", "received")
    assert message["edited_at"] == "2026-11-20T12:00:00.000000Z"
    assert await told(house, owner) == [
        {"type": "dm_edited", "message_id": hers, "sender": "Alice", "text": "hello there"}
    ]


async def test_a_person_takes_back_what_they_wrote(house: House) -> None:
    owner, hers = await written_to(house)
    for _ in range(2):
        await house.platform.tell(owner.scope, MessageDeleted(ALICE, HERS))
    await house.platform.tell(owner.scope, MessageEdited(ALICE, HERS, "late"))
    (message,) = await shown(house, owner)
    assert (message["text"], message["status"]) == ("", "deleted")
    assert await told(house, owner) == [{"type": "dm_deleted", "message_id": hers, "direction": "inbound"}]


async def test_reactions_come_and_go(house: House) -> None:
    owner, answer, ref = await answered(house)
    alice, bob = Sender("a", "Alice"), Sender("b", "Bob")
    for sender, how, emoji in (
        (alice, Reacting.ADDED, ("👍",)),
        (alice, Reacting.ADDED, ("👍",)),  # told twice
        (bob, Reacting.REPLACED, ("🎉", "👍")),
        (alice, Reacting.ADDED, ("❤️",)),
        (alice, Reacting.REMOVED, ("👍",)),
        (bob, Reacting.REPLACED, ()),
    ):
        await house.platform.tell(owner.scope, ReactionChanged(ALICE, ref, sender, how, emoji))
    assert (await shown(house, owner))[1]["reactions"] == [{"emoji": "❤️", "sender": "Alice"}]
    events = await told(house, owner)
    assert [(e["sender"], e["reactions"]) for e in events] == [
        ("Alice", ["👍"]), ("Bob", ["🎉", "👍"]), ("Alice", ["👍", "❤️"]), ("Alice", ["❤️"]), ("Bob", []),
    ]  # fmt: skip
    assert {(e["type"], e["message_id"]) for e in events} == {("dm_reaction", answer)}


@pytest.mark.parametrize(
    ("states", "status", "events"),
    [
        (["delivered", "read"], "read", ["dm_read"]),
        (["read", "delivered", "sent", "failed"], "read", ["dm_read"]),  # in any order
        (["read", "read"], "read", ["dm_read"]),
        (["failed", "failed"], "failed", ["dm_failed"]),
        (["failed", "delivered"], "delivered", ["dm_failed"]),
        (["pending", "unknown"], "sent", []),
    ],
)
async def test_receipts_only_ever_tell_more(
    house: House, states: list[str], status: str, events: list[str]
) -> None:
    house.platform.script.delivery = DeliveryState.SENT
    owner, answer, ref = await answered(house)
    for state in states:
        fact = DeliveryChanged(
            ALICE, ref, DeliveryState(state), "no such number" if state == "failed" else ""
        )
        await house.platform.tell(owner.scope, fact)
    message = (await shown(house, owner))[1]
    assert (message["id"], message["status"]) == (answer, status)
    assert message.get("detail") == ("no such number" if status == "failed" else None)
    assert [e["type"] for e in await told(house, owner)] == events


async def test_a_receipt_may_name_a_message_by_its_key(house: House) -> None:
    owner, answer, _ = await answered(house)
    await house.platform.tell(owner.scope, DeliveryChanged(ALICE, answer, DeliveryState.READ))
    assert await told(house, owner) == [{"type": "dm_read", "message_id": answer}]


@pytest.mark.parametrize("state", ["delivered", "read"])
async def test_a_receipt_tells_what_became_of_a_message_whose_answer_was_lost(
    house: House, state: str
) -> None:
    house.platform.script.send_error = delivery_unknown(SCRIPTED)
    owner, _ = await written_to(house)
    with pytest.raises(PlatformRefused):
        await house.inbox.send(owner, SCRIPTED, "answer")
    answer = (await shown(house, owner))[1]
    assert answer["status"] == "unknown"
    fact = DeliveryChanged(ALICE, MessageRef("never heard of"), DeliveryState(state), key=answer["id"])
    await house.platform.tell(owner.scope, fact)
    assert (await shown(house, owner))[1]["status"] == state


@pytest.mark.parametrize(("state", "event"), [("read", "dm_read"), ("failed", "dm_failed")])
async def test_a_receipt_that_overtakes_the_answer_counts(house: House, state: str, event: str) -> None:
    house.platform.script.delivery = DeliveryState.SENT
    owner, _ = await written_to(house)
    hold = house.platform.script.hold = Gate()
    sending = asyncio.create_task(house.inbox.send(owner, SCRIPTED, "answer"))
    await until(hold.reached.is_set)
    answer = (await shown(house, owner))[1]["id"]
    fact = DeliveryChanged(ALICE, MessageRef(f"sent-{answer}"), DeliveryState(state), key=answer)
    telling = asyncio.create_task(house.platform.tell(owner.scope, fact))
    await house.database.write(lambda _: None)
    hold.set()
    await asyncio.wait_for(asyncio.gather(sending, telling), BOUND_S)
    assert (await shown(house, owner))[1]["status"] == state
    assert [e["type"] for e in await told(house, owner)] == [event]


async def test_a_receipt_of_another_part_of_a_message_is_none_of_it(house: House) -> None:
    house.platform.script.delivery = DeliveryState.SENT
    owner, answer, _ = await answered(house)
    fact = DeliveryChanged(ALICE, MessageRef("its second part"), DeliveryState.READ, key=answer)
    await house.platform.tell(owner.scope, fact)
    assert (await shown(house, owner))[1]["status"] == "sent"


SOMEBODY = Sender("a", "Alice")


@pytest.mark.parametrize(
    "fact",
    [
        MessageEdited(ALICE, MessageRef("unknown"), "x"),
        MessageDeleted(ConversationRef("unknown"), HERS),
        ReactionChanged(ALICE, MessageRef("unknown"), SOMEBODY, Reacting.ADDED, ("👍",)),
        DeliveryChanged(ALICE, MessageRef("unknown"), DeliveryState.READ),
        DeliveryChanged(ALICE, HERS, DeliveryState.READ),  # a person's own message
    ],
)
async def test_what_is_not_known_changes_nothing(house: House, fact: MessageFact) -> None:
    owner, _ = await written_to(house)
    other = await house.owner()
    before = await shown(house, owner)
    await house.platform.tell(owner.scope, fact)
    await house.platform.tell(other.scope, MessageDeleted(ALICE, HERS))
    assert await shown(house, owner) == before
    assert await told(house, owner) == []


@requirement("R-093")
async def test_what_a_platform_tells_beside_the_words(house: House) -> None:
    owner, hers = await written_to(house)
    sent_at = datetime(2026, 11, 20, 11, 59, tzinfo=UTC)
    await house.platform.write(
        owner.scope, "you, agent", ref="m2", reply_to="m1", thread="t1", mentions_me=True, sent_at=sent_at
    )
    (event,) = await told(house, owner)
    beside = {
        "reply_to": hers, "thread": "t1", "mentions_me": True, "sent_at": "2026-11-20T11:59:00.000000Z"
    }  # fmt: skip
    assert event == event | beside
    assert "group" not in event
    first, second = await shown(house, owner)
    assert second == second | beside
    assert not beside.keys() & first.keys()


async def test_a_group_is_told_from_a_person(house: House) -> None:
    owner, _ = await written_to(house)
    await house.platform.write(owner.scope, "hi all", conversation="c1", group="#general")
    (event,) = await told(house, owner)
    assert event["group"] is True
    listed = (await house.inbox.snapshot(owner))["conversations"]
    assert {(c["remote_name"], c["group"]) for c in listed} == {("#general", True), ("Alice", False)}
