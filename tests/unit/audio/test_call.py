from collections.abc import Callable

import numpy as np
import pytest

from chamade_mcp.audio.call import AgentAudio, CallMixer
from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.mixer import Mixer, Sink
from chamade_mcp.audio.port import AudioPort, PortPair
from chamade_mcp.model.ids import ParticipantRef

WIDE = AudioFormat(48_000)
ROOM = ParticipantRef("room")


class Call:
    """A call with one leg; what its room says and hears."""

    def __init__(self, format: AudioFormat = WIDE) -> None:
        self.mixer = CallMixer(format)
        self.pipe = PortPair(format)
        self.mixer.add_leg(ROOM, self.pipe.near)
        self.now = 100.0
        self.played: list[Samples | None] = []

    def agent(self, rate_hz: int | None = None, receive: bool = True) -> tuple[AgentAudio, list[bytes]]:
        heard: list[bytes] = []
        agent = self.mixer.add_agent(heard.append, rate_hz)
        agent.configure(receive=receive)
        return agent, heard

    def beat(self, room: Samples | None = None, times: int = 1) -> None:
        for _ in range(times):
            self.now += FRAME_S
            self.mixer.gather(self.now)
            if room is not None:
                self.pipe.far.push(room, self.now)
            self.played.append(self.pipe.far.pull(self.mixer.format.frame_samples, self.now))
            self.mixer.deliver(self.now)

    def sound(self) -> Samples:
        return np.concatenate([frame for frame in self.played if frame is not None])


def ramp(count: int, first: int = 1) -> Samples:
    return np.arange(first, first + count).astype(np.int16)


def as_samples(frame: bytes) -> Samples:
    return np.frombuffer(frame, np.int16)


def test_what_an_agent_says_at_the_native_rate_reaches_the_room_unchanged() -> None:
    call = Call()
    agent, _ = call.agent()
    agent.push_pcm(ramp(2_000).tobytes(), call.now)
    call.beat(times=5)
    assert np.array_equal(call.sound()[:2_000], ramp(2_000))
    assert not call.sound()[2_000:].any()
    assert agent.stats.voice.padded == 3 * 960 - 2_000
    assert call.played[-1] is None


@pytest.mark.parametrize("chunk", [1, 7, 100, 479, 960, 5_000])
def test_pushes_of_any_length_are_realigned(chunk: int) -> None:
    call = Call(AudioFormat(8_000))
    agent, _ = call.agent()
    said = ramp(4_000)
    for start in range(0, 4_000, chunk):
        agent.push_pcm(said[start : start + chunk].tobytes(), call.now)
    call.beat(times=30)
    assert np.array_equal(call.sound()[:4_000], said)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 11_025])
