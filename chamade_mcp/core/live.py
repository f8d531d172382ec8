"""A call that is alive in this process: its leg, its audio, its place on the audio clock."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from chamade_mcp.audio import told
from chamade_mcp.audio.call import CallMixer
from chamade_mcp.audio.frame import AudioFormat
from chamade_mcp.audio.totals import SoundTotals
from chamade_mcp.audio.voice_activity import Judges
from chamade_mcp.core.call import CallSession
from chamade_mcp.core.recorder import Recorder
from chamade_mcp.core.records import CallRecord, RecordingState
from chamade_mcp.kit.connector import CallLeg, Overheard
from chamade_mcp.kit.ticker import Phase, Ticker
from chamade_mcp.model.audio import Engine
from chamade_mcp.model.events import START, Cursor
from chamade_mcp.model.ids import ParticipantRef
from chamade_mcp.model.recording import RecordingFormat

MET: Final = 100
"""Names that are kept of one call."""


class Listener(Protocol):
    """An agent socket on the call."""

    def statistics(self) -> dict[str, object]:
        """What became of its audio; JSON."""
        ...

    def people_changed(self) -> None:
        """Somebody came, went or has a new name."""
        ...


@dataclass(slots=True)
class LiveCall:
    record: CallRecord
    session: CallSession
    mixer: CallMixer | None
    """None on a platform without voice."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held over each step, so that what is stored and what is told keep one order."""
    leg: CallLeg | None = None
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    stepped_at: Cursor = START
    """Where in the account's log its newest step stands."""
    participants: dict[ParticipantRef, str] = field(default_factory=dict[ParticipantRef, str])
    """The people in the room, by name."""
    met: dict[str, None] = field(default_factory=dict[str, None])
    """Names of everybody who was in the room so far, the first `MET` of them as they came."""
    listeners: list[Listener] = field(default_factory=list[Listener])
    """The agent sockets that are open, the oldest first."""
    joining: bool = False
    """Asked to come in, and not in yet."""
    attending: asyncio.Task[None] | None = None
    """What goes on with the platform: being in the room, or declining."""
    timer: asyncio.Task[None] | None = None
    """Waits for the session's deadline."""
    tended: bool = False
    """Somebody asked for something of it since its last socket was lost."""
    record_as: RecordingFormat | None = None
    """It shall be recorded from the moment on when the agent is in the room."""
    recorder: Recorder | None = None
    recording_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a recording begins or ends."""

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(self.participants.values())

    @property
    def recording(self) -> RecordingState:
        if self.recorder is None:
            return RecordingState() if self.record_as is None else RecordingState("pending")
        about = self.recorder.about
        return RecordingState("on", about.id, about.announced)

    def audio_stats(self) -> dict[str, object] | None:
        """What became of the sound of each agent socket and of each leg; None on a call without voice."""
        if self.mixer is None:
            return None
        return {
            "agents": [listener.statistics() for listener in self.listeners],
            "legs": [
                {"participant": ref, **told.leg_stats(stats, self.mixer.format)}
                for ref, stats in self.mixer.leg_stats().items()
            ],
        }

    def name(self, participant: ParticipantRef, name: str | None) -> None:
        """Somebody came or has a new name; None: went."""
        if name is None:
            self.participants.pop(participant, None)
        else:
            self.participants[participant] = name
            if name and len(self.met) < MET:
                self.met[name] = None
        for listener in self.listeners:
            listener.people_changed()

    def give_up(self) -> None:
        """Leaves the room, or stops trying to get in."""
        self.leave.set()
        if self.joining and self.attending is not None:
            self.attending.cancel()

    def plug_in(self, leg: CallLeg, ticker: Ticker) -> Callable[[], None]:
        """Connects the leg's audio; the returned function disconnects it."""
        self.leg, mixer = leg, self.mixer
        if mixer is None:
            return self._unplug
        ports = leg.ports()
        for key, port in ports.items():
            mixer.add_leg(key, port)
        mixer.set_tap(leg.overhear if isinstance(leg, Overheard) else None)
        stop_gather = ticker.register(Phase.GATHER, mixer.gather)
        stop_deliver = ticker.register(Phase.DELIVER, mixer.deliver)

        def unplug() -> None:
            stop_gather()
            stop_deliver()
            mixer.set_tap(None)
            for key in ports:
                mixer.remove_leg(key)
            self._unplug()

        return unplug

    def _unplug(self) -> None:
        self.leg = None


def new_mixer(record: CallRecord, resampler: Engine, judges: Judges, totals: SoundTotals) -> CallMixer | None:
    if record.sample_rate_hz is None:
        return None
    return CallMixer(AudioFormat(record.sample_rate_hz), resampler, judges, totals)
