"""What arrives on a call's socket: events, answers, sound, and how far ahead an agent may speak."""

import asyncio
import json
import struct
from datetime import UTC, datetime

import pytest

from chamade_mcp.client import (
    Audio,
    AudioParticipants,
    BargedIn,
    CallChat,
    CallOver,
    CallState,
    MarkCleared,
    MarkPlayed,
    OtherEvent,
    Participant,
    ParticipantAudio,
    Reconnected,
    Refused,
    SpeechStarted,
    SpeechStopped,
    UnexpectedAnswer,
    Unreachable,
)
from chamade_mcp.client.ear import Ear
from chamade_mcp.client.events import AudioConfig, AudioStatus, Cleared
from chamade_mcp.client.pace import AHEAD_S, Pace
from chamade_mcp.client.records import Receive
from chamade_mcp.client.talk import Talk
from tests.support.virtual_loop import run_virtual, virtual_loop

CONFIG = {
    "type": "audio_config", "sample_rate": 24000, "native_sample_rate": 48000, "resampling": True,
    "format": "pcm_s16le", "channels": 1, "frame_duration_ms": 20, "frame_bytes": 960, "ready": True,
}  # fmt: skip


def talk() -> Talk:
    return Talk(24_000, receive=True, last_seq=0)


def talking(receive: Receive = True) -> Talk:
    """With settings that are in force."""
    t = Talk(24_000, receive, last_seq=0)
    t.ask(AudioConfig)
    t.take(json.dumps(CONFIG | {"receive": receive}))
    return t


async def test_events_come_in_order_and_number_where_to_go_on() -> None:
    t = talking()
    t.take(json.dumps({"type": "call_state", "state": "active", "seq": 7}))
    t.take(b"\1\0")
    t.take(json.dumps({"type": "call_chat", "sender": "Ann", "text": "Hi", "attachments": [], "seq": 9}))
    t.take(json.dumps({"type": "from_the_future", "x": 1}))
    assert t.last_seq == 9
    assert [await t.ear.get() for _ in range(4)] == [
        CallState("active", seq=7),
        Audio(b"\1\0", 24_000),
        CallChat("Ann", "Hi", seq=9),
        OtherEvent("from_the_future", {"type": "from_the_future", "x": 1}),
    ]


