"""`"receive": "participants"`: whoever comes, goes and speaks, the client reads back what was framed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.audio import told
from chamade_mcp.audio.agent import Receive
from chamade_mcp.audio.call import CallMixer, Overhear
from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.port import PortPair
from chamade_mcp.client import events
from chamade_mcp.client.errors import UnexpectedAnswer
from chamade_mcp.client.events import Audio, AudioConfig, AudioParticipants, Participant, ParticipantAudio
from chamade_mcp.model.ids import ParticipantRef

NATIVE = AudioFormat(16_000)
PEOPLE = [ParticipantRef(name) for name in ("ann", "bob", "eve")]
UNEVEN_HZ = 11_025


@dataclass(frozen=True)
class Beats:
    speaking: frozenset[ParticipantRef]
    count: int


@dataclass(frozen=True)
class Leaves:
    ref: ParticipantRef


@dataclass(frozen=True)
class Settings:
    rate_hz: int
    receive: Receive


Step: TypeAlias = Beats | Leaves | Settings
RECEIVE: st.SearchStrategy[Receive] = st.one_of(st.booleans(), *[st.just("participants")] * 3)
STEP: st.SearchStrategy[Step] = st.one_of(
    st.builds(Beats, st.frozensets(st.sampled_from(PEOPLE)), st.integers(1, 3)),
    st.builds(Leaves, st.sampled_from(PEOPLE)),
    st.builds(Settings, st.sampled_from([8_000, UNEVEN_HZ, 16_000, 16_000, 48_000]), RECEIVE),
)


class Listener:
    """An agent in a call, the client at its other end, and what that should hear."""

    def __init__(self) -> None:
        self.call = CallMixer(NATIVE)
        self.pipe = PortPair(NATIVE)
        self.overhear: Overhear | None = None
        self.call.add_leg(ParticipantRef("room"), self.pipe.near)
        self.call.set_tap(self._tap)
        self.frames: list[bytes] = []
        self.agent = self.call.add_agent(self.frames.append)
        self.agent.newcomers = self._introduce
        self.participants: dict[int, Participant] = {}
        self.owners: dict[int, str] = {}
        self.sounding: set[str] = set()
        """Whose last 20 ms have not been told to be over."""
        self.beats = 0
        self.first_beat: int | None = None
        """Of those whose sounds came apart."""

    def _tap(self, overhear: Overhear | None) -> None:
        self.overhear = overhear

    def _introduce(self) -> None:
        assert self.agent.tracks is not None
        event = events.event(told.audio_participants(self.agent.tracks.indices, {}))
        assert isinstance(event, AudioParticipants)
        self.participants = {one.index: one for one in event.participants}
        for one in event.participants:
            assert self.owners.setdefault(one.index, one.id) == one.id, "an index is never another's"

    def take(self, step: Step) -> None:
        if isinstance(step, Settings):
            self.agent.configure(step.rate_hz, step.receive)
        elif isinstance(step, Leaves):
            if self.agent.tracks is not None and self.agent.tracks.close(step.ref):
                self.sounding.discard(step.ref)
        else:
            for _ in range(step.count):
                said = self._beat(step.speaking)
                self._check(said)

    def _beat(self, speaking: frozenset[ParticipantRef]) -> dict[str, Samples]:
        self.beats += 1
        at = self.beats * FRAME_S
        self.frames.clear()
        self.call.gather(at)
        said = {str(ref): sound(self.beats, PEOPLE.index(ref)) for ref in sorted(speaking)}
        for ref, samples in said.items():
            if self.overhear is not None:
                self.overhear(ParticipantRef(ref), samples)
        if said:
            self.pipe.far.push(np.array(list(said.values())).sum(axis=0, dtype=np.int16), at)
        self.call.deliver(at)
        return said

    def heard(self) -> list[Audio | ParticipantAudio]:
        config = AudioConfig(
            self.agent.format.rate_hz, NATIVE.rate_hz, True, "", 1, 20, 0, True, self.agent.receiving
        )
        return [events.audio(frame, config, self.participants) for frame in self.frames]

    def _check(self, said: dict[str, Samples]) -> None:
        if self.agent.receiving != "participants":
            assert all(isinstance(one, Audio) for one in self.heard())
            if self.agent.format.rate_hz != UNEVEN_HZ:
                assert len(self.frames) == bool(self.agent.receiving)
            return
        if self.first_beat is None:
            self.first_beat = self.beats
        over, self.sounding = self.sounding - said.keys(), set(said)
        heard: dict[str, list[bytes]] = {}
        for one in self.heard():
            assert isinstance(one, ParticipantAudio)
            assert len(one.pcm) == self.agent.format.frame_bytes
            assert one.at_ms == (self.beats - self.first_beat) * 20
            heard.setdefault(one.participant.id, []).append(one.pcm)
        assert heard.keys() <= said.keys() | over
        if self.agent.format.rate_hz == UNEVEN_HZ:
            return
        assert {who: len(frames) for who, frames in heard.items()} == dict.fromkeys(said.keys() | over, 1)
        if self.agent.format == NATIVE:
            for who, frames in heard.items():
                silence = np.zeros(NATIVE.frame_samples, np.int16)
                assert frames == [said.get(who, silence).tobytes()]


def sound(beat: int, who: int) -> Samples:
    return np.full(NATIVE.frame_samples, 100 + 7 * (beat % 90) + 1_000 * who, np.int16)


@given(st.lists(STEP, max_size=25))
def test_each_participants_sound_arrives_under_its_own_name(steps: Sequence[Step]) -> None:
    listener = Listener()
    listener.take(Settings(NATIVE.rate_hz, "participants"))
    for step in steps:
        listener.take(step)


@given(st.binary(max_size=40), st.sampled_from([True, False, "participants"]))
def test_any_bytes_are_sound_or_refused_by_the_client(frame: bytes, receive: Receive) -> None:
    config = AudioConfig(16_000, 16_000, False, "s16le", 1, 20, 640, True, receive)
    try:
        audio = events.audio(frame, config, {})
    except UnexpectedAnswer:
        assert receive == "participants"
        assert len(frame) < 8
        return
    kept = frame[8:] if isinstance(audio, ParticipantAudio) else frame
    assert audio.pcm == kept
