"""The agent's side of a room, driven as the core drives it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from chamade_mcp.connectors.web.tests.harness import PUBLIC_URL, SCOPE, Page, World, eventually
from chamade_mcp.kit.connector import CallLeg, EndReason, ShowsRecording
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import InvalidRequest, NotFound
from chamade_mcp.model.facts import ChatPosted, ParticipantJoined, ParticipantLeft
from chamade_mcp.model.ids import AccountId, AgentId, CallId, ParticipantRef, RoomRef
from chamade_mcp.model.messages import DeliveryState, Outgoing

CALL = CallId("call_1")
OTHER = Scope(AccountId("acct_2"), AgentId("agent_2"))


@asynccontextmanager
async def agent(
    world: World, token: str, name: str = "Ada", *, call: CallId = CALL, scope: Scope = SCOPE
) -> AsyncGenerator[CallLeg, None]:
    room = await world.link.calls.locate(f"{PUBLIC_URL}/r/{token}")
    async with world.link.calls.join(scope, room, call, name) as leg:
        yield leg


@asynccontextmanager
async def person(world: World, token: str, name: str = "Ann") -> AsyncGenerator[Page, None]:
    async with world.page(token) as page:
        yield await page.enter(name)


@pytest.mark.parametrize(
    "form",
    ["{}/r/{}", "{}/r/{}/", "{}/r/{}?audio=raw#top", " {}/r/{}\n", "HTTPS://Talk.Example.ORG:443/r/{1}"],
)
async def test_locates_a_room_by_its_url(world: World, form: str) -> None:
    token = await world.room()
    invite = await world.invites.admit(token)
    assert invite is not None
    assert await world.link.calls.locate(form.format(PUBLIC_URL, token)) == invite.ref


@pytest.mark.parametrize(
    "url",
    [
        "",
        "room",
        "https://meet.example.com/r/{token}",
        "https://talk.example.org:8443/r/{token}",
        "ftp://talk.example.org/r/{token}",
        PUBLIC_URL + "/r/",
        PUBLIC_URL + "/r/{token}/x",
        PUBLIC_URL + "/c/{token}",
        PUBLIC_URL + "/r/unknown",
        PUBLIC_URL + "/r/{chat}",
        "https://[broken/r/{token}",
        "https://talk.example.org:port/r/{token}",
    ],
)
async def test_any_other_url_is_refused_with_what_to_do(world: World, url: str) -> None:
    chat, _ = await world.chat()
    with pytest.raises(InvalidRequest) as caught:
        await world.link.calls.locate(url.format(token=await world.room(), chat=chat))
    assert caught.value.code == "MEETING_URL_INVALID"
    assert "leave meeting_url out" in caught.value.detail


async def test_an_agent_appears_and_leaves(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        async with agent(world, token, "Ada") as leg:
            joined = (await ann.expect("joined"))["participant"]
            assert (joined["name"], joined["kind"], joined["muted"]) == ("Ada", "agent", False)
            await leg.typing()
            assert await ann.next() == {"type": "typing", "id": joined["id"], "name": "Ada"}
            await leg.caption("Ann", "hello there")
            assert await ann.next() == {"type": "caption", "speaker": "Ann", "text": "hello there"}
            async with person(world, token, "Ben") as ben:
                assert joined in ben.welcome["participants"]
        assert (await ann.expect("left"))["id"] == ben.id
        assert (await ann.expect("left"))["id"] == joined["id"]


async def test_the_core_hears_who_is_there_before_what_they_say(world: World) -> None:
    token = await world.room()
    async with person(world, token, "Ann") as ann, agent(world, token):
        async with person(world, token, "Ben") as ben:
            await ben.say("chat", key="1", text="hi")
            await ben.expect("ack")
            await ben.say("rename", name="Benjamin")
        await eventually(lambda: world.core.of(ParticipantLeft))
        assert world.core.facts[0] == ParticipantJoined(CALL, ParticipantRef(ann.id), "Ann")
        assert world.core.facts[1] == ParticipantJoined(CALL, ParticipantRef(ben.id), "Ben")
        chat = world.core.facts[2]
        assert isinstance(chat, ChatPosted)
        assert (chat.sender.ref, chat.sender.name, chat.text) == (ben.id, "Ben", "hi")
        assert world.core.facts[-1] == ParticipantLeft(CALL, ParticipantRef(ben.id))


async def test_nothing_is_acknowledged_before_it_is_committed(world: World) -> None:
    token = await world.room()
    async with person(world, token, "Ann") as ann, person(world, token, "Ben") as ben, agent(world, token):
        await eventually(lambda: len(world.core.of(ParticipantJoined)) == 2)
        world.core.open.clear()
        await ann.say("chat", key="1", text="hi")
        await ben.expect("chat")
        await eventually(lambda: world.core.waiting == 1)
        assert await ann.until_ping("ack") == []
        world.core.open.set()
        await ann.expect("ack")
        assert len(world.core.of(ChatPosted)) == 1


async def test_who_comes_while_the_store_hangs_is_told_before_they_speak(world: World) -> None:
    token = await world.room()
    async with person(world, token, "Ann") as ann, agent(world, token):
        await eventually(lambda: len(world.core.of(ParticipantJoined)) == 1)
        world.core.open.clear()
        await ann.say("chat", key="1", text="first")
        await eventually(lambda: world.core.waiting == 1)
        async with person(world, token, "Ben") as ben:
            await ben.say("chat", key="1", text="second")
            await ann.expect("joined")
            while (await ann.expect("chat"))["message"]["text"] != "second":
                pass
            world.core.open.set()
            await ben.expect("ack")
            order = [type(fact) for fact in world.core.facts]
            assert order == [ParticipantJoined, ChatPosted, ParticipantJoined, ChatPosted]


async def test_a_message_that_was_not_stored_can_be_sent_again(world: World) -> None:
    token = await world.room()
    async with (
        person(world, token, "Ann") as ann,
        person(world, token, "Ben") as ben,
        agent(world, token),
        agent(world, token, "Bob", call=CallId("call_2"), scope=OTHER),
    ):
        await eventually(lambda: len(world.core.of(ParticipantJoined)) == 6)
        world.core.refused = RuntimeError("disk full")
        await ann.say("chat", key="1", text="hi")
        error = await ann.expect("error")
        assert (error["code"], error["key"]) == ("STORE_FAILED", "1")
        world.core.refused = None
        await ann.say("chat", key="1", text="hi")
        shown = await ann.expect("ack")
        posted = world.core.of(ChatPosted)
        assert {fact.call for fact in posted} == {CALL, CallId("call_2")}
        assert {fact.ref for fact in posted} == {shown["id"]}
        assert len(await ben.until_ping("chat")) == 1


async def test_the_agents_chat_is_shown_once_per_key_and_told_to_other_agents(world: World) -> None:
    token = await world.room()
    async with (
        person(world, token) as ann,
        agent(world, token) as ada,
        agent(world, token, "Bob", call=CallId("call_2"), scope=OTHER),
    ):
        first = await ada.send_chat(Outgoing("k", "hello", "Ada the helper"))
        again = await ada.send_chat(Outgoing("k", "hello", "Ada the helper"))
        assert first == again
        assert first.state is DeliveryState.DELIVERED
        shown = (await ann.expect("chat"))["message"]
        assert (shown["kind"], shown["sender"], shown["text"]) == ("agent", "Ada the helper", "hello")
        assert shown["id"] == first.ref
        assert await ann.until_ping("chat") == []
        [told] = world.core.of(ChatPosted)
        assert (told.call, told.sender.name, told.ref) == ("call_2", "Ada the helper", first.ref)


async def test_people_see_whether_any_agent_records(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann, agent(world, token) as ada:
        assert isinstance(ada, ShowsRecording)
        async with agent(world, token, "Bob", call=CallId("call_2"), scope=OTHER) as bob:
            assert isinstance(bob, ShowsRecording)
            assert ann.welcome["recorded"] is False
            await ada.show_recording(True)
            await bob.show_recording(True)
            assert await ann.until_ping("recorded") == [{"type": "recorded", "on": True}]
            async with person(world, token, "Ben") as late:
                assert late.welcome["recorded"] is True
            await ada.show_recording(False)
            assert await ann.until_ping("recorded") == []
        assert (await ann.expect("recorded"))["on"] is False, "the last one who recorded has left"


async def test_the_room_outlives_its_guests_while_an_agent_is_in_it(world: World) -> None:
    token = await world.room()
    async with agent(world, token) as leg:
        await leg.send_chat(Outgoing("k", "anybody here?"))
        async with person(world, token) as ann:
            assert [m["text"] for m in ann.welcome["messages"]] == ["anybody here?"]
        assert await ann.closed() == (1000, None)
    await eventually(lambda: world.invites.watchers == 0)
    async with person(world, token) as late:
        assert late.welcome["messages"] == []


@pytest.mark.parametrize("end", ["revoke", "expire"])
async def test_the_leg_ends_with_the_link(world: World, end: str) -> None:
    token = await world.room()
    async with agent(world, token) as leg:
        ended = asyncio.create_task(leg.ended())
        await eventually(lambda: world.invites.watchers == 1)
        assert not ended.done()
        (world.invites.revoke if end == "revoke" else world.invites.expire)(token)
        async with asyncio.timeout(1):
            assert await ended is EndReason.ENDED
            assert await leg.ended() is EndReason.ENDED
    with pytest.raises(InvalidRequest):
        await world.link.calls.locate(f"{PUBLIC_URL}/r/{token}")


async def test_leaving_twice_is_harmless(world: World) -> None:
    room = await world.link.calls.locate(f"{PUBLIC_URL}/r/{await world.room()}")
    joining = world.link.calls.join(SCOPE, room, CALL, "Ada")
    await joining.__aenter__()
    await joining.__aexit__(None, None, None)
    await joining.__aexit__(None, None, None)


async def test_a_room_nobody_knows_cannot_be_joined(world: World) -> None:
    with pytest.raises(NotFound):
        async with world.link.calls.join(SCOPE, RoomRef("room_x"), CALL, "Ada"):
            pass
    token = await world.room()
    room = await world.link.calls.locate(f"{PUBLIC_URL}/r/{token}")
    world.invites.revoke(token)
    with pytest.raises(NotFound):
        async with world.link.calls.join(SCOPE, room, CALL, "Ada"):
            pass


async def test_refusing_a_room_nobody_rang_for_is_harmless(world: World) -> None:
    await world.link.calls.refuse(RoomRef("room_x"))


async def written(page: Page, *texts: str) -> None:
    for text in texts:
        await page.say("chat", key=text, text=text)
        await page.expect("ack")


def heard(world: World) -> list[tuple[str, str]]:
    return [(fact.call, fact.text) for fact in world.core.of(ChatPosted)]


async def test_the_first_agent_is_told_what_was_written_before_it_came(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        await written(ann, "hello", "anybody?")
        async with agent(world, token):
            await written(ann, "there you are")
            async with agent(world, token, "Bea", call=CallId("call_2")):
                await eventually(lambda: len(heard(world)) == 3)
    assert heard(world) == [(CALL, "hello"), (CALL, "anybody?"), (CALL, "there you are")]
    kinds = [type(fact) for fact in world.core.facts]
    assert kinds.index(ParticipantJoined) < kinds.index(ChatPosted)


async def test_who_wrote_may_be_gone_when_the_agent_comes(world: World) -> None:
    token, other = await world.room(), await world.room()
    for room in (token, other):
        async with person(world, room) as ann:
            await written(ann, f"call me back in {room}")
    world.clock.advance(23 * 3600.0)
    async with agent(world, token):
        await eventually(lambda: heard(world) == [(CALL, f"call me back in {token}")])
    async with agent(world, token, call=CallId("call_2")):
        await written_by_another(world, token)
    await eventually(lambda: len(heard(world)) == 2)


async def written_by_another(world: World, token: str) -> None:
    async with person(world, token, "Ben") as ben:
        await written(ben, "hi")


async def test_what_an_agent_could_not_be_told_the_next_one_is(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        await written(ann, "one", "two")
        world.core.refused = RuntimeError("disk full")
        async with agent(world, token):
            await eventually(lambda: caplog.text.count("was not told what was written") == 2)
        world.core.refused = None
        async with agent(world, token, call=CallId("call_2")):
            await eventually(lambda: len(heard(world)) == 2)
    assert sorted(heard(world)) == [("call_2", "one"), ("call_2", "two")]


async def test_an_agent_that_leaves_at_once_takes_nothing_away(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        await written(ann, "one")
    async with agent(world, token):
        pass
    async with agent(world, token, call=CallId("call_2")):
        await eventually(lambda: heard(world))
    assert [text for _, text in heard(world)] == ["one"]
