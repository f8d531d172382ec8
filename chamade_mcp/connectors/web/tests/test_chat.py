"""The private chat page: a conversation that outlives every page, and the bell."""

import pytest

from chamade_mcp.connectors.web.tests.harness import PUBLIC_URL, SCOPE, World, eventually
from chamade_mcp.connectors.web.tests.test_leg import CALL, person
from chamade_mcp.model.facts import CallerGaveUp, CallInvited, MessageReceived
from chamade_mcp.model.ids import ConversationRef
from chamade_mcp.model.messages import DeliveryState, Outgoing


async def tell(world: World, to: ConversationRef, message: Outgoing) -> None:
    """As the core does it: stored first, then sent."""
    world.core.stored(to, message)
    delivery = await world.link.messages.send(to, message)
    assert (delivery.state, delivery.ref) == (DeliveryState.SENT, message.key)


async def test_the_invitation_and_its_welcome(world: World) -> None:
    url, invite = await world.link.messages.invite(SCOPE, "Ada")
    token = url.removeprefix(f"{PUBLIC_URL}/c/")
    assert await world.invites.admit(token) == invite
    async with person(world, token) as ann:
        assert (ann.welcome["kind"], ann.welcome["agent_name"]) == ("chat", "Ada")
        assert ann.welcome["participants"] == [
            {"id": "agent", "name": "Ada", "kind": "agent", "muted": False},
            {"id": ann.id, "name": "Ann", "kind": "person", "muted": False},
        ]


async def test_a_message_becomes_a_fact_and_survives_a_reload(world: World) -> None:
    token, conversation = await world.chat()
    async with person(world, token) as ann:
        await ann.say("chat", key="k1", text="hello")
        live = (await ann.expect("chat"))["message"]
        ack = await ann.expect("ack")
    [fact] = world.core.of(MessageReceived)
    assert (fact.conversation, fact.text) == (conversation, "hello")
    assert (fact.sender.ref, fact.sender.name) == (ann.id, "Ann")
    await tell(world, conversation, Outgoing("m1", "hi Ann"))
    async with world.page(token) as back:
        await back.enter("Ann", ann.secret)
        first, second = back.welcome["messages"]
        assert first == live
        assert first["id"] == ack["id"]
        assert (second["id"], second["sender"], second["sender_id"], second["kind"]) == (
            "m1", "Ada", "agent", "agent",
        )  # fmt: skip
        await back.say("chat", key="k1", text="hello")
        assert await back.next() == ack
    assert len(world.core.of(MessageReceived)) == 1


async def test_the_agent_writes_and_types(world: World) -> None:
    token, conversation = await world.chat()
    await world.link.messages.typing(conversation)
    await tell(world, conversation, Outgoing("m0", "nobody has the page open"))
    async with person(world, token, "Ann") as ann, person(world, token, "Ben") as ben:
        assert [m["id"] for m in ann.welcome["messages"]] == ["m0"]
        await ann.expect("joined")
        await world.link.messages.typing(conversation)
        assert await ben.next() == {"type": "typing", "id": "agent", "name": "Ada"}
        await tell(world, conversation, Outgoing("m1", "hello", "Ada the helper"))
        await tell(world, conversation, Outgoing("m1", "hello", "Ada the helper"))
        for page in (ann, ben):
            shown = (await page.expect("chat"))["message"]
            assert (shown["id"], shown["sender"], shown["text"]) == ("m1", "Ada the helper", "hello")
            assert await page.until_ping("chat") == []


async def test_what_the_owner_says_by_hand_is_a_persons_word_live_and_later(world: World) -> None:
    token, conversation = await world.chat()
    async with person(world, token, "Ann") as ann:
        await tell(world, conversation, Outgoing("m1", "It is me", "Olga", by_hand=True))
        live = (await ann.expect("chat"))["message"]
    async with person(world, token, "Ann") as again:
        (later,) = again.welcome["messages"]
    assert [(m["sender"], m["kind"]) for m in (live, later)] == [("Olga", "host")] * 2


async def test_a_page_that_opens_between_store_and_send_does_not_swallow_the_message(world: World) -> None:
    token, conversation = await world.chat()
    async with person(world, token, "Ann") as ann:
        message = Outgoing("m1", "hello")
        world.core.stored(conversation, message)
        async with person(world, token, "Ben") as ben:
            assert [m["id"] for m in ben.welcome["messages"]] == ["m1"]
            await world.link.messages.send(conversation, message)
            assert (await ann.expect("chat"))["message"]["id"] == "m1"


