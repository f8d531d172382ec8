"""What a person and the agent do to messages that are there already, and how far the agent's have got."""

from collections.abc import Mapping
from typing import Any

import pytest

from chamade_mcp.connectors.web.tests.harness import Page, World
from chamade_mcp.connectors.web.tests.test_leg import person
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.facts import (
    DeliveryChanged,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Reacting,
    ReactionChanged,
)
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import DeliveryState, Outgoing, Sender


async def say(page: Page, key: str, text: str, **fields: Any) -> str:
    """The id of the message, once it is stored."""
    await page.say("chat", key=key, text=text, **fields)
    return (await page.expect("ack"))["id"]


async def told(world: World, to: ConversationRef, key: str, text: str, **fields: Any) -> MessageRef:
    message = Outgoing(key, text, **fields)
    world.core.stored(to, message)
    delivery = await world.link.messages.send(to, message)
    assert delivery.ref is not None
    return delivery.ref


async def revised(page: Page) -> Mapping[str, Any]:
    return (await page.expect("revised"))["message"]


async def test_a_page_is_told_what_it_may_do(world: World) -> None:
    token, _ = await world.chat()
    async with person(world, token) as ann, person(world, await world.room()) as ben:
        assert ann.welcome["can"] == ["reply", "edit", "delete", "react"]
        assert ben.welcome["can"] == []
        mine = await say(ben, "k1", "a")
        for type_ in ("edit", "delete"):
            await ben.say(type_, key="k2", id=mine, text="b")
            assert (await ben.expect("error"))["code"] == "INVALID_MESSAGE"
        await ben.say("receipt", state="read", ids=[])
        assert (await ben.expect("error"))["code"] == "INVALID_MESSAGE"


async def test_both_sides_quote(world: World) -> None:
    token, conversation = await world.chat()
    async with person(world, token) as ann:
        await told(world, conversation, "m1", "Which day?")
        mine = await say(ann, "k1", "Friday", reply_to="m1")
        await told(world, conversation, "m2", "Noted", reply_to=MessageRef(mine))
        assert (await ann.expect("chat"))["message"]["reply_to"] == mine
        gone = await say(ann, "k2", "What", reply_to="m7")
        async with person(world, token, "Ben") as ben:
            quotes = {m["id"]: m["reply_to"] for m in ben.welcome["messages"]}
    assert quotes == {"m1": None, mine: "m1", "m2": mine, gone: None}
    assert [fact.reply_to for fact in world.core.of(MessageReceived)] == ["m1", None]


async def test_a_person_edits_their_own(world: World) -> None:
    token, conversation = await world.chat()
    async with person(world, token, "Ann") as ann, person(world, token, "Ben") as ben:
        mine = await say(ann, "k1", "Fryday")
        await told(world, conversation, "m1", "When?")
        for _ in range(2):
            await ann.say("edit", key="e1", id=mine, text="Fri\u202eday")
            assert await ann.expect("ack") == {"type": "ack", "key": "e1", "id": mine}
        shown = await revised(ben)
        assert (shown["id"], shown["text"]) == (mine, "Friday")
        assert shown["edited_at"].startswith("2026-11-20T12:00:00")
        assert await ben.until_ping("revised") == []
        await ben.say("edit", key="e2", id=mine, text="Monday")
        for key, other in (("e3", "m1"), ("e4", "m7")):
            await ann.say("edit", key=key, id=other, text="x")
        assert (await ben.expect("error"))["code"] == "UNKNOWN_MESSAGE"
        for key in ("e3", "e4"):
            refused = await ann.expect("error")
            assert (refused["code"], refused["key"]) == ("UNKNOWN_MESSAGE", key)
        await ann.say("edit", key="e5", id=mine, text=" \n")
        assert (await ann.expect("error"))["code"] == "INVALID_MESSAGE"
        async with world.page(token) as again:
            await again.enter("Ann", ann.secret)
            assert again.welcome["messages"][0] == shown
    assert set(world.core.of(MessageEdited)) == {MessageEdited(conversation, MessageRef(mine), "Friday")}


async def test_a_person_takes_back_their_own(world: World) -> None:
    token, conversation = await world.chat()
    async with person(world, token, "Ann") as ann, person(world, token, "Ben") as ben:
        mine = await say(ann, "k1", "secret")
        await ben.say("delete", key="d0", id=mine)
        assert (await ben.expect("error"))["code"] == "UNKNOWN_MESSAGE"
        for _ in range(2):
            await ann.say("delete", key="d1", id=mine)
            await ann.expect("ack")
        gone = await revised(ben)
        assert (gone["deleted"], gone["text"], gone["attachments"]) == (True, "", [])
        for type_, more in (("edit", {"text": "x"}), ("react", {"emoji": "👍", "on": True})):
            await ann.say(type_, key="e1", id=mine, **more)
            assert (await ann.expect("error"))["code"] == "UNKNOWN_MESSAGE"
        after = await say(ann, "k2", "next", reply_to=mine)
        async with person(world, token, "Cat") as cat:
            first, second = cat.welcome["messages"]
            assert (first["id"], first["deleted"], first["text"]) == (mine, True, "")
            assert (second["id"], second["reply_to"]) == (after, None)
    assert set(world.core.of(MessageDeleted)) == {MessageDeleted(conversation, MessageRef(mine))}