@pytest.mark.parametrize("frame", ["", "[]", "null", '{"type": "call_chat"}'])
async def test_what_is_no_message_is_told(frame: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        talk().take(frame)


async def test_answers_go_to_who_asked_and_are_no_events() -> None:
    t = talk()
    first, second = t.ask(AudioConfig), t.ask(AudioConfig)
    cleared = t.ask(Cleared)
    t.take(json.dumps(CONFIG))
    t.take(json.dumps({"type": "cleared", "cleared_ms": 40}))
    t.take(json.dumps(CONFIG | {"sample_rate": 8000}))
    assert ((await first).sample_rate, (await second).sample_rate) == (24_000, 8_000)
    assert (await cleared).cleared_ms == 40
    assert t.audio is not None
    assert t.audio.sample_rate == 8_000
    t.end(CallOver("over"))
    assert await t.ear.get() is None


async def test_an_answer_nobody_waits_for_is_no_trouble() -> None:
    t = talk()
    t.ask(Cleared).cancel()
    t.take(json.dumps({"type": "cleared", "cleared_ms": 40}))
    t.ask(Cleared).cancel()
    t.broke(Unreachable("broken"))


async def test_who_speaks_is_told_and_takes_back_what_waits() -> None:
    t = talk()
    assert json.loads(t.settings())["barge_in"] is False
    t.wish(None, True, True)
    wished = json.loads(t.settings())
    assert (wished["receive"], wished["speech_events"], wished["barge_in"]) == (True, True, True)
    who = {"participant": "ann", "name": "Ann", "timestamp": "2026-11-20T12:00:00Z", "at_ms": None}
    t.pace.sent(60)
    t.take(json.dumps({"type": "speech_started", **who}))
    assert t.taken_back == 0
    t.take(
        json.dumps(
            {"type": "barge_in", "participant": "ann", "name": "Ann", "heard_ms": 120, "cleared_ms": 80}
        )
    )
    t.take(json.dumps({"type": "speech_stopped", **who, "at_ms": 700}))
    when = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert [await t.ear.get() for _ in range(3)] == [
        SpeechStarted("ann", "Ann", when, None),
        BargedIn("ann", "Ann", 120, 80),
        SpeechStopped("ann", "Ann", when, 700),
    ]
    assert t.taken_back == 1
    async with asyncio.timeout(1):
        await t.pace.room()


async def test_marks_of_ours_are_answers_and_those_of_the_agent_events() -> None:
    t = talk()
    (one, played), (two, dropped) = t.mark(), t.mark()
    t.take(json.dumps({"type": "mark_played", "name": one}))
    t.take(json.dumps({"type": "mark_cleared", "name": two}))
    t.take(json.dumps({"type": "mark_played", "name": "mine"}))
    t.take(json.dumps({"type": "mark_cleared", "name": "mine, too"}))
    assert await played
    assert not await dropped
    assert [await t.ear.get(), await t.ear.get()] == [MarkPlayed("mine"), MarkCleared("mine, too")]


async def test_a_break_answers_what_is_under_way() -> None:
    t = talk()
    asked, (_, heard) = t.ask(AudioStatus), t.mark()
    t.broke(Unreachable("broken"))
    t.came_back()
    with pytest.raises(Unreachable):
        await asked
    assert not await heard
    assert await t.ear.get() == Reconnected()


async def test_an_error_comes_after_what_was_before_it() -> None:
    t = talking()
    t.take(b"\0\0")
    t.end(Unreachable("away"))
    assert await t.ear.get() == Audio(b"\0\0", 24_000)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await t.ear.get()


async def test_a_call_without_sound_answers_the_question() -> None:
    t = talk()
    asked = t.ask(AudioConfig)
    t.take(json.dumps({"type": "call_error", "code": "NO_AUDIO", "message": "This call has no audio"}))
    with pytest.raises(Refused, match="NO_AUDIO"):
        await asked
    assert t.audio is None


async def test_a_participant_has_a_name() -> None:
    t = talking(receive="participants")
    people = [{"index": 3, "id": "guest_1", "name": "Ann"}]
    t.take(json.dumps({"type": "audio_participants", "participants": people}))
    t.take(struct.pack("<BBHI", 0xC4, 1, 3, 40) + b"\1\0")
    t.take(struct.pack("<BBHI", 0xC4, 1, 9, 40) + b"\2\0")
    ann = Participant(3, "guest_1", "Ann")
    assert await t.ear.get() == AudioParticipants((ann,))
    assert await t.ear.get() == ParticipantAudio(ann, 40, b"\1\0", 24_000)
    assert await t.ear.get() == ParticipantAudio(Participant(9, "", ""), 40, b"\2\0", 24_000)
    with pytest.raises(UnexpectedAnswer):
        t.take(b"\xc4\1")


async def test_sound_is_read_by_the_settings_in_force_not_by_those_asked_for() -> None:
    t = talking(receive="participants")
    t.receive, t.rate_hz = True, 8_000
    asked = t.ask(AudioConfig)
    under_way = struct.pack("<BBHI", 0xC4, 1, 3, 40) + b"\1\0"
    t.take(under_way)
    t.take(json.dumps(CONFIG | {"receive": True, "sample_rate": 8_000}))
    t.take(b"\2\0")
    assert (await asked).sample_rate == 8_000
    assert await t.ear.get() == ParticipantAudio(Participant(3, "", ""), 40, b"\1\0", 24_000)
    assert await t.ear.get() == Audio(b"\2\0", 8_000)


async def test_sound_without_settings_is_no_message() -> None:
    with pytest.raises(UnexpectedAnswer):
        talk().take(b"\0\0")


async def test_unread_sound_makes_room_and_events_stay() -> None:
    ear = Ear(2)
    first, second, third, fourth = [Audio(pcm, 8_000) for pcm in (b"1", b"2", b"3", b"4")]
    for event in (first, Reconnected(), second, MarkPlayed("m"), third, fourth):
        ear.put(event)
    ear.end(None)
    assert ear.dropped == 2
    assert [await ear.get() for _ in range(5)] == [
        Reconnected(),
        MarkPlayed("m"),
        third,
        fourth,
        None,
    ]
    ear.put(first)
    assert await ear.get() == first


def test_an_agent_is_half_a_minute_ahead_at_most() -> None:
    async def speak() -> None:
        pace, now = Pace(), virtual_loop().time
        start = now()
        for _ in range(40):
            await pace.room()
            pace.sent(1.0)
        assert now() - start == pytest.approx(40 - AHEAD_S - 1, abs=0.01)
        await asyncio.sleep(100)
        quiet = now()
        await pace.room()
        assert now() == quiet
        for _ in range(50):
            await pace.room(0.2)
            pace.sent(0.02)
        assert now() - quiet == pytest.approx(1 - 0.2 - 0.02, abs=0.01)

    run_virtual(speak())


def test_the_gateway_may_hold_it_and_clearing_frees_it() -> None:
    async def speak() -> None:
        pace, now = Pace(), virtual_loop().time
        start = now()
        pace.told(high=True)
        asyncio.get_running_loop().call_later(3, lambda: pace.told(high=False))
        await pace.room()
        assert now() - start == pytest.approx(3)
        pace.sent(1000)
        asyncio.get_running_loop().call_later(2, pace.cleared)
        await pace.room()
        assert now() - start == pytest.approx(5)

    run_virtual(speak())