async def test_store_failed_then_sent_again(world: World) -> None:
    token, _ = await world.chat()
    async with person(world, token) as ann:
        world.core.refused = RuntimeError("disk full")
        await ann.say("chat", key="k1", text="hello")
        assert (await ann.expect("error"))["code"] == "STORE_FAILED"
        await ann.say("call")
        assert (await ann.expect("error"))["code"] == "STORE_FAILED"
        world.core.refused = None
        await ann.say("chat", key="k1", text="hello")
        await ann.expect("ack")
    assert [fact.text for fact in world.core.of(MessageReceived)] == ["hello"]


async def test_an_unreadable_history_is_no_empty_history(world: World) -> None:
    token, _ = await world.chat()
    world.core.refused = RuntimeError("disk full")
    async with world.page(token) as page:
        await page.say("hello", name="Ann")
        assert await page.closed() == (1011, None)


async def test_the_agent_accepts_a_call(world: World) -> None:
    token, _ = await world.chat()
    async with person(world, token, "Ann") as ann, person(world, token, "Ben") as ben:
        await ann.say("call")
        assert await ann.expect("calling") == {"type": "calling", "state": "ringing"}
        [invited] = world.core.of(CallInvited)
        assert (invited.caller.ref, invited.caller.name) == (ann.id, "Ann")
        assert await world.link.calls.locate(invited.meeting_url) == invited.room
        await ann.say("call")
        assert (await ann.expect("calling"))["state"] == "ringing"
        async with world.link.calls.join(SCOPE, invited.room, CALL, "Ada"):
            accepted = await ann.expect("calling")
            assert accepted == {"type": "calling", "state": "accepted", "room_url": invited.meeting_url}
            async with world.page(invited.meeting_url.rpartition("/")[2]) as room:
                await room.enter("Ann")
                assert [p["name"] for p in room.welcome["participants"]] == ["Ada", "Ann"]
        assert await ben.until_ping("calling") == []
    assert len(world.core.of(CallInvited)) == 1
    assert world.core.of(CallerGaveUp) == []


@pytest.mark.parametrize(("waited", "state"), [(59.0, "refused"), (60.0, "missed")])
async def test_nobody_answers(world: World, waited: float, state: str) -> None:
    token, _ = await world.chat()
    async with person(world, token) as ann:
        await ann.say("call")
        await ann.expect("calling")
        world.clock.advance(waited)
        [invited] = world.core.of(CallInvited)
        await world.link.calls.refuse(invited.room)
        assert await ann.expect("calling") == {"type": "calling", "state": state}
        await world.link.calls.refuse(invited.room)
        await ann.say("hang_up")
        assert await ann.until_ping("calling") == []
    assert world.core.of(CallerGaveUp) == []


async def test_the_caller_hangs_up(world: World) -> None:
    token, _ = await world.chat()
    async with person(world, token) as ann:
        await ann.say("call")
        await ann.expect("calling")
        [invited] = world.core.of(CallInvited)
        world.core.refused = RuntimeError("disk full")
        await ann.say("hang_up")
        assert (await ann.expect("error"))["code"] == "STORE_FAILED"
        world.core.refused = None
        await ann.say("hang_up")
        await eventually(lambda: world.core.of(CallerGaveUp) == [CallerGaveUp(invited.room)])
        await world.link.calls.refuse(invited.room)
        assert await ann.until_ping("calling") == []


async def test_closing_the_page_hangs_up_but_a_reconnect_does_not(world: World) -> None:
    token, _ = await world.chat()
    async with person(world, token) as ann:
        await ann.say("call")
        await ann.expect("calling")
        async with world.page(token) as again:
            await again.enter("Ann", ann.secret)
            assert await ann.closed() == (4409, "replaced")
            assert (await again.expect("calling"))["state"] == "ringing"
            assert world.core.of(CallerGaveUp) == []
    [invited] = world.core.of(CallInvited)
    await eventually(lambda: world.core.of(CallerGaveUp) == [CallerGaveUp(invited.room)])


async def test_a_caller_may_leave_though_the_store_hangs(world: World) -> None:
    token, _ = await world.chat()
    async with person(world, token) as ann:
        await ann.say("call")
        await ann.expect("calling")
        world.core.open.clear()
    await eventually(lambda: world.core.waiting == 1)
    world.clock.advance(5)
    await eventually(lambda: world.core.waiting == 0)
    assert world.core.of(CallerGaveUp) == []
