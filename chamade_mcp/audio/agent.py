"""One agent's audio in one call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from chamade_mcp.audio.ear import Ear
from chamade_mcp.audio.frame import FRAME_MS, AudioFormat, Samples
from chamade_mcp.audio.playout import PlayoutStats
from chamade_mcp.audio.tracks import Tracks
from chamade_mcp.audio.voice import Tell, Voice, VoiceNews
from chamade_mcp.audio.voice_activity import SpeechNews
from chamade_mcp.model.audio import Engine
from chamade_mcp.model.ids import ParticipantRef

PcmSink: TypeAlias = Callable[[bytes], None]
"""Gets 20 ms of PCM at the agent's declared rate. Must not block."""


Receive: TypeAlias = bool | Literal["participants"]
"""Nothing, everybody mixed, or each participant apart."""


OnSpeech: TypeAlias = Callable[[SpeechNews, int | None], None]
"""`on_speech(news, at_ms)`: somebody starts or stops to speak, at that place in the sound that the agent
gets; None: it gets none. Must not block."""


@dataclass(frozen=True, slots=True)
class AgentStats:
    voice: PlayoutStats
    """Of the agent's own voice, in samples at the native rate."""
    heard: int
    """Frames handed to the agent."""
    marks: int
    """Marks that wait in what it said."""


class AgentAudio:
    """An agent's mouth and ear in one call. Made by `CallMixer.add_agent`.

    PCM is s16le mono. What is pushed must not be written to afterwards.
    """

    def __init__(
        self,
        native: AudioFormat,
        sink: PcmSink,
        rate_hz: int | None = None,
        tell: Tell | None = None,
        engine: Engine = "polyphase",
        ref: ParticipantRef = ParticipantRef("agent"),  # noqa: B008 - a string
        configured: Callable[[], None] | None = None,
    ) -> None:
        self.ref = ref
        """Who it is to the other agents of the call."""
        self.native = native
        self.format = AudioFormat(rate_hz) if rate_hz is not None else native
        self.receiving: Receive = False
        self.tracks: Tracks | None = None
        """With `receive="participants"`."""
        self.newcomers: Callable[[], None] | None = None
        """Called before the first sound of one who has no index yet. Must not block."""
        self.on_speech: OnSpeech | None = None
        """Set by `watch_speech`."""
        self._configured = configured
        self.heard = 0
        self._mixed = 0
        """Of these, the ones of everybody mixed."""
        self._sink = sink
        self._engine: Engine = engine
        self._voice = Voice(native, tell or _ignore, engine)
        self._ear = Ear(native, self.format, engine)
        self.pull = self._voice.pull
        """20 ms of the agent's voice at the native rate, for the mix: `pull(count, at)`."""
        self.mark = self._voice.mark
        """Tells `MarkPassed` once all that was pushed until now is over; raises `TooManyMarks`."""
        self.clear = self._voice.clear
        """Forgets what is not yet played; returns how many seconds that was."""

    @property
    def said_s(self) -> float:
        """How much has been played since the agent last had nothing to say."""
        return self._voice.said_s

    @property
    def stats(self) -> AgentStats:
        return AgentStats(self._voice.stats, self.heard, self._voice.marks)

    @property
    def buffered_s(self) -> float:
        """How much of what the agent said is still to be played."""
        return self._voice.buffered_s

    def configure(self, rate_hz: int | None = None, receive: Receive | None = None) -> None:
        """Changes what is given; raises `ValueError` for a rate outside 8,000-48,000 Hz."""
        if rate_hz is not None and rate_hz != self.format.rate_hz:
            self.format = AudioFormat(rate_hz)
            self._ear = Ear(self.native, self.format, self._engine)
            if self.tracks is not None:
                self.tracks.convert_to(self.format)
        if receive is not None:
            self.receiving = receive
            if receive == "participants" and self.tracks is None:
                self.tracks = Tracks(self.native, self.format, self._engine)
        if self._configured is not None:
            self._configured()

    def watch_speech(self, on_speech: OnSpeech | None) -> None:
        """From now on `on_speech` is told who speaks; None: no longer."""
        self.on_speech = on_speech
        if self._configured is not None:
            self._configured()

    def notice(self, news: SpeechNews, at: float) -> None:
        """Tells of somebody's speech, after this beat's sound."""
        if self.on_speech is not None:
            position = self._position_ms(at)
            at_ms = None if position is None else max(0, position - round(news.ago_s * 1000))
            self.on_speech(news, at_ms)

    def _position_ms(self, at: float) -> int | None:
        """Where the sound that the agent has ends."""
        if self.receiving == "participants" and self.tracks is not None:
            return self.tracks.since_first_ms(at) + FRAME_MS
        return self._mixed * FRAME_MS if self.receiving else None

    def push_pcm(self, data: bytes | memoryview, at: float) -> None:
        """Speech at the declared rate, any number of samples; raises `ValueError` on half a sample."""
        self._voice.push(data, self.format.rate_hz, at)

    def push_at(self, data: bytes | memoryview, rate_hz: int, at: float) -> None:
        """Speech at a rate of its own; raises `ValueError` on half a sample or an impossible rate."""
        self._voice.push(data, rate_hz, at)

    def hear(self, mix: Samples | None) -> None:
        """Hands 20 ms of everybody else to the agent."""
        for frame in self._ear.frames(mix):
            self.heard += 1
            self._mixed += 1
            self._sink(frame)

    def hear_each(self, sounds: Sequence[tuple[ParticipantRef, Samples]], at: float) -> None:
        """Hands 20 ms of each who is audible to the agent."""
        tracks = self.tracks
        if tracks is None:
            return
        if tracks.open(ref for ref, _ in sounds) and self.newcomers is not None:
            self.newcomers()
        for frame in tracks.frames(sounds, at):
            self.heard += 1
            self._sink(frame)


def _ignore(news: VoiceNews) -> None:
    del news
