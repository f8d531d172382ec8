"""An open call WebSocket: a task reads, one writes, one follows events, one does what takes time."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from starlette.types import Receive, Send

from chamade_mcp.api.calls import ChatBody
from chamade_mcp.api.outbox import CallOutbox
from chamade_mcp.api.socket_door import Refused
from chamade_mcp.api.validation import check
from chamade_mcp.audio import told, wire
from chamade_mcp.audio.voice import MAX_MARKS, TooManyMarks, VoiceNews
from chamade_mcp.audio.wire import WireError
from chamade_mcp.core.call import CallState
from chamade_mcp.core.keys import require
from chamade_mcp.core.streams import AgentStream
from chamade_mcp.kit.frames import Frames
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import GatewayError, Internal
from chamade_mcp.model.ids import ParticipantRef

log = logging.getLogger(__name__)

FRAME_CAP_BYTES = 1 << 20
_WAITING = 64
"""Messages that may wait for one that takes time, such as a chat message on a slow platform."""
_REMIND_S = 1.0
"""An agent that sends audio nobody can hear is told so, but not fifty times a second."""

_GOODBYE = frozenset({1000, 1005})
"""How a client closes that means to. Any other code is a socket that was lost."""
_LAST_WORDS_S = 5.0
"""For a client to take what is still to be told before it is closed."""

Slow = wire.Say | wire.SendChat | wire.Transcript | wire.Dtmf
Queue = wire.AudioStatusQuery | wire.Clear | wire.Mark


class CallSocket:
    def __init__(
        self,
        stream: AgentStream,
        principal: Principal,
        receive: Receive,
        send: Send,
        frames: Frames | None = None,
    ) -> None:
        self._stream = stream
        self._principal = principal
        self._receive = receive
        self._send = send
        self._frames = frames
        self._outbox = CallOutbox(frames.write if frames is not None else None)
        self._waiting: asyncio.Queue[Slow] = asyncio.Queue(_WAITING)
        self._voice = stream.audio if stream.can_speak else None
        self._now = asyncio.get_running_loop().time
        self._remind_at = 0.0

    def begin_with(self, settings: Mapping[str, object]) -> None:
        """Settings of an `audio_config` that nobody need send."""
        try:
            message = wire.parse(wire.encode({"type": "audio_config", **settings}))
        except WireError as error:
            self._answer(error.to_wire())
            return
        if isinstance(message, wire.AudioConfigDeclare):
            self._stream.configure(message)

    async def run(self, void: Coroutine[Any, Any, Refused]) -> None:
        """Returns when either side closes the socket; leaves no task behind.

        `void` gives why it must be closed, once it must.
        """
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._outbox.drain(self._send))
        voiding = asyncio.create_task(void)
        helpers = [asyncio.create_task(self._follow()), asyncio.create_task(self._carry_out())]
        self._stream.set_sink(_Mouthpiece(self._outbox))
        if self._frames is not None:
            self._frames.give_to(self._take)
        try:
            done, _ = await asyncio.wait({reader, writer, voiding}, return_when=asyncio.FIRST_COMPLETED)
            if voiding in done and voiding.exception() is None:
                self._stream.set_sink(None)
                await _end([reader, *helpers])
                await self._refuse(voiding.result(), writer)
        finally:
            if self._frames is not None:
                self._frames.give_to(None)
            self._stream.set_sink(None)
            await _end([reader, writer, voiding, *helpers])
        for task in done:
            error = task.exception()
            if error is not None and not isinstance(error, OSError):  # OSError: the peer has gone
                log.error("the socket of %s broke", self._stream.call, exc_info=error)
                await self._send({"type": "websocket.close", "code": 1011, "reason": "Internal error"})

    async def _refuse(self, refusal: Refused, writer: asyncio.Task[None]) -> None:
        self._answer(wire.call_error(refusal.reason, refusal.name))
        self._outbox.close(refusal.code, refusal.reason)
        await asyncio.wait({writer}, timeout=_LAST_WORDS_S)

    # --- in ----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                # Of a connection that is lost uvicorn says 1005, too; but it gives no reason then.
                self._stream.left = message.get("code") in _GOODBYE and "reason" in message
                return
            pcm = message.get("bytes")
            frame = pcm if pcm is not None else message["text"]
            if len(frame) > FRAME_CAP_BYTES:
                self._outbox.close(1009, "A frame may have 1 MiB")
            elif pcm is not None:
                self._take(pcm)
            else:
                await self._obey(message["text"])

    def _take(self, pcm: bytes) -> None:
        try:
            self._speak(wire.pcm_bytes(pcm), None)
        except WireError as error:
            self._answer(error.to_wire())

    async def _obey(self, text: str) -> None:
        try:
            await self._understand(wire.parse(text))
        except WireError as error:
            self._answer(error.to_wire())

    def _speak(self, pcm: bytes, rate_hz: int | None) -> None:
        if self._voice is None:
            now = self._now()
            if now >= self._remind_at:
                self._remind_at = now + _REMIND_S
                self._complain("Nobody in this call can hear audio: use the chat", "NO_AUDIO_OUT")
        elif rate_hz is None:
            self._voice.push_pcm(pcm, self._now())
        else:
            self._voice.push_at(pcm, rate_hz, self._now())

    async def _understand(self, message: wire.ClientMessage) -> None:
        if isinstance(message, wire.AudioChunk):
            self._speak(message.pcm, message.rate_hz)
        elif isinstance(message, wire.AudioConfigQuery):
            self._tell_audio_config()
        elif isinstance(message, wire.AudioConfigDeclare):
            self._stream.configure(message)
            self._tell_audio_config()
            if message.receive == "participants":
                self._stream.people_changed()
        elif isinstance(message, wire.StopSpeaking):
            await self._stop_speaking()
        elif isinstance(message, wire.AudioStatusQuery | wire.Clear | wire.Mark):
            self._see_to_the_queue(message)
        else:
            self._postpone(message)

    def _see_to_the_queue(self, message: Queue) -> None:
        audio = self._stream.audio
        if audio is None:
            self._complain("This call has no audio", "NO_AUDIO")
        elif isinstance(message, wire.AudioStatusQuery):
            self._answer(told.audio_status(self._stream.statistics()))
        elif isinstance(message, wire.Clear):
            self._answer(told.cleared(audio.clear()))
        else:
            try:
                audio.mark(message.name)
            except TooManyMarks:
                self._complain(f"{MAX_MARKS} marks are waiting already; this one was dropped", "RATE_LIMITED")

    def _postpone(self, message: Slow) -> None:
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self._complain(f"{_WAITING} messages are waiting already; this one was dropped", "RATE_LIMITED")

    async def _stop_speaking(self) -> None:
        # What waits to be said is silenced too; the rest keeps its order.
        waiting = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
        for message in waiting:
            if not isinstance(message, wire.Say):
                self._waiting.put_nowait(message)
        try:
            await self._stream.stop_speaking()
        except GatewayError as error:
            self._complain(error.detail, error.code)

    # --- out ---------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        try:
            async for event in self._stream.events():
                self._outbox.tell(wire.encode(event))
            self._outbox.close(1000, "The call is over")
        except Exception:
            log.exception("the events of %s broke off", self._stream.call)
            self._outbox.close(1011, "Internal error")

    async def _carry_out(self) -> None:
        while True:
            message = await self._waiting.get()
            try:
                await self._do(message)
            except GatewayError as error:
                self._complain(error.detail, error.code)
            except Exception:
                log.exception("a message on %s failed", self._stream.call)
                failure = Internal()
                self._complain(failure.detail, failure.code)

    async def _do(self, message: Slow) -> None:
        if isinstance(message, wire.Say):
            await self._stream.say(message.text)
        elif isinstance(message, wire.Transcript):
            await self._stream.transcript(message.speaker, message.text)
        elif isinstance(message, wire.Dtmf):
            await self._stream.dial(message.digits)
        else:
            require(self._principal, Permission.MESSAGE)
            chat = check(
                ChatBody,
                {
                    "text": message.text,
                    "sender_name": message.sender_name,
                    "attachments": list(message.attachments),
                },
            )
            await self._stream.chat(chat.text, chat.sender_name, chat.attached())

    def _complain(self, message: str, code: str) -> None:
        self._answer(wire.call_error(message, code))

    def _answer(self, message: wire.Wire) -> None:
        self._outbox.tell(wire.encode(message))

    def _tell_audio_config(self) -> None:
        audio, speech = self._stream.audio, self._stream.speech
        if audio is None or speech is None:
            self._complain("This call has no audio", "NO_AUDIO")
            return
        config = told.audio_config(
            audio.native,
            audio.format,
            receive=audio.receiving,
            speech_events=speech.events,
            barge_in=speech.barge_in,
            ready=self._stream.state is CallState.ACTIVE,
        )
        self._outbox.tell_in_order(wire.encode(config))


class _Mouthpiece:
    """The stream's way out, through the outbox."""

    def __init__(self, outbox: CallOutbox) -> None:
        self._outbox = outbox
        self.hear = outbox.hear

    @property
    def unread(self) -> int:
        return self._outbox.audio_dropped

    def tell(self, news: VoiceNews) -> None:
        self._outbox.tell(wire.encode(told.voice_news(news)))

    def introduce(self, indices: Mapping[ParticipantRef, int], names: Mapping[ParticipantRef, str]) -> None:
        self._outbox.tell_in_order(wire.encode(told.audio_participants(indices, names)))

    def announce(self, message: wire.Wire) -> None:
        self._outbox.tell(wire.encode(message))


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
