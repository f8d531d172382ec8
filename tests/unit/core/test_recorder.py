"""From beats to tracks: what sounds when, in which file, without a clock or a thread."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chamade_mcp.audio.frame import FRAME_S, Samples
from chamade_mcp.core.call import Direction
from chamade_mcp.core.recorder import MAX_BEHIND, Recorder, Recording
from chamade_mcp.core.records import CallRecord
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import (
    AccountId,
    AgentId,
    CallId,
    ParticipantRef,
    Platform,
    RecordingId,
    RoomRef,
)
from chamade_mcp.model.recording import RecordingFormat, StopReason, TrackKind
from chamade_mcp.store.reel import AGENT, MAX_S, MAX_TRACKS, Reel, read_back
from chamade_mcp.store.tapes import settle
from tests.support.tones import decoded, onset_s, rms, share, tone

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SCOPE = Scope(AccountId("acct_1"), AgentId("agent_1"))
CALL = CallRecord(
    CallId("call_1"),
    SCOPE,
    Platform("p"),
    Direction.OUTBOUND,
    "",
    RoomRef("r"),
    "",
    "",
    "AI",
    frozenset(),
    48_000,
    NOW,
)
ANN, BEN = ParticipantRef("ann"), ParticipantRef("ben")
FORMATS = pytest.mark.parametrize("format", list(RecordingFormat))


class AtOnce(Executor):
    """Does it in the caller's thread, or not before it is told to."""

    def __init__(self) -> None:
        self.held: list[Callable[[], Any]] | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        if self.held is not None:
            self.held.append(lambda: fn(*args, **kwargs))
            return done
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done

    def let_go(self) -> None:
        held, self.held = self.held or [], None
        for work in held:
            work()


class Desk:
    """A recorder and the beats of its call."""

    def __init__(self, folder: Path, format: RecordingFormat = RecordingFormat.WAV, **more: int) -> None:
        self.hands = AtOnce()
        self.folder, self.format = folder / "rec_1", format
        self.reel = Reel(self.folder, format, 48_000, **more)
        about = Recording(RecordingId("rec_1"), CALL, format, announced=True, started_at=NOW)
        names = {ANN: "Ann", BEN: "Bén\n☎", AGENT: "AI"}
        self.recorder = Recorder(about, self.reel, self.hands, lambda ref: names.get(ref, ""))
        self.at = 1000.0

    def beats(
        self,
        seconds: float,
        people: dict[ParticipantRef, Samples] | None = None,
        agents: Sequence[Samples] = (),
    ) -> None:
        for beat in range(round(seconds / FRAME_S)):
            cut = slice(beat * 960, (beat + 1) * 960)
            others = [(ref, wave[cut]) for ref, wave in (people or {}).items()]
            self.recorder.take(self.at, others, [wave[cut] for wave in agents])
            self.at += FRAME_S

    async def sounds(self) -> dict[str, Samples]:
        """What each track has, by participant; the mix by its kind."""
        await self.recorder.close()
        found = read_back(self.folder, self.format)
        assert found[0].kind is TrackKind.MIX
        return {track.participant or track.kind: decoded(track.path.read_bytes())[1] for track in found}


@FORMATS
async def test_each_has_a_track_of_its_own_on_one_line_of_time(
    tmp_path: Path, format: RecordingFormat
) -> None:
    desk = Desk(tmp_path, format)
    await desk.recorder.open()
    desk.beats(1.5)
    desk.beats(1, {ANN: tone(440, 1)})
    desk.beats(1, {ANN: tone(440, 1), BEN: tone(1000, 1)}, [tone(2500, 1)])
    desk.beats(2.1)
    sounds = await desk.sounds()
    assert list(sounds) == ["mix", ANN, BEN, AGENT]
    assert desk.recorder.duration_ms == 5600
    assert {round(len(sound) / 48_000, 1) for sound in sounds.values()} == {5.6}, "all of one length"
    for ref, hz, start, end in ((ANN, 440, 1.5, 3.5), (BEN, 1000, 2.5, 3.5), (AGENT, 2500, 2.5, 3.5)):
        sound = sounds[ref]
        heard = sound[round(start * 48_000) : round(end * 48_000)]
        assert share(heard, hz) > 0.999, "this voice and no other"
        assert rms(heard) == pytest.approx(8000 / 2**0.5, rel=0.01)
        assert onset_s(sound) == pytest.approx(start, abs=0.003)
        assert rms(sound[round((end + 0.05) * 48_000) :]) < 16
    mix = sounds["mix"]
    if format is RecordingFormat.WAV:
        total = sum((sounds[ref].astype(np.int32) for ref in (ANN, BEN, AGENT)), np.zeros(len(mix), np.int32))
        assert np.array_equal(mix, np.clip(total, -32768, 32767))
    together = mix[round(2.5 * 48_000) : round(3.5 * 48_000)]
    assert all(share(together, hz) == pytest.approx(1 / 3, abs=0.01) for hz in (440, 1000, 2500))


