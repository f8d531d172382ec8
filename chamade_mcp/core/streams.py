"""One agent socket on one call: its audio, its events, what it says."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from chamade_mcp.audio import told
from chamade_mcp.audio.agent import AgentAudio
from chamade_mcp.audio.voice import VoiceNews
from chamade_mcp.audio.wire import AudioConfigDeclare, Wire
from chamade_mcp.core import event_log
from chamade_mcp.core.call import CallState
from chamade_mcp.core.engine import CallEngine
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.live import LiveCall
from chamade_mcp.core.speech_reports import SpeechReports
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.errors import InvalidRequest
from chamade_mcp.model.events import START, Cursor, Envelope, EventType
from chamade_mcp.model.ids import CallId, ParticipantRef
from chamade_mcp.store.database import Database

_PAGE = 256


class Sink(Protocol):
    """Where what the audio has for the agent goes. Called on the audio beat: must not block."""

    @property
    def unread(self) -> int:
        """Frames that were dropped because the agent did not take them."""
        ...

    def hear(self, frame: bytes) -> None:
        """20 ms of the room's audio, once `audio.configure(receive=True)`."""
        ...

    def tell(self, news: VoiceNews) -> None: ...

    def introduce(self, indices: Mapping[ParticipantRef, int], names: Mapping[ParticipantRef, str]) -> None:
        """Whose sounds are told apart, by which index; each time that changes."""
        ...

    def announce(self, message: Wire) -> None:
        """A message about who speaks."""
        ...


class Acts(Protocol):
    """What a socket may do in its call; the call service."""

    async def say(self, principal: Principal, call: str, text: str) -> dict[str, object]: ...

    async def chat(
        self,
        principal: Principal,
        call: str,
        text: str,
        sender_name: str = "",
        attachments: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, object]: ...

    async def stop_speaking(self, principal: Principal, call: str) -> dict[str, object]: ...

    async def dial(self, principal: Principal, call: str, digits: str) -> None: ...

    async def add_transcript(self, live: LiveCall, speaker: str, text: str) -> None: ...


