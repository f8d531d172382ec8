"""A room with people and agents under a clock of its own: hours pass in seconds, and all is counted.

The sound goes the way it goes in a gateway, beat by beat: agents' voices, calls, legs, the room's mix, ears.
What stands in for the world outside decides when something is pushed, and for how long nothing is.
"""

import heapq
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

from chamade_mcp.audio.agent import AgentAudio
from chamade_mcp.audio.call import CallMixer
from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.mixer import Mixer, Source
from chamade_mcp.audio.playout import LIVE, PlayoutBuffer, PlayoutStats
from chamade_mcp.audio.port import PortPair
from chamade_mcp.audio.voice import MarkPassed, VoiceNews
from chamade_mcp.model.ids import ParticipantRef

Life: TypeAlias = Generator[float]
"""What somebody does: yields until when it does nothing, on the world's clock."""

WINDOW_S = 30.0
"""Whatever happens to a stream, its delay is back to normal at some moment of every such time."""


@dataclass
class Stream:
    """One producer's sound, with what was done to it on its way."""

    name: str
    stats: Callable[[], PlayoutStats]
    rate_hz: int
    """Of `stats`."""
    harm: int = 0
    """How often the world has broken it off: stalls, losses, other devices, ends of a sentence."""
    given: int = 0
    """Samples that came out, at `rate_hz`."""
    least_buffered: int = 1 << 40
    """In the window that runs."""
    windows: int = 0
    delay_s: float = 0.0
    """The most, over all windows, of the least that waited in each."""

    def counted(self, source: Source) -> Source:
        def pull(samples: int, at: float) -> Samples | None:
            frame = source(samples, at)
            if frame is not None:
                assert len(frame) == samples
                self.given += samples
            return frame

        return pull


class Person:
    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.microphone = PlayoutBuffer(world.format, LIVE)
        self.stream = Stream(name, lambda: self.microphone.stats, world.format.rate_hz)
        self.heard = 0
        world.streams.append(self.stream)
        world.room.add(name, self.stream.counted(self.microphone.pull), self._hear)

    def push(self, samples: Samples) -> None:
        self.microphone.push(samples, self.world.now)

    def _hear(self, samples: Samples | None, at: float) -> None:
        self.heard += samples is not None


class Agent:
    """In a call of its own, as a gateway has them."""

    def __init__(self, world: "World", name: str, rate_hz: int) -> None:
        self.world = world
        self.rate_hz = rate_hz
        self.call = CallMixer(world.format)
        self.pipe = PortPair(world.format)
        self.call.add_leg(ParticipantRef("room"), self.pipe.near)
        self.heard = 0
        self.marks_told = self.marks_cut_off = 0
        self.audio: AgentAudio = self.call.add_agent(self._hear, rate_hz, self._note)
        self.audio.configure(receive=True)
        self.stream = Stream(name, lambda: self.audio.stats.voice, world.format.rate_hz)
        world.streams.append(self.stream)
        world.agents.append(self)
        world.room.add(name, self.stream.counted(self.pipe.far.pull), self._room)

    def push(self, samples: Samples) -> None:
        self.audio.push_pcm(samples.tobytes(), self.world.now)

    def _room(self, samples: Samples | None, at: float) -> None:
        if samples is not None:
            self.pipe.far.push(samples, at)

    def _hear(self, pcm: bytes) -> None:
        self.heard += len(pcm) // 2

    def _note(self, news: VoiceNews) -> None:
        """Marks have running numbers."""
        if isinstance(news, MarkPassed):
            assert news.name == str(self.marks_told), "each once, in its order"
            self.marks_told += 1
            self.marks_cut_off += not news.played


class World:
    def __init__(self, rate_hz: int) -> None:
        self.format = AudioFormat(rate_hz)
        self.room: Mixer[str] = Mixer(self.format)
        self.agents: list[Agent] = []
        self.streams: list[Stream] = []
        self.now = 0.0
        self.beats = 0
        self._due: list[tuple[float, int, Life]] = []
        self._turns = count()

    def live(self, life: Life) -> None:
        heapq.heappush(self._due, (next(life), next(self._turns), life))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.beats += 1
            at = self.beats * FRAME_S
            while self._due[0][0] <= at:
                self.now, _, life = self._due[0]
                heapq.heapreplace(self._due, (next(life), next(self._turns), life))
            self._beat(at)

    def _beat(self, at: float) -> None:
        self.now = at
        for agent in self.agents:
            agent.call.gather(at)
        self.room.tick(at)
        for agent in self.agents:
            agent.call.deliver(at)
        if self.beats % 5 == 0:
            self._look()

    def _look(self) -> None:
        over = self.beats % round(WINDOW_S / FRAME_S) == 0
        for stream in self.streams:
            stats = stream.stats()
            stream.least_buffered = min(stream.least_buffered, stats.buffered)
            if over:
                stream.windows += 1
                stream.delay_s = max(stream.delay_s, stream.least_buffered / stream.rate_hz)
                stream.least_buffered = 1 << 40
                check_counts(stream, stats)


def check_counts(stream: Stream, stats: PlayoutStats) -> None:
    """Nothing is gone that is not counted, and nothing came out that did not go in."""
    left = stats.pulled + stats.dropped + stats.trimmed + stats.cleared + stats.buffered
    assert stats.pushed == left, f"{stream.name}: {stats}"
    assert stream.given == stats.pulled + stats.padded + stats.stretched - stats.shortened, stream.name