def test_speech_at_another_rate_loses_nothing(rate_hz: int) -> None:
    call = Call()
    agent, _ = call.agent(rate_hz)
    said = np.full(rate_hz // 5, 8_000, np.int16)
    agent.push_pcm(said.tobytes(), call.now)
    call.beat(times=14)
    sound = call.sound()
    half = np.flatnonzero(sound > 4_000)
    assert len(half) == pytest.approx(9_600, abs=8), "0.2 s are 0.2 s"
    assert half[-1] - half[0] + 1 == len(half), "without a gap"
    assert sound[half[0] + 300 : half[-1] - 300] == pytest.approx(8_000, abs=2)


def test_the_end_of_a_sound_is_not_heard_at_the_start_of_the_next() -> None:
    call = Call()
    agent, _ = call.agent(16_000)
    agent.push_pcm(np.full(330, 20_000, np.int16).tobytes(), call.now)
    call.beat(times=6)
    call.played.clear()
    agent.push_pcm(np.zeros(1_600, np.int16).tobytes(), call.now)
    call.beat(times=8)
    assert np.abs(call.sound()).max() <= 30


def test_a_steady_stream_of_small_chunks_at_another_rate_has_no_gaps() -> None:
    call = Call()
    agent, _ = call.agent(24_000)
    tone = np.round(9_000 * np.sin(np.arange(24_000) * 2 * np.pi * 500 / 24_000)).astype(np.int16)
    for beat in range(50):
        for part in range(8):
            first = beat * 480 + part * 60
            agent.push_pcm(tone[first : first + 60].tobytes(), call.now + part * 0.0025)
        call.beat()
    sound = call.sound()[1_000:44_000].astype(np.float64)
    angle = np.arange(len(sound)) * 2 * np.pi * 500 / 48_000
    basis = np.stack((np.sin(angle), np.cos(angle)), axis=1)
    fit = basis @ np.linalg.lstsq(basis, sound, rcond=None)[0]
    assert np.abs(sound - fit).max() < 4
    assert agent.stats.voice.underruns == 0


def test_messages_of_changing_rates_follow_each_other() -> None:
    call = Call()
    agent, _ = call.agent()
    for rate_hz in (24_000, 16_000, 48_000, 8_000, 24_000, 12_000, 9_000, 10_000, 24_000):
        agent.push_at(np.full(rate_hz // 10, 5_000, np.int16).tobytes(), rate_hz, call.now)
    call.beat(times=60)
    heard = np.flatnonzero(call.sound() > 2_500)
    assert len(heard) == pytest.approx(9 * 4_800, rel=0.002)


def test_an_agent_hears_nothing_until_it_asks() -> None:
    call = Call()
    agent, heard = call.agent(receive=False)
    call.beat(ramp(960), times=3)
    assert heard == []
    agent.configure(receive=True)
    call.beat(ramp(960), times=3)
    assert len(heard) == 3
    agent.configure(receive=False)
    call.beat(ramp(960), times=3)
    assert len(heard) == agent.stats.heard == 3


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_a_listener_gets_one_frame_a_beat_silence_included(rate_hz: int) -> None:
    call = Call()
    _, heard = call.agent(rate_hz)
    call.beat(times=5)
    call.beat(np.full(960, 900, np.int16), times=5)
    call.beat(times=5)
    assert [len(frame) for frame in heard] == [AudioFormat(rate_hz).frame_bytes] * 15
    assert not any(heard[4])
    assert np.abs(as_samples(heard[9])).max() == pytest.approx(900, abs=2)
    assert not any(heard[-1])


def test_a_rate_without_whole_20_ms_gets_whole_frames_all_the_same() -> None:
    call = Call()
    _, heard = call.agent(11_025)
    call.beat(np.full(960, 900, np.int16), times=500)
    assert {len(frame) for frame in heard} == {440}
    assert sum(len(frame) for frame in heard) // 2 == pytest.approx(11_025 * 10, abs=220)


def test_the_rate_changes_in_mid_call() -> None:
    call = Call()
    agent, heard = call.agent()
    call.beat(ramp(960))
    agent.configure(rate_hz=16_000)
    assert agent.format == AudioFormat(16_000)
    call.beat(ramp(960))
    assert [len(frame) for frame in heard] == [1_920, 640]
    assert agent.receiving, "what is not given stays"
    with pytest.raises(ValueError, match="8000-48000"):
        agent.configure(rate_hz=7_999, receive=False)
    assert agent.receiving
    assert agent.format.rate_hz == 16_000


def test_mix_minus_among_two_agents_and_the_room() -> None:
    call = Call()
    (one, one_heard), (two, two_heard) = call.agent(), call.agent()
    one.push_pcm(np.full(960, 100, np.int16).tobytes(), call.now)
    two.push_pcm(np.full(960, 20, np.int16).tobytes(), call.now)
    call.beat(np.full(960, 3, np.int16))
    assert set(as_samples(one_heard[0])) == {23}
    assert set(as_samples(two_heard[0])) == {103}
    assert set(call.sound()) == {120}
    call.beat()
    assert not any(one_heard[1])


def test_loud_agents_saturate() -> None:
    call = Call()
    for agent, _ in (call.agent(), call.agent(), call.agent()):
        agent.push_pcm(np.full(960, 30_000, np.int16).tobytes(), call.now)
    call.beat()
    assert set(call.sound()) == {32_767}


def test_several_legs_are_summed_and_each_hears_the_agents() -> None:
    call = Call()
    other = PortPair(WIDE)
    call.mixer.add_leg(ParticipantRef("second"), other.near)
    agent, heard = call.agent()
    agent.push_pcm(np.full(960, 9, np.int16).tobytes(), call.now)
    other.far.push(np.full(960, 4, np.int16), call.now + FRAME_S)
    call.beat(np.full(960, 3, np.int16))
    assert set(as_samples(heard[0])) == {7}
    assert set(call.sound()) == {9}
    frame = other.far.pull(960, call.now)
    assert frame is not None
    assert set(frame) == {9}
    call.mixer.remove_leg(ParticipantRef("second"))
    call.mixer.remove_leg(ParticipantRef("second"))
    call.beat(np.full(960, 3, np.int16))
    assert set(as_samples(heard[1])) == {3}


def test_a_leg_of_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="48000 Hz, not 8000"):
        CallMixer(WIDE).add_leg(ROOM, PortPair(AudioFormat(8_000)).near)


def test_agents_come_and_go_while_frames_are_delivered() -> None:
    call = Call()
    heard: list[bytes] = []

    def leave(frame: bytes) -> None:
        heard.append(frame)
        call.mixer.remove_agent(agent)

    agent = call.mixer.add_agent(leave)
    agent.configure(receive=True)
    _, other = call.agent()
    call.beat(times=3)
    assert len(heard) == 1
    assert len(other) == 3
    call.mixer.remove_agent(agent)


def test_half_a_sample_is_refused() -> None:
    agent, _ = Call().agent()
    with pytest.raises(ValueError, match="two bytes per sample"):
        agent.push_pcm(b"123", 0.0)
    with pytest.raises(ValueError, match="8000-48000"):
        agent.push_at(b"12", 96_000, 0.0)
    agent.push_pcm(b"", 0.0)
    agent.push_pcm(memoryview(b"12"), 0.0)
    assert agent.stats.voice.pushed == 1


@pytest.mark.parametrize("rate_hz", [24_000, 48_000])
def test_clear_stops_speech_within_the_beat(rate_hz: int) -> None:
    call = Call()
    agent, _ = call.agent(rate_hz)
    agent.push_pcm(np.full(rate_hz * 2, 5_000, np.int16).tobytes(), call.now)
    call.beat(times=10)
    assert agent.buffered_s == pytest.approx(1.8)
    assert agent.clear() == pytest.approx(1.8)
    call.played.clear()
    call.beat(times=5)
    assert call.played == [None] * 5
    assert agent.clear() == 0.0
    agent.push_pcm(np.zeros(rate_hz // 10, np.int16).tobytes(), call.now)
    call.beat(times=8)
    assert np.abs(call.sound()).max() <= 10, "nothing of the old sound comes back"


def into(port: AudioPort) -> Sink:
    def sink(samples: Samples | None, at: float) -> None:
        if samples is not None:
            port.push(samples, at)

    return sink


def test_two_agents_meet_in_an_embedded_room_within_one_beat() -> None:
    """Call, room and call again in the three phases of one beat, without a sample changed."""
    room: Mixer[str] = Mixer(WIDE)
    calls = {name: Call() for name in ("a", "b")}
    for name, call in calls.items():
        room.add(name, call.pipe.far.pull, into(call.pipe.far))
    speaker, _ = calls["a"].agent()
    _, heard = calls["b"].agent()
    speaker.push_pcm(ramp(960).tobytes(), 99.99)
    for call in calls.values():
        call.mixer.gather(100.0)
    room.tick(100.0)
    for call in calls.values():
        call.mixer.deliver(100.0)
    assert np.array_equal(as_samples(heard[0]), ramp(960))


class Tapped:
    """A leg that hears its room's people apart."""

    def __init__(self) -> None:
        self.sink: Callable[[ParticipantRef, Samples], None] | None = None

    def overhear(self, sink: Callable[[ParticipantRef, Samples], None] | None) -> None:
        self.sink = sink


def test_who_keeps_the_call_gets_each_voice_apart_without_anybody_listening() -> None:
    call = Call()
    leg = Tapped()
    call.mixer.set_tap(leg.overhear)
    agent, _ = call.agent(receive=False)
    assert leg.sink is None, "nobody wants it: the leg is not asked"
    kept: list[tuple[float, list[tuple[ParticipantRef, Samples]], list[Samples]]] = []
    call.mixer.set_keep(lambda at, others, agents: kept.append((at, list(others), list(agents))))
    ann, ben, said = (np.full(960, level, np.int16) for level in (1, 2, 3))
    agent.push_pcm(said.tobytes(), call.now)
    call.now += FRAME_S
    call.mixer.gather(call.now)
    assert leg.sink is not None
    leg.sink(ParticipantRef("ann"), ann)
    leg.sink(ParticipantRef("ben"), ben)
    call.mixer.deliver(call.now)
    at, others, agents = kept.pop()
    assert at == call.now
    assert [(ref, frame[0]) for ref, frame in others] == [("ann", 1), ("ben", 2)]
    assert [frame[0] for frame in agents] == [3]
    call.mixer.set_keep(None)
    assert leg.sink is None
    call.beat()
    assert not kept


def test_without_a_tap_who_keeps_the_call_gets_the_legs() -> None:
    call = Call()
    kept: list[tuple[ParticipantRef, Samples]] = []
    call.mixer.set_keep(lambda _at, others, _agents: kept.extend(others))
    call.beat(np.full(960, 7, np.int16))
    assert [(ref, frame[0]) for ref, frame in kept] == [(ROOM, 7)]
