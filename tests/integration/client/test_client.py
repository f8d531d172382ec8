"""The client library against a real gateway, with people who are sockets, and a way between that is cut."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from chamade_mcp.client import (
    Audio,
    BargedIn,
    CallChat,
    CallOver,
    CallSocket,
    CallState,
    Client,
    Conflict,
    Event,
    Forbidden,
    Incoming,
    InvalidRequest,
    NotFound,
    ParticipantAudio,
    Reaction,
    Receive,
    Reconnected,
    Retry,
    SpeechStarted,
    SpeechStopped,
    Unauthenticated,
    Unreachable,
)
from tests.support.people import FRAME_BYTES, person
from tests.support.speech import spoken
from tests.support.visitors import House, frequency, open_house, relayed, tone
from tests.support.waiting import BOUND_S

E = TypeVar("E")
QUICK = Retry((0.02, 0.02, 0.02), patience_s=BOUND_S)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with open_house(tmp_path) as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncGenerator[Client]:
    async with Client(house.url, house.key, retry=QUICK) as client:
        yield client


async def expect(socket: CallSocket, kind: type[E]) -> E:
    """The next event of that kind; what is before it is passed over."""
    async with asyncio.timeout(BOUND_S):
        async for event in socket:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the call ended without {kind.__name__}")


async def listen(socket: CallSocket, size: int) -> bytes:
    """So many bytes of audible sound."""
    heard = bytearray()
    async with asyncio.timeout(BOUND_S):
        while len(heard) < size:
            frame = await expect(socket, Audio)
            heard += frame.pcm if any(frame.pcm) else b""
    return bytes(heard)


async def test_the_account_tells_what_there_is(client: Client) -> None:
    account = await client.account()
    assert account.platforms["web"].status == "ok"
    assert account.platforms["web"].files
    assert account.concurrent_calls.active == 0


async def test_a_message_is_answered(client: Client) -> None:
    link = await client.invite("web", "chat", agent_name="Ada")
    cursor = (await client.account()).last_message_cursor
    async with person(link.url) as ann:
        await ann.write("Hello?")
        incoming = await first(client, cursor)
        assert (incoming.text, incoming.message.sender, incoming.platform) == ("Hello?", "Ann", "web")
        sent = await client.inbox.reply(incoming, "Good morning")
        assert sent.status == "delivered"
        assert await ann.reads() == "Good morning"
    (conversation,) = await client.inbox.conversations()
    assert conversation.last_message is not None
    assert conversation.last_message.id == sent.message_id
    whole = await client.inbox.conversation(conversation.conversation_id)
    assert [message.text for message in whole.messages] == ["Hello?", "Good morning"]


async def test_what_was_said_is_quoted_changed_reacted_to_and_taken_back(client: Client) -> None:
    link = await client.invite()
    async with person(link.url) as ann:
        await ann.write("Which day?")
        asked = await first(client, "2020-01-01T00:00:00Z")
        sent = await client.inbox.send("web", "Fryday", reply_to=asked.message.id)
        await client.inbox.edit(sent.message_id, "Friday")
        await client.inbox.react(asked.message.id, "👍")
        question, answer = (await client.inbox.conversation(asked.conversation_id)).messages
        assert (question.reactions, question.sender_status) == ((Reaction("👍", ""),), "invited")
        assert (answer.text, answer.reply_to) == ("Friday", asked.message.id)
        assert answer.edited_at is not None
        await client.inbox.react(asked.message.id, "👍", remove=True)
        await client.inbox.delete(sent.message_id)
        question, answer = (await client.inbox.conversation(asked.conversation_id)).messages
        assert (question.reactions, answer.status) == ((), "deleted")
        with pytest.raises(Forbidden):
            await client.inbox.edit(asked.message.id, "Monday")


async def first(client: Client, cursor: str | None = None) -> Incoming:
    async with asyncio.timeout(BOUND_S):
        async for incoming in client.inbox.messages(cursor):
            return incoming
    raise AssertionError("the inbox ended")


async def test_the_same_key_sends_once(client: Client) -> None:
    link = await client.invite()
    async with person(link.url) as ann:
        await ann.write("Hello?")
        incoming = await first(client, "2020-01-01T00:00:00Z")
        once, again = [await client.inbox.reply(incoming, "Yes", key="one") for _ in range(2)]
        assert once.message_id == again.message_id
        assert await ann.reads() == "Yes"
        await client.inbox.reply(incoming, "And more")
        assert await ann.reads() == "And more"


async def test_a_lost_cursor_is_told_and_gone_on_from(client: Client) -> None:
    link = await client.invite()
    async with person(link.url) as ann:
        await ann.write("Before")
        await first(client, "2020-01-01T00:00:00Z")
        lost = "2020-01-01T00:00:00.000000Z|msg_aaaaaaaaaaaaaaaaaaaa"
        news = await client.inbox.news(lost)
        assert news.reset
        assert [incoming.text for incoming in news.incoming] == ["Before"]
        listening = client.inbox.listen(lost)
        assert (await anext(listening)).reset
        await ann.write("After")
        async with asyncio.timeout(BOUND_S):
            after = await anext(listening)
        assert not after.reset
        assert [incoming.text for incoming in after.incoming] == ["After"]
        await listening.aclose()


async def test_files_go_up_along_and_down(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("a note")
    uploads = [await client.files.upload(path), await client.files.upload(b"bytes", "b.bin")]
    assert [(file.name, file.size) for file in uploads] == [("note.txt", 6), ("b.bin", 5)]
    link = await client.invite()
    async with person(link.url) as ann:
        await ann.write("A file, please")
        incoming = await first(client, "2020-01-01T00:00:00Z")
        await client.inbox.reply(incoming, "Here", attachments=uploads)
    message = (await client.inbox.conversation(incoming.conversation_id)).messages[-1]
    assert [file.name for file in message.attachments] == ["note.txt", "b.bin"]
    assert await client.files.download(message.attachments[0]) == b"a note"
    await client.files.save(message.attachments[1], tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"bytes"
    reserved = await client.files.reserve("later.txt", "text/plain")
    assert reserved.max_size == 1 << 20
    with pytest.raises(NotFound) as gone:
        await client.files.download(f"{link.url.partition('/c/')[0]}/api/files/{'x' * 32}")
    assert gone.value.code == "FILE_NOT_FOUND"


async def test_errors_say_what_happened(house: House, client: Client) -> None:
    with pytest.raises(NotFound) as unknown:
        await client.calls.get("call_of_nobody")
    assert (unknown.value.status, unknown.value.code) == (404, "CALL_NOT_FOUND")
    assert unknown.value.request_id
    with pytest.raises(InvalidRequest) as wrong:
        await client.inbox.send("web", "x" * 10_001)
    assert wrong.value.errors[0].field == "text"
    async with Client(house.url, "chmd_nobody", retry=QUICK) as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.account()
        with pytest.raises(Unauthenticated):
            await anext(stranger.inbox.messages())
        with pytest.raises(Unauthenticated):
            async with stranger.call("call_of_nobody"):
                pass
    with pytest.raises(NotFound):
        async with client.call("call_of_nobody"):
            pass


async def test_an_agent_and_a_person_talk(client: Client) -> None:
    call = await client.calls.join("web", agent_name="Ada")
    assert [one.call_id for one in await client.calls.active()] == [call.call_id]
    with pytest.raises(Conflict):
        await client.calls.accept(call)
    async with person(call.meeting_url) as ann, client.call(call, rate_hz=24_000) as socket:
        assert (await expect(socket, CallState)).state == "active"
        assert socket.audio is not None
        assert (socket.audio.sample_rate, socket.audio.native_sample_rate) == (24_000, 48_000)
        speaking = asyncio.create_task(socket.play(tone(1, 24_000, 1500)))
        assert abs(frequency(await ann.hears(25)) - 1500) < 5
        assert await speaking
        assert await socket.played()
        speaking = asyncio.create_task(ann.say(tone(1)))
        heard = await listen(socket, 24_000)
        assert abs(frequency(np.frombuffer(heard, np.int16)) / 2 - 1000) < 5
        await speaking
        await ann.write("Hi")
        chat = await expect(socket, CallChat)
        assert (chat.sender, chat.text) == ("Ann", "Hi")
        assert await socket.chat("Hello Ann")
        assert await ann.reads() == "Hello Ann"
        await socket.transcript("Ann", "Is this on?")
        await socket.leave()
        last = [event async for event in socket if isinstance(event, CallState)][-1]
        assert last.state == "ended"
        assert (await socket.play(b"\0\0"), await socket.played(), await socket.clear()) == (False, False, 0)
        with pytest.raises(CallOver):
            await socket.status()
    record = await client.calls.get(call)
    assert record.transcript == ("[Ann] Is this on?",)
    assert record.ended_at is not None


async def test_an_interrupted_agent_knows_what_was_heard(client: Client) -> None:
    call = await client.calls.join("web")
    async with person(call.meeting_url) as ann, client.call(call, receive=False) as socket:
        await expect(socket, CallState)
        assert await socket.play(tone(20))
        waiting = asyncio.create_task(socket.played())
        await ann.hears(10)
        assert (await socket.status()).buffered_ms > 15_000
        cleared_ms = await socket.clear()
        assert 15_000 < cleared_ms < 20_000
        assert not await waiting
        status = await socket.status()
        assert abs(status.played_ms + cleared_ms - 20_000) <= 40
        assert status.cleared_ms == cleared_ms


async def test_an_agent_falls_silent_for_a_person(client: Client) -> None:
    call = await client.calls.join("web")
    async with (
        person(call.meeting_url) as ann,
        client.call(call, receive=False, speech_events=True, barge_in=True) as socket,
    ):
        await expect(socket, CallState)
        playing = asyncio.create_task(socket.play(tone(100)))
        await ann.hears(10)
        said = spoken("No, wait, that is not what I meant.").tobytes()
        talking = asyncio.create_task(ann.say(said[: len(said) // FRAME_BYTES * FRAME_BYTES]))
        started = await expect(socket, SpeechStarted)
        barged = await expect(socket, BargedIn)
        await talking
        assert started.name == barged.name == "Ann"
        assert barged.participant == started.participant
        assert not await playing
        assert (await socket.status()).buffered_ms < 2_000
        assert (await expect(socket, SpeechStopped)).timestamp > started.timestamp


async def test_more_than_half_a_minute_waits_for_room_and_is_taken_back(client: Client) -> None:
    call = await client.calls.join("web")
    async with person(call.meeting_url) as ann, client.call(call, rate_hz=8_000, receive=False) as socket:
        await expect(socket, CallState)
        playing = asyncio.create_task(socket.play(tone(100, 8_000)))
        await ann.hears(5)
        async with asyncio.timeout(BOUND_S):
            while (waiting := (await socket.status()).buffered_ms) < 30_000:
                pass
        assert not playing.done()
        assert waiting < 35_000
        await socket.clear()
        assert not await playing
        assert (await socket.status()).buffered_ms < 1000


async def test_each_participant_is_heard_apart(client: Client) -> None:
    call = await client.calls.join("web")
    async with (
        person(call.meeting_url) as ann,
        client.call(call, rate_hz=16_000, receive="participants") as socket,
    ):
        await expect(socket, CallState)
        await ann.say(tone(0.2))
        sound = await expect(socket, ParticipantAudio)
        assert sound.participant.name == "Ann"
        assert len(sound.pcm) == 640
        assert socket.participants[sound.participant.index] == sound.participant
        config = await socket.configure(rate_hz=8_000, receive=True)
        assert (config.sample_rate, config.receive) == (8_000, True)
        await ann.say(tone(0.2))
        sound = await expect(socket, Audio)
        assert (len(sound.pcm), sound.rate_hz) == (320, 8_000)


async def test_no_sound_is_taken_for_another_kind_while_settings_change(client: Client) -> None:
    changes: Sequence[tuple[int, Receive]] = [(8_000, "participants"), (48_000, True), (24_000, True)]
    wanted = {(8_000, ParticipantAudio), (48_000, Audio), (24_000, Audio)}
    call = await client.calls.join("web")
    async with person(call.meeting_url) as ann, client.call(call, rate_hz=24_000) as socket:
        seen = set[tuple[int, type[Event]]]()
        listening = asyncio.create_task(_measure(socket, seen))
        speaking = asyncio.create_task(ann.say(tone(BOUND_S)))
        async with asyncio.timeout(BOUND_S):
            while seen != wanted and not listening.done():
                for rate_hz, receive in changes:
                    await socket.configure(rate_hz=rate_hz, receive=receive)
        speaking.cancel()
        await socket.leave()
        await asyncio.wait_for(listening, BOUND_S)
        assert seen == wanted


async def _measure(socket: CallSocket, seen: set[tuple[int, type[Event]]]) -> None:
    async for event in socket:
        if isinstance(event, Audio | ParticipantAudio):
            assert len(event.pcm) == event.rate_hz // 50 * 2
            seen.add((event.rate_hz, type(event)))


async def test_a_broken_way_is_mended_without_losing_an_event(house: House) -> None:
    async with relayed(house) as (relay, url), Client(url, house.key, retry=QUICK) as client:
        call = await client.calls.join("web")
        async with person(call.meeting_url) as ann, client.call(call, rate_hz=16_000) as socket:
            await expect(socket, CallState)
            await socket.play(tone(5, 16_000))
            waiting = asyncio.create_task(socket.played())
            asking = asyncio.create_task(_ask(socket, relay.turned_away))
            await ann.hears(5)
            relay.cut()
            await ann.write("Are you there?")
            await asyncio.wait_for(relay.turned_away.wait(), BOUND_S)
            assert not await waiting
            relay.mend()
            seen = list[Event]()
            async with asyncio.timeout(BOUND_S):
                async for event in socket:
                    seen.append(event)
                    if isinstance(event, CallChat):
                        break
            assert sum(isinstance(event, Reconnected) for event in seen) == 1
            assert seen[-1] == await _chat(seen)
            assert await asking
            assert socket.audio is not None
            assert socket.audio.sample_rate == 16_000
            await socket.play(tone(1, 16_000, 1500))
            assert abs(frequency(await ann.hears(25)) - 1500) < 5


async def _ask(socket: CallSocket, cut: asyncio.Event) -> bool:
    """Asks once the way is cut: answered when it is mended."""
    await cut.wait()
    return (await socket.status()).buffered_ms >= 0


async def _chat(seen: list[Event]) -> CallChat:
    (chat,) = [event for event in seen if isinstance(event, CallChat)]
    assert chat.text == "Are you there?"
    return chat


async def test_a_gateway_that_stays_away_is_given_up(house: House) -> None:
    async with relayed(house) as (relay, url), Client(url, house.key, retry=QUICK) as client:
        call = await client.calls.join("web")
        impatient = Client(url, house.key, retry=Retry((0.02,), patience_s=0.1))
        async with impatient, impatient.call(call) as socket:
            relay.cut()
            with pytest.raises(Unreachable):
                await expect(socket, Reconnected)
            with pytest.raises(Unreachable):
                await socket.status()
            with pytest.raises(Unreachable):
                await impatient.account()


async def test_a_request_is_repeated_until_the_way_is_mended(house: House) -> None:
    async with relayed(house) as (relay, url):
        relay.cut()
        patient = Retry((0.05,) * 100)
        async with Client(url, house.key, retry=patient) as client:
            joining = asyncio.create_task(client.calls.join("web"))
            await asyncio.wait_for(relay.turned_away.wait(), BOUND_S)
            relay.mend()
            call = await asyncio.wait_for(joining, BOUND_S)
            assert [one.call_id for one in await client.calls.active()] == [call.call_id]
