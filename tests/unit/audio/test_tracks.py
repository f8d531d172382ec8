import numpy as np
import pytest

from chamade_mcp.audio.call import CallMixer, Overhear
from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.port import PortPair
from chamade_mcp.audio.tracks import HEADER, MAGIC, MAX_TRACKS, VERSION, Tracks
from chamade_mcp.model.ids import ParticipantRef

NATIVE = AudioFormat(48_000)
ANN, BOB = ParticipantRef("ann"), ParticipantRef("bob")


def level(value: int) -> Samples:
    return np.full(960, value, np.int16)


def opened(frame: bytes) -> tuple[int, int, Samples]:
    """Index, milliseconds and sound."""
    magic, version, index, stamp = HEADER.unpack_from(frame)
    assert (magic, version) == (MAGIC, VERSION)
    return index, stamp, np.frombuffer(frame, np.int16, offset=HEADER.size)


def test_the_header_has_eight_bytes_in_the_order_documented() -> None:
    tracks = Tracks(NATIVE, NATIVE)
    tracks.open([ANN])
    tracks.frames([(ANN, level(1))], 5.0)
    [frame] = tracks.frames([(ANN, level(2))], 5.02)
    assert frame[:8] == bytes([0xC4, 1, 1, 0, 20, 0, 0, 0])
    assert len(frame) == 8 + 1920


def test_each_sound_has_its_index_and_time() -> None:
    tracks = Tracks(NATIVE, NATIVE)
    assert tracks.open([ANN, BOB])
    assert not tracks.open([BOB])
    frames = [opened(frame) for frame in tracks.frames([(BOB, level(7)), (ANN, level(5))], 100.0)]
    assert [(index, stamp, sound[0]) for index, stamp, sound in frames] == [(2, 0, 7), (1, 0, 5)]
    frames = [opened(frame) for frame in tracks.frames([(ANN, level(6))], 100.02)]
    assert [(index, stamp, sound[0]) for index, stamp, sound in frames] == [(1, 20, 6), (2, 20, 0)]
    frames = [opened(frame) for frame in tracks.frames([], 100.04)]
    assert [(index, stamp, sound[0]) for index, stamp, sound in frames] == [(1, 40, 0)]
    assert tracks.frames([], 100.06) == [], "silence is not sent"


def test_the_stamp_wraps_around() -> None:
    tracks = Tracks(NATIVE, NATIVE)
    tracks.open([ANN])
    tracks.frames([], 0.0)
    [frame] = tracks.frames([(ANN, level(1))], 2**32 / 1000 + 0.5)
    assert opened(frame)[1] == 500


@pytest.mark.parametrize("rate_hz", [8_000, 24_000])
def test_each_sound_is_converted_by_itself(rate_hz: int) -> None:
    tracks = Tracks(NATIVE, NATIVE)
    tracks.open([ANN, BOB])
    tracks.convert_to(AudioFormat(rate_hz))
    frames: list[bytes] = []
    for beat in range(10):
        frames = tracks.frames([(ANN, level(9_000)), (BOB, level(-9_000))], beat * FRAME_S)
        assert [len(frame) for frame in frames] == [8 + rate_hz // 25] * 2
    (_, _, ann), (_, _, bob) = (opened(frame) for frame in frames)
    assert np.abs(ann.astype(int) - 9_000).max() < 20
    assert np.abs(bob.astype(int) + 9_000).max() < 20


def test_who_comes_back_has_the_same_index_and_nobody_else_gets_it() -> None:
    tracks = Tracks(NATIVE, NATIVE)
    tracks.open([ANN, BOB])
    assert tracks.close(ANN)
    assert not tracks.close(ANN)
    tracks.open([ParticipantRef("eve"), ANN])
    assert tracks.indices == {BOB: 2, ParticipantRef("eve"): 3, ANN: 1}


def test_tracks_are_bounded() -> None:
    tracks = Tracks(NATIVE, NATIVE)
    tracks.open(ParticipantRef(str(number)) for number in range(MAX_TRACKS + 5))
    assert len(tracks.indices) == MAX_TRACKS
    assert tracks.frames([(ParticipantRef(str(MAX_TRACKS)), level(1))], 0.0) == []


class Room:
    """A call whose leg is tapped, with one agent that hears each participant."""

    def __init__(self) -> None:
        self.mixer = CallMixer(NATIVE)
        self.pipe = PortPair(NATIVE)
        self.mixer.add_leg(ParticipantRef("room"), self.pipe.near)
        self.sink: Overhear | None = None
        self.heard: list[bytes] = []
        self.agent = self.mixer.add_agent(self.heard.append)
        self.now = 10.0

    def tap(self, sink: Overhear | None) -> None:
        self.sink = sink

    def beat(self, **sounds: Samples) -> list[tuple[int, int]]:
        """Index and first sample of each frame the agent gets."""
        self.heard.clear()
        self.now += FRAME_S
        self.mixer.gather(self.now)
        for name, samples in sounds.items():
            self.pipe.far.push(samples, self.now)
            if self.sink is not None:
                self.sink(ParticipantRef(name), samples)
        self.pipe.far.pull(960, self.now)
        self.mixer.deliver(self.now)
        return [(index, int(sound[0])) for index, _, sound in map(opened, self.heard)]


def test_a_leg_is_asked_for_each_sound_only_while_somebody_wants_it() -> None:
    room = Room()
    room.mixer.set_tap(room.tap)
    room.agent.configure(receive=True)
    assert room.sink is None
    room.agent.configure(receive="participants")
    assert room.beat(ann=level(3), bob=level(4)) == [(1, 3), (2, 4)]
    assert room.agent.tracks is not None
    assert room.agent.tracks.indices == {ANN: 1, BOB: 2}
    other = room.mixer.add_agent(lambda _: None)
    other.configure(receive="participants")
    room.agent.configure(receive=False)
    assert room.sink is not None
    room.mixer.remove_agent(other)
    assert room.sink is None


def test_without_a_tap_each_port_is_one_participant_and_agents_hear_each_other_apart() -> None:
    room = Room()
    room.agent.configure(receive="participants")
    news: list[str] = []
    room.agent.newcomers = lambda: news.append("new")
    other = room.mixer.add_agent(lambda _: None)
    other.push_pcm(level(9).tobytes(), 10.0)
    room.agent.push_pcm(level(5).tobytes(), 10.0)
    assert room.beat(ann=level(3)) == [(1, 3), (2, 9)]
    assert room.agent.tracks is not None
    assert list(room.agent.tracks.indices) == ["room", other.ref]
    room.beat(ann=level(3))
    assert news == ["new"]
