"""The audio of one call: platform legs on one side, agents on the other, at the room's native rate."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.mixer import Summer
from chamade_mcp.audio.playout import QUEUED, PlayoutBuffer, PlayoutStats
from chamade_mcp.audio.port import AudioPort
from chamade_mcp.audio.resample import Resampler, make_resampler
from chamade_mcp.model.ids import ParticipantRef

PcmSink: TypeAlias = Callable[[bytes], None]
"""Gets 20 ms of PCM at the agent's declared rate. Must not block."""

_KEPT_RATES = 4
"""Converters kept per agent: one that changes its rate with every message shall not fill the memory."""


@dataclass(frozen=True, slots=True)
class AgentStats:
    voice: PlayoutStats
    """Of the agent's own voice, in samples at the native rate."""
    heard: int
    """Frames handed to the agent."""


class AgentAudio:
    """An agent's mouth and ear in one call. Made by `CallMixer.add_agent`.

    PCM is s16le mono. What is pushed must not be written to afterwards.
    """

    def __init__(self, native: AudioFormat, sink: PcmSink, rate_hz: int | None = None) -> None:
        self.native = native
        self.format = AudioFormat(rate_hz) if rate_hz is not None else native
        self.receiving = False
        self.heard = 0
        self._sink = sink
        self._voice = PlayoutBuffer(native, QUEUED)
        self._mouths: OrderedDict[int, Resampler] = OrderedDict()
        self._speaking_hz: int | None = None
        self._spoke_at = 0.0
        self._ear = _Ear(native, self.format)

    @property
    def stats(self) -> AgentStats:
        return AgentStats(self._voice.stats, self.heard)

    @property
    def queued_s(self) -> float:
        """How much of what the agent said is still to be played."""
        return self._voice.buffered / self.native.rate_hz

    def configure(self, rate_hz: int | None = None, receive: bool | None = None) -> None:
        """Changes what is given; raises `ValueError` for a rate outside 8,000-48,000 Hz."""
        if rate_hz is not None and rate_hz != self.format.rate_hz:
            self.format = AudioFormat(rate_hz)
            self._ear = _Ear(self.native, self.format)
        if receive is not None:
            self.receiving = receive

    def push_pcm(self, data: bytes | memoryview, at: float) -> None:
        """Speech at the declared rate, any number of samples; raises `ValueError` on half a sample."""
        self.push_at(data, self.format.rate_hz, at)

    def push_at(self, data: bytes | memoryview, rate_hz: int, at: float) -> None:
        """Speech at a rate of its own; raises `ValueError` on half a sample or an impossible rate."""
        if len(data) % 2:
            raise ValueError("PCM s16le has two bytes per sample")
        samples: Samples = np.frombuffer(data, np.dtype("<i2"))
        mouth = self._mouth(rate_hz)
        if self._speaking_hz != rate_hz:
            self._finish(at)
            self._speaking_hz = rate_hz
        self._spoke_at = at
        self._voice.push(mouth.push(samples), at)

    def clear(self) -> float:
        """Forgets what is not yet played; returns how many seconds that was."""
        cleared = self._voice.clear()
        self._finish(0.0)
        return cleared / self.native.rate_hz

    def pull(self, count: int, at: float) -> Samples | None:
        """20 ms of the agent's voice at the native rate, for the mix."""
        if self._speaking_hz is not None and self._voice.buffered < count and at - self._spoke_at >= FRAME_S:
            self._finish(at)
        return self._voice.pull(count, at)

    def hear(self, mix: Samples | None) -> None:
        """Hands 20 ms of everybody else to the agent."""
        for frame in self._ear.frames(mix):
            self.heard += 1
            self._sink(frame)

    def _mouth(self, rate_hz: int) -> Resampler:
        mouth = self._mouths.get(rate_hz)
        if mouth is None:
            mouth = self._mouths[rate_hz] = make_resampler(rate_hz, self.native.rate_hz)
            if len(self._mouths) > _KEPT_RATES:
                oldest = next(rate for rate in self._mouths if rate not in (rate_hz, self._speaking_hz))
                del self._mouths[oldest]
        else:
            self._mouths.move_to_end(rate_hz)
        return mouth

    def _finish(self, at: float) -> None:
        """Ends a sound. Its last milliseconds, which the filter holds, follow unless it is over already."""
        if self._speaking_hz is None:
            return
        tail = self._mouths[self._speaking_hz].flush()
        self._speaking_hz = None
        if self._voice.playing or self._voice.buffered:
            self._voice.push(tail, at)


