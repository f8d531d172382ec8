"""Who speaks, as one agent wants to know it."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from chamade_mcp.audio import told
from chamade_mcp.audio.agent import AgentAudio
from chamade_mcp.audio.voice_activity import SpeechNews, SpeechStarted
from chamade_mcp.audio.wire import Wire
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.ids import ParticipantRef


class SpeechReports:
    """Tells who starts and stops to speak, and lets the agent fall silent for them: each if asked for."""

    def __init__(
        self,
        audio: AgentAudio,
        people: Mapping[ParticipantRef, str],
        clock: Clock,
        announce: Callable[[Wire], None],
    ) -> None:
        """`people`: who is there now, by name. `announce` must not block."""
        self.events = False
        self.barge_in = False
        self._audio = audio
        self._people = people
        self._clock = clock
        self._announce = announce
        self._speaking: dict[ParticipantRef, str] = {}
        """Who was told to have started: the name is still known when they have left."""

    def configure(self, events: bool | None, barge_in: bool | None) -> None:
        """Changes what is given."""
        self.events = self.events if events is None else events
        self.barge_in = self.barge_in if barge_in is None else barge_in
        if not self.events:
            self._speaking.clear()
        self._audio.watch_speech(self._noticed if self.events or self.barge_in else None)

    def _noticed(self, news: SpeechNews, at_ms: int | None) -> None:
        if self.events:
            self._tell(news, at_ms)
        if self.barge_in and isinstance(news, SpeechStarted) and self._audio.buffered_s > 0:
            heard_s = self._audio.said_s
            cleared_s = self._audio.clear()
            name = self._people.get(news.ref, "")
            self._announce(told.barge_in(news.ref, name, heard_s, cleared_s))

    def _tell(self, news: SpeechNews, at_ms: int | None) -> None:
        if isinstance(news, SpeechStarted):
            name: str | None = self._speaking.setdefault(news.ref, self._people.get(news.ref, ""))
        else:
            name = self._speaking.pop(news.ref, None)
        if name is not None:
            timestamp = iso(self._clock.now() - timedelta(seconds=news.ago_s))
            self._announce(told.speech(news, name, timestamp, at_ms))
