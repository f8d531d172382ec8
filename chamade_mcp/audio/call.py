"""The audio of one call: platform legs on one side, agents on the other, at the room's native rate."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import TypeAlias

from chamade_mcp.audio.agent import AgentAudio, AgentStats, PcmSink
from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.audio.meter import Meter
from chamade_mcp.audio.mixer import Summer
from chamade_mcp.audio.port import AudioPort, PortStats
from chamade_mcp.audio.totals import SoundTotals
from chamade_mcp.audio.voice import Tell
from chamade_mcp.audio.voice_activity import Judges, SpeechWatch
from chamade_mcp.model.audio import Engine
from chamade_mcp.model.ids import ParticipantRef

__all__ = ["AgentAudio", "AgentStats", "CallMixer", "PcmSink"]


Overhear: TypeAlias = Callable[[ParticipantRef, Samples], None]
Tap: TypeAlias = Callable[[Overhear | None], None]
"""Asks a leg with one mixed port for each participant's own sound, too, or no longer."""
Keep: TypeAlias = Callable[[float, Sequence[tuple[ParticipantRef, Samples]], Sequence[Samples]], None]
"""`keep(at, others, agents)`: 20 ms of each who is audible. The arrays stay as they are and may be held; the
sequences may not. It must not block."""


class CallMixer:
    """Served in two phases of the beat, so that an embedded room between them answers within it."""

    def __init__(
        self,
        format: AudioFormat,
        engine: Engine = "polyphase",
        judges: Judges | None = None,
        totals: SoundTotals | None = None,
    ) -> None:
        """Without `judges` nobody can be told who speaks. `totals` counts beyond the call's life."""
        self.format = format
        self._totals = totals or SoundTotals()
        self._judges = judges
        self._watch: SpeechWatch | None = None
        """While an agent wants to know."""
        self._engine: Engine = engine
        self._legs: dict[ParticipantRef, AudioPort] = {}
        self._ports: tuple[AudioPort, ...] = ()
        self._agents: tuple[AgentAudio, ...] = ()
        self._tap: Tap | None = None
        self._tapped = False
        self._keep: Keep | None = None
        self._meter: Meter[ParticipantRef] | None = None
        self._measuring = 0
        """How many want to know the levels."""
        self._overheard: list[tuple[ParticipantRef, Samples]] = []
        self._numbers = count(1)
        self._voices: list[tuple[AgentAudio, Samples]] = []
        self._summer = Summer(format.frame_samples)

    @property
    def agents(self) -> tuple[AgentAudio, ...]:
        return self._agents

    def leg_stats(self) -> dict[ParticipantRef, PortStats]:
        """What became of the sound of each leg."""
        return {key: port.stats for key, port in self._legs.items()}

    def add_leg(self, key: ParticipantRef, port: AudioPort) -> None:
        """Replaces an earlier leg of the same key; raises `ValueError` when the port has another rate."""
        if port.format != self.format:
            raise ValueError(f"the call runs at {self.format.rate_hz} Hz, not {port.format.rate_hz}")
        self.remove_leg(key)
        self._legs[key] = port
        rate = self.format.rate_hz
        self._totals.open((port, "said"), "said", rate, lambda: port.stats.pulled)
        self._totals.open((port, "heard"), "heard", rate, lambda: port.stats.pushed)
        self._ports = tuple(self._legs.values())

    def remove_leg(self, key: ParticipantRef) -> None:
        """Removing one that is not there is harmless."""
        port = self._legs.pop(key, None)
        if port is not None:
            self._totals.close((port, "said"))
            self._totals.close((port, "heard"))
        self._ports = tuple(self._legs.values())

    def set_tap(self, tap: Tap | None) -> None:
        """Where each participant's own sound comes from; what the ports give is then for the mix alone."""
        self._tap, self._tapped = tap, False
        self._retap()

    def set_keep(self, keep: Keep | None) -> None:
        """Who is given all that is heard, each voice apart, on every beat; None: nobody any more."""
        self._keep = keep
        self._retap()

    def measure(self, *, wanted: bool) -> None:
        """Somebody looks at the levels, or no longer does: they are measured meanwhile only."""
        self._measuring += 1 if wanted else -1
        self._meter = (self._meter or Meter()) if self._measuring else None
        self._retap()

    def levels(self) -> dict[ParticipantRef, float]:
        """RMS 0-1 of everybody who is audible, agents too, while somebody measures."""
        return {} if self._meter is None else self._meter.levels()

    def _retap(self) -> None:
        apart = any(agent.receiving == "participants" for agent in self._agents)
        wanted = apart or self._keep is not None or self._watch is not None or self._meter is not None
        if self._tap is not None and wanted != self._tapped:
            self._tapped = wanted
            self._tap(self._overhear if wanted else None)

    def _overhear(self, ref: ParticipantRef, samples: Samples) -> None:
        self._overheard.append((ref, samples))

    def _configured(self) -> None:
        watching = any(agent.on_speech is not None for agent in self._agents)
        if watching and self._watch is None and self._judges is not None:
            self._judges.prepare()
            self._watch = SpeechWatch(self.format, self._judges)
        elif not watching and self._watch is not None:
            self._watch.close()
            self._watch = None
        self._retap()

    def add_agent(self, sink: PcmSink, rate_hz: int | None = None, tell: Tell | None = None) -> AgentAudio:
        """An agent that may speak at once; it hears nothing until `configure(receive=True)`."""
        ref = ParticipantRef(f"agent_{next(self._numbers)}")
        agent = AgentAudio(self.format, sink, rate_hz, tell, self._engine, ref, self._configured)
        self._agents += (agent,)
        self._totals.open(agent, "agent", self.format.rate_hz, lambda: agent.stats.voice)
        return agent

    def remove_agent(self, agent: AgentAudio) -> None:
        """Removing one that is not there is harmless."""
        self._agents = tuple(other for other in self._agents if other is not agent)
        self._totals.close(agent)
        self._configured()

    def gather(self, at: float) -> None:
        """Takes 20 ms of every agent and gives their sum to every leg."""
        samples = self.format.frame_samples
        self._voices.clear()
        self._overheard.clear()
        for agent in self._agents:
            voice = agent.pull(samples, at)
            if voice is not None:
                self._voices.append((agent, voice))
        total = self._summer.total([voice for _, voice in self._voices])
        if total is not None:
            for port in self._ports:
                port.push(total, at)

    def deliver(self, at: float) -> None:
        """Takes 20 ms of every leg and gives each listening agent everybody else, mixed or apart."""
        samples = self.format.frame_samples
        heard: list[Samples] = []
        each: list[tuple[ParticipantRef, Samples]] = []
        for key, port in self._legs.items():
            frame = port.pull(samples, at)
            if frame is not None:
                heard.append(frame)
                each.append((key, frame))
        if self._tapped:
            each = self._overheard
        if self._meter is not None:
            self._meter.hear([*each, *((agent.ref, voice) for agent, voice in self._voices)])
        if self._keep is not None:
            self._keep(at, each, [voice for _, voice in self._voices])
        self._give(heard, each, at)
        if self._watch is not None:
            for news in self._watch.hear(each):
                for agent in self._agents:
                    agent.notice(news, at)

    def _give(
        self, heard: Sequence[Samples], each: Sequence[tuple[ParticipantRef, Samples]], at: float
    ) -> None:
        room: Samples | None = None
        summed = False
        for agent in self._agents:
            if not agent.receiving:
                continue
            others = [(speaker.ref, voice) for speaker, voice in self._voices if speaker is not agent]
            if agent.receiving == "participants":
                agent.hear_each([*each, *others], at)
            elif others:
                agent.hear(self._summer.total([*heard, *(voice for _, voice in others)]))
            else:
                if not summed:
                    room, summed = self._summer.total(heard), True
                agent.hear(room)
