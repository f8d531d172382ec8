"""One agent socket on one call: its audio, its events, what it says."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from chamade_mcp.audio import told
from chamade_mcp.audio.agent import AgentAudio
from chamade_mcp.audio.voice import VoiceNews
from chamade_mcp.core.call import CallState
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.live import LiveCall
from chamade_mcp.model.access import Principal
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.events import Envelope, EventType
from chamade_mcp.model.ids import CallId


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

    async def add_transcript(self, live: LiveCall, speaker: str, text: str) -> None: ...


class AgentStream:
    def __init__(
        self, acts: Acts, live: LiveCall, principal: Principal, envelopes: AsyncIterator[Envelope]
    ) -> None:
        self._acts = acts
        self._live = live
        self._principal = principal
        self._envelopes = envelopes
        self._sink: Sink | None = None
        self.audio: AgentAudio | None = (
            live.mixer.add_agent(self._hear, tell=self._tell) if live.mixer else None
        )
        """None on a call without voice."""

    @property
    def call(self) -> CallId:
        return self._live.record.id

    @property
    def state(self) -> CallState:
        return self._live.session.state

    @property
    def native_rate_hz(self) -> int | None:
        return self._live.record.sample_rate_hz

    @property
    def can_speak(self) -> bool:
        return Capability.AUDIO_OUT in self._live.record.capabilities

    def set_sink(self, sink: Sink | None) -> None:
        self._sink = sink

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

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """This call's events from now on, as JSON objects; ends after the state that ends the call."""
        if self.state.terminal:
            yield {"type": str(EventType.CALL_STATE), "state": str(self.state)}
            return
        async for envelope in self._envelopes:
            payload = envelope.event.payload
            if payload.get("call_id") != self.call:
                continue
            yield payload
            if payload["type"] == EventType.CALL_STATE and CallState(payload["state"]).terminal:
                return

    async def say(self, text: str) -> None:
        await self._acts.say(self._principal, self.call, text)

    async def chat(
        self, text: str, sender_name: str = "", attachments: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        await self._acts.chat(self._principal, self.call, text, sender_name, attachments)

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


@asynccontextmanager
async def open_stream(
    acts: Acts, hub: EventHub, live: LiveCall, principal: Principal
) -> AsyncGenerator[AgentStream]:
    async with AsyncExitStack() as stack:
        async with live.lock:
            # No step is under way: each is in the state found here, or among the events to come.
            envelopes = await stack.enter_async_context(hub.subscribe(live.record.scope, after=None))
        stream = AgentStream(acts, live, principal, envelopes)
        live.listeners.append(stream)
        try:
            yield stream
        finally:
            live.listeners.remove(stream)
            if live.mixer is not None and stream.audio is not None:
                live.mixer.remove_agent(stream.audio)