class _Ear:
    """20 ms at the native rate in, whole frames at the agent's rate out, silence included."""

    def __init__(self, native: AudioFormat, wanted: AudioFormat) -> None:
        self._resampler = make_resampler(native.rate_hz, wanted.rate_hz)
        self._frame_samples = wanted.frame_samples
        self._silence = np.zeros(native.frame_samples, np.int16)
        self._silent_frame = bytes(wanted.frame_bytes)
        self._even = wanted.rate_hz % 50 == 0 and native.rate_hz % 50 == 0
        self._settled = True
        self._pending: Samples = np.zeros(0, np.int16)

    def frames(self, mix: Samples | None) -> list[bytes]:
        if mix is None:
            if self._settled and self._even:
                return [self._silent_frame]
            mix = self._silence
            self._settled = True
        else:
            self._settled = False
        heard = self._resampler.push(mix)
        if self._even:
            return [heard.tobytes()]
        heard = np.concatenate((self._pending, heard))
        whole = len(heard) - len(heard) % self._frame_samples
        self._pending = heard[whole:]
        return [
            heard[start : start + self._frame_samples].tobytes()
            for start in range(0, whole, self._frame_samples)
        ]


class CallMixer:
    """Served in two phases of the beat, so that an embedded room between them answers within it."""

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self._legs: dict[ParticipantRef, AudioPort] = {}
        self._ports: tuple[AudioPort, ...] = ()
        self._agents: tuple[AgentAudio, ...] = ()
        self._voices: list[tuple[AgentAudio, Samples]] = []
        self._summer = Summer(format.frame_samples)

    @property
    def agents(self) -> tuple[AgentAudio, ...]:
        return tuple(self._agents)

    def add_leg(self, key: ParticipantRef, port: AudioPort) -> None:
        """Replaces an earlier leg of the same key; raises `ValueError` when the port has another rate."""
        if port.format != self.format:
            raise ValueError(f"the call runs at {self.format.rate_hz} Hz, not {port.format.rate_hz}")
        self._legs[key] = port
        self._ports = tuple(self._legs.values())

    def remove_leg(self, key: ParticipantRef) -> None:
        """Removing one that is not there is harmless."""
        self._legs.pop(key, None)
        self._ports = tuple(self._legs.values())

    def add_agent(self, sink: PcmSink, rate_hz: int | None = None) -> AgentAudio:
        """An agent that may speak at once; it hears nothing until `configure(receive=True)`."""
        agent = AgentAudio(self.format, sink, rate_hz)
        self._agents += (agent,)
        return agent

    def remove_agent(self, agent: AgentAudio) -> None:
        """Removing one that is not there is harmless."""
        self._agents = tuple(other for other in self._agents if other is not agent)

    def gather(self, at: float) -> None:
        """Takes 20 ms of every agent and gives their sum to every leg."""
        count = self.format.frame_samples
        self._voices.clear()
        for agent in self._agents:
            voice = agent.pull(count, at)
            if voice is not None:
                self._voices.append((agent, voice))
        total = self._summer.total([voice for _, voice in self._voices])
        if total is not None:
            for port in self._ports:
                port.push(total, at)

    def deliver(self, at: float) -> None:
        """Takes 20 ms of every leg and gives each listening agent everybody else."""
        count = self.format.frame_samples
        heard: list[Samples] = []
        for port in self._ports:
            frame = port.pull(count, at)
            if frame is not None:
                heard.append(frame)
        room: Samples | None = None
        summed = False
        for agent in self._agents:
            if not agent.receiving:
                continue
            others = [voice for speaker, voice in self._voices if speaker is not agent]
            if others:
                agent.hear(self._summer.total(heard + others))
                continue
            if not summed:
                room, summed = self._summer.total(heard), True
            agent.hear(room)
