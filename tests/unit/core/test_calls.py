"""Calls from end to end of the core, on a platform that behaves or does not."""

import asyncio
from typing import Any

import pytest

from chamade_mcp.core.call import BRIDGE_LOST, CallState
from chamade_mcp.core.calls import KEPT, NewCall
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.testing import SCRIPTED, ScriptedLeg
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import (
    Conflict,
    InvalidRequest,
    LimitReached,
    NotFound,
    Outcome,
    PlatformRefused,
    Unavailable,
    ValidationFailed,
)
from chamade_mcp.model.events import Cursor, Event, EventType
from chamade_mcp.model.ids import RoomRef
from chamade_mcp.model.messages import DeliveryState
from tests.support.house import CALL_LIMIT, PUBLIC_URL, House
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until

S = CallState


async def state_of(house: House, owner: Principal, call: str) -> CallState:
    return (await house.calls.get(owner, call, 0)).state


async def told(house: House, owner: Principal, *, after: int = 0) -> list[dict[str, Any]]:
    """Every event stored for the agent, without its stamp."""
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(BOUND_S), house.hub.subscribe(owner.scope, after=Cursor(after)) as envelopes:
        newest = int(await house.hub.publish(_mark(owner)))
        async for envelope in envelopes:
            if envelope.cursor == newest:
                return events
            events.append({k: v for k, v in envelope.event.payload.items() if k != "timestamp"})
    raise AssertionError("the log ended before its newest event")


def _mark(owner: Principal) -> Event:
    return Event(owner.account, owner.scope.agent, EventType.CALL_STATE, {"mark": True})


async def joined(house: House, owner: Principal) -> tuple[str, RoomRef, ScriptedLeg]:
    view = await house.calls.create(owner, NewCall(SCRIPTED))
    room = view.record.room
    await until(lambda: house.engine.find(owner.scope, view.record.id).session.state is S.ACTIVE)
    return view.record.id, room, house.platform.legs[room]


async def ringing(house: House, owner: Principal) -> tuple[str, RoomRef]:
    room = await house.platform.ring(owner.scope)
    return next(c.record.id for c in house.engine.of(owner.scope) if c.record.room == room), room


# --- outbound -----------------------------------------------------------------------------------------------


@requirement("R-016", "R-020", "R-021", "R-022", "R-023", "R-034")
async def test_a_call_is_made_and_joined(house: House) -> None:
    owner = await house.owner()
    view = await house.calls.create(owner, NewCall(SCRIPTED))
    call = view.record.id
    wire = view.to_wire(transcript=False)
    assert set(wire) == {
        "call_id", "room_id", "participant_id", "text_ws_url", "state", "capabilities", "platform",
        "meeting_url", "agent_name", "audio", "participants", "direction", "caller", "created_at", "ended_at",
        "recording",
    }  # fmt: skip
    assert (wire["state"], wire["agent_name"]) == ("connecting", "AI Agent")
    assert wire["text_ws_url"] == f"ws{PUBLIC_URL.removeprefix('http')}/api/call/{call}/stream"
    assert wire["audio"] == {
        "sample_rate": 48000, "format": "pcm_s16le", "channels": 1, "frame_duration_ms": 20,
        "frame_bytes": 1920,
    }  # fmt: skip
    await until(lambda: house.platform.legs)
    await until(lambda: house.engine.find(owner.scope, call).session.state is S.ACTIVE)
    status = (await house.calls.get(owner, call, 0)).to_wire(transcript=True)
    assert (status["direction"], status["caller"], status["ended_at"]) == ("outbound", "", None)
    assert await told(house, owner) == [
        {"type": "call_state", "call_id": call, "platform": "scripted", "state": "active"}
    ]


@requirement("R-030", "R-044")
async def test_leaving_ends_the_call(house: House) -> None:
    owner = await house.owner()
    call, room, _ = await joined(house, owner)
    assert await house.calls.leave(owner, call) == {"call_id": call, "state": "ended"}
    assert house.platform.left == [room]
    status = (await house.calls.get(owner, call, 0)).to_wire(transcript=True)
    assert status["state"] == "ended"
    assert status["ended_at"] is not None
    assert [e["state"] for e in await told(house, owner)] == ["active", "ended"]
    for again in (house.calls.leave, house.calls.accept, house.calls.typing):
        with pytest.raises(NotFound, match=r"^Call not found$"):
            await again(owner, call)


