"""Recording of live calls: asked for, shown, ended, kept, removed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chamade_mcp.audio.frame import Samples
from chamade_mcp.core.call import CallState
from chamade_mcp.core.calls import NewCall
from chamade_mcp.core.files import ServedFile
from chamade_mcp.core.retention import Retention
from chamade_mcp.kit.connector import EndReason, PlatformUnavailable
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector, ScriptedLeg, ShowingLeg
from chamade_mcp.kit.ticker import Phase
from chamade_mcp.model.access import Principal
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.errors import Conflict, Gone, InvalidRequest, NotFound, TooLarge, Unavailable
from chamade_mcp.model.events import START
from chamade_mcp.model.ids import RecordingId
from chamade_mcp.model.recording import RecordingFormat, StopReason
from chamade_mcp.store import schema
from chamade_mcp.store.reel import read_back
from tests.support.house import RECORDINGS_QUOTA, House, open_house
from tests.support.tones import decoded, onset_s, share, tone
from tests.support.waiting import until

OPUS, WAV = RecordingFormat.OPUS, RecordingFormat.WAV
CHAT = frozenset({Capability.READ, Capability.WRITE})


@pytest.fixture
async def house(database_path: Path) -> AsyncGenerator[House]:
    async with open_house(database_path, platform=ScriptedConnector(shows_recording=True)) as house:
        yield house


async def joined(
    house: House, owner: Principal, record_as: RecordingFormat | None = None
) -> tuple[str, ScriptedLeg]:
    view = await house.calls.create(owner, NewCall(SCRIPTED, record_as=record_as))
    live = house.engine.find(owner.scope, view.record.id)
    await until(lambda: live.session.state is CallState.ACTIVE)
    if record_as is not None:
        await until(lambda: live.recorder is not None or live.record_as is None)
    return view.record.id, house.platform.legs[view.record.room]


async def say(house: House, leg: ScriptedLeg, sound: Samples) -> None:
    """Says it into the room, a beat at a time; returns once all of it was heard."""
    frames = [sound[at : at + 960] for at in range(0, len(sound), 960)]
    over = asyncio.Event()

    def beat(at: float) -> None:
        if frames:
            leg.far.push(frames.pop(0), at)
        else:
            over.set()

    stop = house.ticker.register(Phase.MIX, beat)
    async with asyncio.timeout(20):
        await over.wait()
    stop()


async def told(house: House, owner: Principal) -> list[dict[str, Any]]:
    def query(conn: Any) -> list[dict[str, Any]]:
        events = schema.events
        chosen = events.c.account_id == owner.account
        return [row.payload for row in conn.execute(events.select().where(chosen).order_by(events.c.seq))]

    return await house.database.read(query)


async def events(house: House, owner: Principal) -> AsyncIterator[dict[str, Any]]:
    """Those there were, and those to come for a while."""
    async with asyncio.timeout(10), house.hub.subscribe(owner.scope, after=START) as envelopes:
        async for envelope in envelopes:
            yield envelope.event.payload


async def content(house: House, file: ServedFile) -> bytes:
    return b"".join([piece async for piece in house.recordings.read(file, 0, file.size_bytes)])


async def tracks(house: House, owner: Principal, recording: str) -> dict[str, Samples]:
    found: Any = await house.recordings.get(owner.scope, recording)
    sounds: dict[str, Samples] = {}
    for track in found["tracks"]:
        file = await house.recordings.serve(owner, recording, track["track_id"])
        sounds[track["participant"] or track["kind"]] = decoded(await content(house, file))[1]
    return sounds


def on_disk(house: House) -> list[str]:
    spool = house.files_root.parent / "recordings"
    return [p.name for root in (spool, house.files_root) for p in root.rglob("*") if p.is_file()]


async def test_nothing_is_recorded_unless_asked_for(house: House) -> None:
    owner = await house.owner()
    call, leg = await joined(house, owner)
    await say(house, leg, tone(440, 0.2))
    assert (await house.calls.get(owner, call, 0)).recording.to_wire() == {
        "state": "off",
        "recording_id": None,
        "announced": False,
    }
    await house.calls.leave(owner, call)
    assert isinstance(leg, ShowingLeg)
    assert leg.shown == []
    assert on_disk(house) == []
    assert await house.recordings.newest(owner) == {"recordings": []}
    assert not [event for event in await told(house, owner) if "recording" in event["type"]]


async def test_a_call_that_shall_be_recorded_is_from_when_the_agent_is_there(house: House) -> None:
    owner = await house.owner()
    house.platform.script.hold = asyncio.Event()
    view = await house.calls.create(owner, NewCall(SCRIPTED, record_as=WAV))
    assert view.recording.state == "pending"
    house.platform.script.hold.set()
    live = house.engine.find(owner.scope, view.record.id)
    await until(lambda: live.recorder is not None)
    leg = house.platform.legs[view.record.room]
    assert isinstance(leg, ShowingLeg)
    assert leg.shown == [True], "the people know before anything is kept"
    now = (await house.calls.get(owner, view.record.id, 0)).recording
    assert (now.state, now.announced) == ("on", True)
    assert live.mixer is not None
    agent = live.mixer.add_agent(lambda _: None)
    agent.push_pcm(tone(1000, 0.4).tobytes(), asyncio.get_running_loop().time())
    await say(house, leg, tone(440, 0.4))
    await house.calls.leave(owner, view.record.id)
    await house.studio.close()
    assert now.recording is not None
    kept: Any = await house.recordings.get(owner.scope, now.recording)
    assert kept["end_reason"] == "call_ended"
    assert kept["call_id"] == view.record.id
    assert [(t["kind"], t["participant"], t["name"]) for t in kept["tracks"]] == [
        ("mix", "", ""),
        ("participant", "room", ""),
        ("agent", "agent", "AI Agent"),
    ]
    sounds = await tracks(house, owner, now.recording)
    assert {len(sound) for sound in sounds.values()} == {kept["duration_ms"] * 48}
    for ref, hz in (("room", 440), ("agent", 1000)):
        start = round(onset_s(sounds[ref]) * 48_000)
        assert share(sounds[ref][start : start + 14_400], hz) > 0.999
    total = sounds["room"].astype(np.int32) + sounds["agent"]
    assert np.array_equal(sounds["mix"], total)
    names = [event["type"] for event in await told(house, owner)]
    assert names.index("recording_started") < names.index("recording_stopped")


async def test_on_and_off_in_the_middle_of_a_call(house: House) -> None:
    owner = await house.owner()
    call, leg = await joined(house, owner)
    await say(house, leg, tone(700, 0.2))
    recording = await house.studio.start(house.calls.live(owner, call), OPUS)
    assert await house.studio.start(house.calls.live(owner, call), WAV) == recording, "it goes on"
    under_way: Any = await house.recordings.get(owner.scope, recording)
    assert (under_way["ended_at"], under_way["tracks"]) == (None, [])
    with pytest.raises(Conflict):
        await house.recordings.delete(owner, recording)
    await say(house, leg, tone(440, 0.4))
    assert await house.studio.stop(house.calls.live(owner, call)) == recording
    await say(house, leg, tone(700, 0.2))
    with pytest.raises(Conflict):
        await house.studio.stop(house.calls.live(owner, call))
    assert isinstance(leg, ShowingLeg)
    assert leg.shown == [True, False]
    sound = (await tracks(house, owner, recording))["room"]
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 500)
    for edge in (sound[loud[0] : loud[0] + 960], sound[loud[-1] - 960 : loud[-1]]):
        assert share(edge, 440) > 0.9, "nothing of what was said before or after"
    again = await house.studio.start(house.calls.live(owner, call), WAV)
    listed: Any = await house.recordings.newest(owner, call=call)
    assert {r["recording_id"] for r in listed["recordings"]} == {again, recording}
    assert (await house.calls.get(owner, call, 0)).recording.recording == again


async def test_what_cannot_be_shown_is_not_recorded(house: House) -> None:
    owner = await house.owner()
    call, _ = await joined(house, owner)
    house.platform.script.show_error = PlatformUnavailable("down")
    with pytest.raises(Unavailable):
        await house.studio.start(house.calls.live(owner, call), WAV)
    other, _ = await joined(house, owner, record_as=WAV)
    assert on_disk(house) == []
    assert (await house.calls.get(owner, other, 0)).recording.state == "off"
    async for event in events(house, owner):  # who asked for it with the call is told by an event
        if event["type"] == "call_error":
            assert event["call_id"] == other
            break


async def test_a_platform_that_shows_nothing_says_so(database_path: Path) -> None:
    async with open_house(database_path) as house:
        owner = await house.owner()
        call, _ = await joined(house, owner, record_as=OPUS)
        state = (await house.calls.get(owner, call, 0)).recording
        assert (state.state, state.announced) == ("on", False)


async def test_there_is_nothing_to_record_in_a_chat(database_path: Path) -> None:
    async with open_house(database_path, platform=ScriptedConnector(CHAT)) as house:
        owner = await house.owner()
        with pytest.raises(InvalidRequest):
            await house.calls.create(owner, NewCall(SCRIPTED, record_as=OPUS))
        call, _ = await joined(house, owner)
        with pytest.raises(InvalidRequest):
            await house.studio.start(house.calls.live(owner, call), OPUS)


async def test_a_call_that_rings_is_not_recorded_yet(house: House) -> None:
    owner = await house.owner()
    await house.platform.ring(owner.scope)
    (view,) = await house.calls.active(owner)
    with pytest.raises(Conflict):
        await house.studio.start(house.calls.live(owner, view.record.id), OPUS)


async def test_the_end_on_the_platforms_side_ends_it(house: House) -> None:
    owner = await house.owner()
    call, leg = await joined(house, owner, record_as=OPUS)
    await say(house, leg, tone(440, 0.1))
    leg.end(EndReason.DISCONNECTED)
    async for event in events(house, owner):
        if event["type"] == "recording_stopped":
            assert event["reason"] == "call_ended"
            break
    listed: Any = await house.recordings.newest(owner, call=call)
    assert [r["end_reason"] for r in listed["recordings"]] == ["call_ended"]


async def test_a_full_quota_ends_it_and_begins_none(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    call, leg = await joined(house, owner, record_as=WAV)
    live = house.engine.find(owner.scope, call)
    recorder = live.recorder
    assert recorder is not None
    recorder._reel.size_bytes = RECORDINGS_QUOTA  # pyright: ignore[reportPrivateUsage] - 52 s of sound
    with pytest.raises(TooLarge):
        await house.calls.create(owner, NewCall(SCRIPTED, record_as=OPUS))
    await house.calls.create(other, NewCall(SCRIPTED, record_as=OPUS))
    await house.clock.advance(3)
    await until(lambda: live.recorder is None)
    await until(lambda: recorder.about.id not in house.recordings.under_way)
    kept: Any = await house.recordings.get(owner.scope, recorder.about.id)
    assert kept["end_reason"] == "quota_exceeded"
    assert live.session.state is CallState.ACTIVE, "the call goes on"
    assert isinstance(leg, ShowingLeg)
    assert leg.shown == [True, False]
    events = [e for e in await told(house, owner) if e["type"] == "recording_stopped"]
    assert [e["reason"] for e in events] == ["quota_exceeded"]


async def test_a_full_disk_ends_the_recording_and_not_the_call(house: House) -> None:
    owner = await house.owner()
    call, leg = await joined(house, owner, record_as=WAV)
    live = house.engine.find(owner.scope, call)
    recorder = live.recorder
    assert recorder is not None
    await say(house, leg, tone(440, 1.2))
    recorder._reel._reserve_bytes = 1 << 60  # pyright: ignore[reportPrivateUsage] - as if so much were used
    await say(house, leg, tone(440, 1.2))
    await until(lambda: recorder.failure is StopReason.DISK_FULL)
    await house.clock.advance(3)
    await until(lambda: recorder.about.id not in house.recordings.under_way)
    kept: Any = await house.recordings.get(owner.scope, recorder.about.id)
    assert kept["end_reason"] == "disk_full"
    assert kept["duration_ms"] >= 1000, "what was written before is good"
    assert live.session.state is CallState.ACTIVE
    sound = (await tracks(house, owner, recorder.about.id))["mix"]
    assert len(sound) == kept["duration_ms"] * 48


async def finished(house: House, owner: Principal) -> tuple[str, str]:
    """A recording that is kept: its id, and that of its mix."""
    call, leg = await joined(house, owner, record_as=OPUS)
    await say(house, leg, tone(440, 0.1))
    recording = await house.studio.stop(house.calls.live(owner, call))
    found: Any = await house.recordings.get(owner.scope, recording)
    return recording, found["tracks"][0]["track_id"]


async def test_a_recording_is_its_agents_own(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    recording, track = await finished(house, owner)
    assert await house.recordings.newest(other) == {"recordings": []}
    with pytest.raises(NotFound):
        await house.recordings.get(other.scope, recording)
    with pytest.raises(NotFound):
        await house.recordings.serve(other, recording, track)
    with pytest.raises(NotFound):
        await house.recordings.delete(other, recording)
    with pytest.raises(NotFound):
        await house.recordings.newest(other, call="call_unknown")
    with pytest.raises(NotFound):
        await house.recordings.serve(owner, recording, "trk_unknown")


async def test_a_deleted_recording_leaves_no_byte(house: House) -> None:
    owner = await house.owner()
    recording, track = await finished(house, owner)
    assert len(on_disk(house)) == 2
    await house.recordings.delete(owner, recording)
    assert on_disk(house) == []
    with pytest.raises(NotFound):
        await house.recordings.serve(owner, recording, track)


async def test_lost_bytes_are_gone_and_not_an_error(house: House) -> None:
    owner = await house.owner()
    recording, track = await finished(house, owner)
    await house.blobs.delete([track])
    with pytest.raises(Gone):
        await house.recordings.serve(owner, recording, track)


async def test_recordings_are_kept_as_many_days_as_the_account_says(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    await finished(house, owner)
    await finished(house, other)
    house.clock.jump(400 * 86_400)
    assert await house.recordings.sweep() == 0, "without a number they stay"
    retention = Retention(house.database, house.clock, lambda _: None)
    await retention.change(owner, {"recordings_days": 401})
    assert await house.recordings.sweep() == 0
    house.clock.jump(86_400 + 60)
    assert await house.recordings.sweep() == 1
    assert await house.recordings.newest(owner) == {"recordings": []}
    left: Any = await house.recordings.newest(other)
    assert len(left["recordings"]) == 1
    assert len(on_disk(house)) == 2


async def test_a_recording_under_way_goes_with_its_account(house: House) -> None:
    account = await house.accounts.create("a@example.org", "a long password", verified=True)
    owner = await house.accounts.find_by_email("a@example.org")
    assert owner is not None
    await finished(house, owner)
    _, leg = await joined(house, owner, record_as=WAV)
    await say(house, leg, tone(440, 0.1))
    assert len(on_disk(house)) > 2
    await house.accounts.delete(owner, "a long password")
    assert on_disk(house) == []
    assert house.engine.count(account) == 0


async def cut_off(house: House, owner: Principal) -> RecordingId:
    """A recording as a new process finds it: nobody writes it, and nothing says that it is over."""
    call, leg = await joined(house, owner, record_as=WAV)
    await say(house, leg, tone(440, 0.1))
    live = house.engine.find(owner.scope, call)
    recorder, live.recorder = live.recorder, None
    assert recorder is not None
    assert live.mixer is not None
    live.mixer.set_keep(None)
    await recorder.close()
    house.recordings.under_way.discard(recorder.about.id)
    return recorder.about.id


@pytest.mark.parametrize("format", [OPUS, WAV])
async def test_what_a_crash_left_is_taken_up(house: House, format: RecordingFormat) -> None:
    owner = await house.owner()
    _, leg = await joined(house, owner, record_as=format)
    (live,) = house.engine.of(owner.scope)
    recorder = live.recorder
    assert recorder is not None
    await say(house, leg, tone(440, 2.2))
    await until(lambda: recorder.size_bytes > 10_000)
    # As a new process finds it: nobody writes it, and nothing says that it is over.
    recording = recorder.about.id
    live.recorder, house.recordings.under_way = None, set()
    assert live.mixer is not None
    live.mixer.set_keep(None)
    found = read_back(house.recordings.folder_of(recording), format)
    await house.blobs.adopt(found[1].id, found[1].path)  # the process was killed while it took them over
    await house.recordings.sweep()
    kept: Any = await house.recordings.get(owner.scope, recording)
    assert kept["end_reason"] == "interrupted"
    assert kept["duration_ms"] >= 1000
    assert len(kept["tracks"]) == 2
    for track in kept["tracks"]:
        file = await house.recordings.serve(owner, recording, track["track_id"])
        rate, sound = decoded(await content(house, file))
        start = round(onset_s(sound) * rate)
        assert share(sound[start : start + rate // 2], 440, rate) > 0.99
    assert not (house.files_root.parent / "recordings" / recording).exists()
    recorder._reel.close()  # pyright: ignore[reportPrivateUsage]
    await house.recordings.sweep()
    assert len([e for e in await told(house, owner) if e["type"] == "recording_stopped"]) == 1


async def test_one_that_cannot_be_taken_up_keeps_no_other_back(house: House) -> None:
    owner = await house.owner()
    old, _ = await finished(house, owner)
    retention = Retention(house.database, house.clock, lambda _: None)
    await retention.change(owner, {"recordings_days": 1})
    house.clock.jump(2 * 86_400)
    broken, whole = [await cut_off(house, owner) for _ in range(2)]
    (house.recordings.folder_of(broken) / "tracks.jsonl").write_text("{}\n")
    assert await house.recordings.sweep() == 1
    with pytest.raises(NotFound):
        await house.recordings.get(owner.scope, old)
    taken: Any = await house.recordings.get(owner.scope, whole)
    assert (taken["end_reason"], len(taken["tracks"])) == ("interrupted", 2)


async def test_a_track_whose_head_a_power_cut_took(house: House) -> None:
    owner = await house.owner()
    recording = await cut_off(house, owner)
    for track in read_back(house.recordings.folder_of(recording), WAV):
        track.path.write_bytes(bytes(track.path.stat().st_size))
    await house.recordings.sweep()
    taken: Any = await house.recordings.get(owner.scope, recording)
    assert (taken["end_reason"], taken["duration_ms"]) == ("interrupted", 0)