async def test_the_mix_saturates_and_does_not_wrap(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.recorder.open()
    loud = np.full(48_000, 30_000, np.int16)
    desk.beats(1, {ANN: loud, BEN: loud}, [loud, loud])
    sounds = await desk.sounds()
    assert set(sounds["mix"].tolist()) == {32767}
    assert set(sounds[AGENT].tolist()) == {32767}
    assert set(sounds[ANN].tolist()) == {30_000}


async def test_who_joins_late_starts_late(tmp_path: Path) -> None:
    desk = Desk(tmp_path, RecordingFormat.OPUS)
    await desk.recorder.open()
    desk.beats(7 * 60)
    desk.beats(0.5, {ANN: tone(440, 0.5)})
    await desk.recorder.close()
    _, track = read_back(desk.folder, desk.format)
    assert (track.name, track.starts_ms) == ("Ann", 7 * 60 * 1000)
    _, sound = decoded(track.path.read_bytes())
    assert onset_s(sound) == pytest.approx(7 * 60, abs=0.003)


async def test_beats_that_a_stall_skipped_are_silence(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.recorder.open()
    desk.beats(0.2, {ANN: tone(440, 0.2)})
    desk.at += 60 - 0.2
    desk.beats(0.2, {ANN: tone(440, 0.2)})
    sound = (await desk.sounds())[ANN]
    assert len(sound) == round(60.2 * 48_000)
    assert rms(sound[: round(0.2 * 48_000)]) > 5000
    assert not sound[round(0.2 * 48_000) : 60 * 48_000].any()
    assert rms(sound[60 * 48_000 :]) > 5000


async def test_a_disk_that_is_too_slow_costs_sound_and_is_told_but_not_the_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.recorder.open()
    desk.hands.held = []
    desk.beats(MAX_BEHIND + 10, {ANN: tone(440, MAX_BEHIND + 10)})
    assert len(desk.hands.held) <= MAX_BEHIND, "what waits is bounded"
    desk.hands.let_go()
    desk.beats(2, {ANN: tone(1000, 2)})
    sound = (await desk.sounds())[ANN]
    lost_s = desk.recorder.lost_ms / 1000
    assert 8 <= lost_s <= 10
    assert len(sound) == (MAX_BEHIND + 12) * 48_000
    assert share(sound[(MAX_BEHIND + 10) * 48_000 :], 1000) > 0.999, "what comes after is in its place"


async def test_a_disk_that_is_nearly_full_ends_it_before_the_database_suffers(tmp_path: Path) -> None:
    desk = Desk(tmp_path, reserve_bytes=shutil.disk_usage(tmp_path).total)
    await desk.recorder.open()
    desk.beats(3, {ANN: tone(440, 3)})
    assert desk.recorder.failure is StopReason.DISK_FULL
    assert 0 < len((await desk.sounds())["mix"]) <= 48_000


async def test_it_ends_before_a_wav_file_is_too_long(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.recorder.open()
    desk.beats(0.2)
    desk.at += MAX_S
    desk.beats(2, {ANN: tone(440, 2)})
    assert desk.recorder.failure is StopReason.TOO_LONG
    await desk.recorder.close()
    (mix, *_) = read_back(desk.folder, desk.format)
    assert MAX_S < settle(desk.format, mix.path) < MAX_S + 2


async def test_a_crowd_has_so_many_tracks_and_one_mix(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.recorder.open()
    crowd = {ParticipantRef(f"p{n}"): np.full(960, 10, np.int16) for n in range(MAX_TRACKS + 20)}
    desk.beats(0.02, crowd)
    sounds = await desk.sounds()
    assert len(sounds) == MAX_TRACKS + 1
    assert set(sounds["mix"].tolist()) == {10 * (MAX_TRACKS + 20)}


async def test_names_of_people_are_kept_as_they_are(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.recorder.open()
    desk.beats(0.02, {BEN: np.full(960, 10, np.int16)})
    await desk.recorder.close()
    assert [track.name for track in read_back(desk.folder, desk.format)] == ["", "Bén\n☎"]


async def test_a_list_that_broke_off_gives_what_it_has(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    await desk.recorder.open()
    desk.beats(1, {ANN: tone(440, 1)})
    await desk.recorder.close()
    with (desk.folder / "tracks.jsonl").open("a") as file:
        file.write('{"id": "trk_')
    assert len(read_back(desk.folder, desk.format)) == 2
    assert read_back(tmp_path / "nothing", desk.format) == []