async def test_leaving_while_joining_gives_up_at_once(house: House) -> None:
    owner = await house.owner()
    house.platform.script.hold = asyncio.Event()
    view = await house.calls.create(owner, NewCall(SCRIPTED))
    async with asyncio.timeout(2):
        assert (await house.calls.leave(owner, view.record.id))["state"] == "ended"
    house.platform.script.hold.set()
    await house.clock.advance(1)
    assert house.platform.legs == {}


@requirement("R-025")
async def test_what_cannot_be_joined(house: House) -> None:
    owner = await house.owner()
    with pytest.raises(ValidationFailed):
        await house.calls.create(owner, NewCall("fax"))
    with pytest.raises(ValidationFailed):
        await house.calls.create(owner, NewCall(SCRIPTED, "https://elsewhere.test/x"))
    with pytest.raises(InvalidRequest, match="meeting_url required"):
        await house.calls.create(owner, NewCall("meet"))
    with pytest.raises(NotFound, match="preset"):
        await house.calls.create(owner, NewCall(SCRIPTED, stt_voice_config_id="x"))
    house.platform.break_link(retry_after=3600)
    await until(lambda: not house.supervisor.links)
    with pytest.raises(Unavailable):
        await house.calls.create(owner, NewCall(SCRIPTED))
    assert house.engine.count(owner.account) == 0


@pytest.mark.parametrize(
    ("error", "code", "message", "state"),
    [
        (PlatformRefused("The room is locked"), "SEND_FAILED", "The room is locked", "ended"),
        (PlatformUnavailable("no route"), "JOIN_FAILED", "no route", "ended"),
        (KeyError("a bug"), "bridge_disconnected", BRIDGE_LOST, "disconnected"),
    ],
)
async def test_a_join_that_fails_is_told(
    house: House, error: Exception, code: str, message: str, state: str
) -> None:
    owner = await house.owner()
    house.platform.script.join_error = error
    view = await house.calls.create(owner, NewCall(SCRIPTED))
    await until(lambda: house.engine.count(owner.account) == 0)
    events = [(e["type"], e.get("code") or e["state"]) for e in await told(house, owner)]
    assert events == [("call_error", code), ("call_state", state)]
    assert (await told(house, owner))[0]["message"] == message
    assert await state_of(house, owner, view.record.id) == state


@requirement("R-054", "R-055", "R-056", "R-063")
async def test_a_lost_bridge_and_a_new_call(house: House) -> None:
    owner = await house.owner()
    call, room, _ = await joined(house, owner)
    await house.calls.add_transcript(house.engine.find(owner.scope, call), "Alice", "hello")
    house.platform.drop_leg(room)
    await until(lambda: house.engine.count(owner.account) == 0)
    assert [(e["type"], e.get("code", e.get("state"))) for e in await told(house, owner)][-2:] == [
        ("call_error", "bridge_disconnected"),
        ("call_state", "disconnected"),
    ]
    old = await house.calls.get(owner, call, 0)
    again = await house.calls.create(owner, NewCall(SCRIPTED, old.record.meeting_url))
    assert again.record.id != call
    assert again.record.room == room
    assert (await house.calls.get(owner, again.record.id, 0)).transcript == ()


async def test_the_platform_ends_the_meeting(house: House) -> None:
    owner = await house.owner()
    call, room, _ = await joined(house, owner)
    house.platform.close_room(room)
    await until(lambda: house.engine.count(owner.account) == 0)
    assert await state_of(house, owner, call) is S.ENDED


# --- inbound ------------------------------------------------------------------------------------------------