class AgentStream:
    def __init__(
        self,
        acts: Acts,
        live: LiveCall,
        principal: Principal,
        envelopes: AsyncIterator[Envelope],
        missed: AsyncIterator[Envelope],
        clock: Clock,
    ) -> None:
        self._acts = acts
        self._live = live
        self._principal = principal
        self._envelopes = envelopes
        self._missed = missed
        self._told = START
        self._met: set[ParticipantRef] = set()
        """Participants who have an index because they are there."""
        self._sink: Sink | None = None
        self.left = False
        """The agent closed the socket itself: its call goes on without one."""
        self.audio: AgentAudio | None = (
            live.mixer.add_agent(self._hear, tell=self._tell) if live.mixer else None
        )
        """None on a call without voice."""
        self.speech = (
            SpeechReports(self.audio, live.participants, clock, self._announce) if self.audio else None
        )
        """None on a call without voice."""

    @property
    def call(self) -> CallId:
        return self._live.record.id

    @property
    def state(self) -> CallState:
        return self._live.session.state

    @property
    def can_speak(self) -> bool:
        return Capability.AUDIO_OUT in self._live.record.capabilities

    def set_sink(self, sink: Sink | None) -> None:
        self._sink = sink

    def configure(self, wanted: AudioConfigDeclare) -> None:
        """Changes what is given. Without audio nothing."""
        if self.audio is None or self.speech is None:
            return
        self.audio.newcomers = self._introduce
        self.audio.configure(wanted.rate_hz, wanted.receive)
        self.speech.configure(wanted.speech_events, wanted.barge_in)

    def people_changed(self) -> None:
        """Indices are known before anybody speaks, and forgotten with who goes."""
        audio = self.audio
        if audio is None or audio.tracks is None or audio.receiving != "participants":
            return
        here = self._live.participants
        for gone in [ref for ref in self._met if ref not in here]:
            audio.tracks.close(gone)
        self._met = set(here)
        audio.tracks.open(here)
        self._introduce()

    def _introduce(self) -> None:
        if self._sink is None or self.audio is None or self.audio.tracks is None:
            return
        agents = [one.ref for one in self._live.mixer.agents] if self._live.mixer else []
        names = dict.fromkeys(agents, self._live.record.agent_name) | self._live.participants
        self._sink.introduce(self.audio.tracks.indices, names)

    def statistics(self) -> dict[str, object]:
        """What became of the audio of this socket; JSON. Nothing on a call without voice."""
        audio = self.audio
        if audio is None:
            return {}
        unread = self._sink.unread if self._sink is not None else 0
        return {
            "sample_rate": audio.format.rate_hz,
            "receive": audio.receiving,
            **told.agent_stats(audio.stats, audio.native, unread),
        }

    async def missed(self) -> AsyncIterator[dict[str, Any]]:
        """What was asked for of the past, as JSON objects. To be read before `events`.

        Raises `InvalidRequest` when that begins after an event that has not happened.
        """
        async for envelope in self._missed:
            self._told = envelope.cursor
            yield as_told(envelope)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """This call's events from now on, as JSON objects; ends after the state that ends the call."""
        if self.state.terminal:
            if self._told < self._live.stepped_at:
                state = {"type": str(EventType.CALL_STATE), "state": str(self.state)}
                yield {**state, "call_id": self.call, "seq": self._live.stepped_at}
            return
        async for envelope in self._envelopes:
            if envelope.cursor <= self._told or envelope.event.payload.get("call_id") != self.call:
                continue
            yield as_told(envelope)
            if ends_call(envelope):
                return

    async def say(self, text: str) -> None:
        await self._acts.say(self._principal, self.call, text)

    async def chat(
        self, text: str, sender_name: str = "", attachments: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        await self._acts.chat(self._principal, self.call, text, sender_name, attachments)

    async def dial(self, digits: str) -> None:
        await self._acts.dial(self._principal, self.call, digits)

    async def stop_speaking(self) -> None:
        await self._acts.stop_speaking(self._principal, self.call)

    async def transcript(self, speaker: str, text: str) -> None:
        """A line this agent's own speech recognition heard."""
        await self._acts.add_transcript(self._live, speaker, text)

    def _hear(self, frame: bytes) -> None:
        if self._sink is not None:
            self._sink.hear(frame)

    def _tell(self, news: VoiceNews) -> None:
        if self._sink is not None:
            self._sink.tell(news)

    def _announce(self, message: Wire) -> None:
        if self._sink is not None:
            self._sink.announce(message)


def as_told(envelope: Envelope) -> dict[str, Any]:
    """An event as a socket tells it: with the number to come back with."""
    return {**envelope.event.payload, "seq": envelope.cursor}


def ends_call(envelope: Envelope) -> bool:
    payload = envelope.event.payload
    return payload["type"] == EventType.CALL_STATE and CallState(payload["state"]).terminal


async def past(
    database: Database, scope: Scope, call: CallId, after: Cursor | None
) -> AsyncGenerator[Envelope]:
    """The call's stored events after `after`; None of them for None. Raises `InvalidRequest`."""
    if after is None:
        return
    if after > await database.read(partial(event_log.head, account=scope.account)):
        raise InvalidRequest(
            "last_seq is of no event there has been", code="INVALID_CURSOR", param="last_seq"
        )
    page = partial(event_log.of_call, scope=scope, call=call, limit=_PAGE)
    while batch := await database.read(partial(page, cursor=after)):
        for envelope in batch:
            yield envelope
        after = batch[-1].cursor


@dataclass(frozen=True, slots=True)
class Streams:
    """Opens agent sockets."""

    acts: Acts
    engine: CallEngine
    database: Database
    hub: EventHub
    clock: Clock

    @asynccontextmanager
    async def open(
        self, live: LiveCall, principal: Principal, after: Cursor | None
    ) -> AsyncGenerator[AgentStream]:
        """With `after`, what has happened since then comes first, as `AgentStream.missed`."""
        scope, call = live.record.scope, live.record.id
        async with AsyncExitStack() as stack:
            async with live.lock:
                # No step is under way: each is in the state found here, or among the events to come.
                envelopes = await stack.enter_async_context(self.hub.subscribe(scope, after=None))
            # Read from here on: what is stored twice over, in the past and among the events, is told once.
            missed = past(self.database, scope, call, after)
            stream = AgentStream(self.acts, live, principal, envelopes, missed, self.clock)
            live.listeners.append(stream)
            try:
                await self.engine.agent_here(live)
                yield stream
            finally:
                live.listeners.remove(stream)
                if live.mixer is not None and stream.audio is not None:
                    live.mixer.remove_agent(stream.audio)
                if not stream.left:
                    await self.engine.agent_lost(live)