async def test_people_react(world: World) -> None:
    token, conversation = await world.chat()
    async with person(world, token, "Ann") as ann, person(world, token, "Ben") as ben:
        await told(world, conversation, "m1", "Done")
        for page in (ann, ben):
            await page.say("react", key="r1", id="m1", emoji="👍🏽", on=True)
            await page.expect("ack")
        await ben.say("react", key="r2", id="m1", emoji="👍🏽", on=False)
        await ben.expect("ack")
        of_ann = {"emoji": "👍🏽", "sender_id": ann.id, "sender": "Ann"}
        async with person(world, token, "Cat") as cat:
            assert [m["reactions"] for m in cat.welcome["messages"]] == [[of_ann]]
    ref, a, b = MessageRef("m1"), Sender(ann.id, "Ann"), Sender(ben.id, "Ben")
    assert world.core.of(ReactionChanged) == [
        ReactionChanged(conversation, ref, a, Reacting.ADDED, ("👍🏽",)),
        ReactionChanged(conversation, ref, b, Reacting.ADDED, ("👍🏽",)),
        ReactionChanged(conversation, ref, b, Reacting.REMOVED, ("👍🏽",)),
    ]


async def test_the_agent_edits_reacts_and_takes_back(world: World) -> None:
    token, conversation = await world.chat()
    messages = world.link.messages
    async with person(world, token) as ann:
        mine = MessageRef(await say(ann, "k1", "thanks"))
        ref = await told(world, conversation, "m1", "Fryday")
        for _ in range(2):
            await messages.edit(conversation, ref, Outgoing("m1", "Friday"))
            await messages.react(conversation, mine, "❤️", on=True)
        assert (await revised(ann))["text"] == "Friday"
        assert (await revised(ann))["reactions"] == [{"emoji": "❤️", "sender_id": "agent", "sender": "Ada"}]
        await messages.react(conversation, mine, "❤️", on=False)
        assert (await revised(ann))["reactions"] == []
        with pytest.raises(PlatformRefused, match="one emoji"):
            await messages.react(conversation, mine, ":heart:", on=True)
        for _ in range(2):
            await messages.delete(conversation, ref)
        assert (await revised(ann))["deleted"]
        assert await ann.until_ping("revised") == []
        await messages.edit(conversation, MessageRef("m7"), Outgoing("m7", "of a page long gone"))


async def test_a_page_that_opens_before_the_core_has_noted_a_change_shows_it(world: World) -> None:
    token, conversation = await world.chat()
    messages = world.link.messages
    one = await told(world, conversation, "m1", "one")
    two = await told(world, conversation, "m2", "two")
    await messages.edit(conversation, one, Outgoing("m1", "first"))
    await messages.edit(conversation, one, Outgoing("m1", "1"))
    await messages.react(conversation, one, "👍", on=True)
    await messages.delete(conversation, two)
    async with person(world, token) as ann:
        first, second = ann.welcome["messages"]
        assert (first["text"], first["reactions"][0]["sender"], second["deleted"]) == ("1", "Ada", True)


async def test_receipts(world: World) -> None:
    token, conversation = await world.chat()
    for key in ("m1", "m2", "m3"):
        await told(world, conversation, key, "hello")
    async with person(world, token) as ann:
        mine = await say(ann, "k1", "hi")
        assert [m["receipt"] for m in ann.welcome["messages"]] == ["sent"] * 3
        await ann.say("receipt", state="delivered", ids=["m1", "m2", "m2", "m9", mine])
        await ann.say("receipt", state="read", ids=["m1"])
        await ann.say("receipt", state="delivered", ids=["m1"])
        await ann.say("receipt", state="seen", ids=["m1"])
        assert (await ann.expect("error"))["code"] == "INVALID_MESSAGE"
        await say(ann, "k2", "so far")
        world.core.refused = RuntimeError("disk full")
        await ann.say("receipt", state="read", ids=["m2"])
        await say_failed(ann)
        world.core.refused = None
        async with person(world, token, "Ben") as ben:
            shown = [m["receipt"] for m in ben.welcome["messages"]]
    assert shown == ["read", "delivered", "sent", None, None]
    arrived, read = DeliveryState.DELIVERED, DeliveryState.READ
    facts = [(fact.ref, fact.state) for fact in world.core.of(DeliveryChanged)]
    assert facts == [("m1", arrived), ("m2", arrived), ("m1", read)]


async def say_failed(page: Page) -> None:
    """What is said behind another message is answered behind it."""
    await page.say("chat", key="k9", text="no room")
    assert (await page.expect("error"))["code"] == "STORE_FAILED"


async def test_what_was_not_stored_is_not_changed(world: World) -> None:
    token, _ = await world.chat()
    async with person(world, token) as ann:
        mine = await say(ann, "k1", "a")
        world.core.refused = RuntimeError("disk full")
        await ann.say("edit", key="e1", id=mine, text="b")
        refused = await ann.expect("error")
        assert (refused["code"], refused["key"]) == ("STORE_FAILED", "e1")
        await say_failed(ann)
        unsent = f"{ann.id}.k9"
        world.core.refused = None
        await ann.say("edit", key="e2", id=unsent, text="other words")
        assert (await ann.expect("error"))["code"] == "UNKNOWN_MESSAGE"
        assert await ann.until_ping("revised") == []