@requirement("R-042", "R-045", "R-050", "R-053")
async def test_a_ring_is_answered(house: House) -> None:
    owner = await house.owner()
    call, room = await ringing(house, owner)
    assert [v.state for v in await house.calls.active(owner)] == [S.RINGING]
    assert await house.calls.accept(owner, call) == {"call_id": call, "state": "active"}
    await until(lambda: room in house.platform.legs)
    await house.clock.advance(120)
    assert await state_of(house, owner, call) is S.ACTIVE
    base = {"call_id": call, "platform": "scripted"}
    assert await told(house, owner) == [
        {"type": "call_invite", **base, "state": "ringing", "caller": "Alice"},
        {"type": "call_state", **base, "state": "active"},
    ]
    with pytest.raises(Conflict):
        await house.calls.accept(owner, call)


@requirement("R-051")
async def test_a_ring_that_answers_itself(house: House) -> None:
    owner = await house.owner()
    room = await house.platform.ring(owner.scope, auto_answer=True)
    await until(lambda: room in house.platform.legs)
    assert [(e["type"], e["state"]) for e in await told(house, owner)] == [
        ("call_invite", "active"),
        ("call_state", "active"),
    ]


@requirement("R-043")
async def test_a_ring_is_refused(house: House) -> None:
    owner = await house.owner()
    call, room = await ringing(house, owner)
    assert (await house.calls.refuse(owner, call))["state"] == "refused"
    assert house.platform.refused == [room]
    assert house.clock.sleeping == 0


@requirement("R-052")
async def test_a_ring_nobody_answers_is_missed_after_a_minute(house: House) -> None:
    owner = await house.owner()
    call, room = await ringing(house, owner)
    await house.clock.advance(59.9)
    assert await state_of(house, owner, call) is S.RINGING
    await house.clock.advance(0.1)
    await until(lambda: house.platform.refused == [room])
    assert await state_of(house, owner, call) is S.MISSED


async def test_the_caller_gives_up(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    call, room = await ringing(house, owner)
    await house.platform.hang_up(other.scope, room)
    assert await state_of(house, owner, call) is S.RINGING
    await house.platform.hang_up(owner.scope, room)
    assert await state_of(house, owner, call) is S.MISSED
    assert house.platform.refused == []
    assert house.clock.sleeping == 0


async def test_an_answered_caller_who_cannot_be_reached(house: House) -> None:
    owner = await house.owner()
    call, _ = await ringing(house, owner)
    house.platform.script.join_error = PlatformUnavailable("the caller is gone")
    await house.calls.accept(owner, call)
    await until(lambda: house.engine.count(owner.account) == 0)
    assert await state_of(house, owner, call) is S.ENDED


# --- limits and ownership -----------------------------------------------------------------------------------


@requirement("R-029")
async def test_the_limit_holds_for_calls_made_at_once(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    made = await asyncio.gather(
        *(house.calls.create(owner, NewCall(SCRIPTED)) for _ in range(CALL_LIMIT + 3)),
        return_exceptions=True,
    )
    refused = [m for m in made if isinstance(m, BaseException)]
    assert len(refused) == 3
    for error in refused:
        assert isinstance(error, LimitReached)
        assert error.detail == "Concurrent call limit reached"
    assert house.calls.concurrent(owner) == {"active": CALL_LIMIT, "limit": CALL_LIMIT}
    room = await house.platform.ring(owner.scope)
    assert house.platform.refused == [room]
    await house.calls.create(other, NewCall(SCRIPTED))
    await house.calls.leave(owner, (await house.calls.active(owner))[0].record.id)
    await house.calls.create(owner, NewCall(SCRIPTED))


@requirement("R-035", "R-049")
async def test_another_accounts_call_is_not_there(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    call, _, _ = await joined(house, owner)
    assert await house.calls.active(other) == []
    for attempt in (
        house.calls.get(other, call, 0),
        house.calls.get(owner, "call_unknown", 0),
        house.calls.leave(other, call),
        house.calls.chat(other, call, "hello"),
        house.calls.typing(other, call),
        house.calls.stop_speaking(other, call),
        house.calls.say(other, call, "hello"),
    ):
        with pytest.raises(NotFound, match=r"^Call not found$"):
            await attempt
    with pytest.raises(NotFound):
        house.calls.stream(other, call)
    assert await state_of(house, owner, call) is S.ACTIVE


async def test_a_finished_call_can_be_asked_for_a_day(house: House) -> None:
    owner = await house.owner()
    call, _, _ = await joined(house, owner)
    await house.calls.leave(owner, call)
    house.clock.jump(KEPT.total_seconds())
    assert await state_of(house, owner, call) is S.ENDED
    house.clock.jump(1)
    with pytest.raises(NotFound):
        await house.calls.get(owner, call, 0)


# --- in a call ----------------------------------------------------------------------------------------------


@requirement("R-039", "R-040", "R-048", "R-060")
async def test_chat_in_both_directions(house: House) -> None:
    owner = await house.owner()
    call, room, leg = await joined(house, owner)
    sent = await house.calls.chat(owner, call, "hello", "Bea")
    assert sent["status"] == "delivered"
    assert [(m.text, m.sender_name, m.key) for m in leg.chat] == [("hello", "Bea", sent["message_id"])]
    await house.platform.post(owner.scope, room, "hi \ud800")
    event = (await told(house, owner))[-1]
    assert (event["type"], event["sender"], event["text"]) == ("call_chat", "Alice", "hi ?")
    with pytest.raises(PlatformRefused, match=r"^Failed to send message$"):
        await house.calls.chat(owner, call, "x" * 10_001)
    house.platform.script.delivery = DeliveryState.FAILED
    with pytest.raises(PlatformRefused, match=r"^Failed to send message$"):
        await house.calls.chat(owner, call, "hello")
    house.platform.script.delivery = DeliveryState.UNKNOWN
    with pytest.raises(PlatformRefused) as caught:
        await house.calls.chat(owner, call, "hello")
    assert caught.value.outcome is Outcome.UNKNOWN
    house.platform.script.send_error = PlatformUnavailable("down", 3)
    with pytest.raises(Unavailable):
        await house.calls.chat(owner, call, "hello")


@requirement("R-047")
async def test_a_bridge_that_is_not_ready(house: House) -> None:
    owner = await house.owner()
    house.platform.script.hold = asyncio.Event()
    view = await house.calls.create(owner, NewCall(SCRIPTED))
    for attempt in (
        house.calls.chat(owner, view.record.id, "hello"),
        house.calls.typing(owner, view.record.id),
    ):
        with pytest.raises(Conflict, match=r"^No active WebSocket connection$"):
            await attempt


@requirement("R-037", "R-046")
async def test_typing_and_speaking(house: House) -> None:
    owner = await house.owner()
    call, _, leg = await joined(house, owner)
    assert await house.calls.typing(owner, call) == {"status": "ok"}
    assert leg.typed == 1
    with pytest.raises(InvalidRequest, match=r"^Hosted TTS not configured$"):
        await house.calls.say(owner, call, "hello")
    assert await house.calls.stop_speaking(owner, call) == {"status": "ok", "stopped_ms": 0}


@requirement("R-031", "R-032", "R-033", "R-059")
async def test_transcript_positions(house: House) -> None:
    owner = await house.owner()
    call, _, leg = await joined(house, owner)
    live = house.engine.find(owner.scope, call)
    await asyncio.gather(*(house.calls.add_transcript(live, "Alice", str(n)) for n in range(20)))
    everything = await house.calls.get(owner, call, 0)
    assert sorted(everything.transcript) == sorted(f"[Alice] {n}" for n in range(20))
    assert everything.transcript_length == 20
    since = everything.transcript_length
    assert (await house.calls.get(owner, call, since)).transcript == ()
    await house.calls.add_transcript(live, "Bob", "news")
    assert (await house.calls.get(owner, call, since)).transcript == ("[Bob] news",)
    assert (await house.calls.get(owner, call, 19)).transcript == (everything.transcript[19], "[Bob] news")
    assert (await house.calls.get(owner, call, 1000)).transcript == ()
    assert leg.captions[-1] == ("Bob", "news")
    events = [e["text"] for e in await told(house, owner) if e["type"] == "call_transcript"]
    assert [f"[Alice] {text}" for text in events[:-1]] == list(everything.transcript)


# --- streams ------------------------------------------------------------------------------------------------


@requirement("R-061", "R-077")
async def test_streams_tell_their_own_calls_events_until_it_ends(house: House) -> None:
    owner = await house.owner()
    call, _, _ = await joined(house, owner)
    other, _, _ = await joined(house, owner)

    async def listen() -> list[str]:
        async with house.calls.stream(owner, call) as stream:
            return [event.get("text") or event["state"] async for event in stream.events()]

    listening = [asyncio.create_task(listen()) for _ in range(2)]
    await until(lambda: len(house.engine.find(owner.scope, call).listeners) == 2)
    await house.calls.add_transcript(house.engine.find(owner.scope, other), "Bob", "elsewhere")
    await house.calls.add_transcript(house.engine.find(owner.scope, call), "Alice", "hello")
    await house.calls.leave(owner, call)
    assert [await asyncio.wait_for(one, BOUND_S) for one in listening] == [["hello", "ended"]] * 2
    assert house.hub.subscribers == 0


async def test_a_stream_opened_while_a_step_is_taken_misses_no_state(house: House) -> None:
    owner = await house.owner()
    for _ in range(20):
        call, _, _ = await joined(house, owner)
        opening = house.calls.stream(owner, call)
        leaving = asyncio.create_task(house.calls.leave(owner, call))
        async with asyncio.timeout(BOUND_S), opening as stream:
            assert [e["state"] async for e in stream.events()] == ["ended"]
        await leaving


# --- the end of things --------------------------------------------------------------------------------------


async def test_a_caller_who_goes_away_does_not_leave_a_step_half_taken(house: House) -> None:
    owner = await house.owner()
    call, room, _ = await joined(house, owner)
    leaving = asyncio.create_task(house.calls.leave(owner, call))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await until(lambda: house.platform.left == [room])
    assert await state_of(house, owner, call) is S.ENDED
    assert house.engine.count(owner.account) == 0


async def test_two_who_leave_at_once(house: House) -> None:
    owner = await house.owner()
    call, _, _ = await joined(house, owner)
    results = await asyncio.gather(
        house.calls.leave(owner, call), house.calls.leave(owner, call), return_exceptions=True
    )
    assert sum(isinstance(r, NotFound) for r in results) == 1
    assert [e["state"] for e in await told(house, owner)] == ["active", "ended"]


@requirement("R-054")
async def test_the_end_of_the_gateway(house: House) -> None:
    owner = await house.owner()
    active, room, _ = await joined(house, owner)
    rings, ringing_room = await ringing(house, owner)
    await house.engine.stop()
    assert await state_of(house, owner, active) is S.DISCONNECTED
    assert await state_of(house, owner, rings) is S.MISSED
    assert house.platform.left == [room]
    assert house.platform.refused == [ringing_room]


async def test_a_leg_that_will_not_go_is_cut_off(house: House) -> None:
    owner = await house.owner()
    call, _, _ = await joined(house, owner)
    live = house.engine.find(owner.scope, call)
    stuck = asyncio.create_task(asyncio.Event().wait())
    attending = live.attending
    live.attending = stuck  # pyright: ignore[reportAttributeAccessIssue]
    leaving = asyncio.create_task(house.calls.leave(owner, call))
    await until(lambda: house.clock.sleeping == 1)
    await house.clock.advance(5)
    assert (await asyncio.wait_for(leaving, BOUND_S))["state"] == "ended"
    assert stuck.cancelled()
    assert attending is not None
    await attending


async def test_after_a_crash_calls_are_not_alive(house: House) -> None:
    owner = await house.owner()
    active, _, _ = await joined(house, owner)
    rings, _ = await ringing(house, owner)
    before = len(await told(house, owner))
    await house.engine.start()  # as the next process does
    assert await state_of(house, owner, active) is S.DISCONNECTED
    assert await state_of(house, owner, rings) is S.MISSED
    events = [(e["call_id"], e.get("code", e.get("state"))) for e in (await told(house, owner))[before + 1 :]]
    assert events == [(active, "bridge_disconnected"), (active, "disconnected"), (rings, "missed")]
