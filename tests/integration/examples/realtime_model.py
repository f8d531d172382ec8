# pyright: basic, reportMissingImports=false
"""A realtime model as its documents say, without the model: it answers whatever it hears with a long tone.

What it is told is checked by the types of the `openai` package, and what it tells is made of them. Its first
line is its address; after that it prints what a test wants to know.
"""

import asyncio
import json
import math
from array import array
from base64 import b64decode, b64encode
from itertools import count
from typing import Any, Literal

from openai.types import realtime as rt
from pydantic import TypeAdapter
from websockets.asyncio.server import ServerConnection, serve

RATE_HZ, TONE_HZ, SECONDS, DELTA = 24_000, 1500, 40, 4_800
LOUD, QUIET_MS = 500, 500
CLIENT_EVENTS: TypeAdapter[Any] = TypeAdapter(rt.RealtimeClientEvent)


def tone() -> bytes:
    turn = 2 * math.pi * TONE_HZ / RATE_HZ
    return array("h", (int(12_000 * math.sin(turn * i)) for i in range(RATE_HZ))).tobytes() * SECONDS


class Session:
    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._ids = count(1)
        self._heard_ms = 0.0
        self._quiet_ms: float | None = None
        """None while nobody speaks."""
        self._items: dict[str, float] = {}
        """Milliseconds of each item that was spoken."""
        self._speaking: asyncio.Task[None] | None = None
        self._response = ""
        """That is active: there is one at most."""
        self._refused = asyncio.Event()
        self._interrupted = asyncio.Event()

    async def run(self) -> None:
        session = rt.RealtimeSessionCreateRequest(type="realtime", model="gpt-realtime")
        await self._tell(rt.SessionCreatedEvent, type="session.created", session=session)
        async for message in self._socket:
            await self._obey(CLIENT_EVENTS.validate_json(message, strict=True))

    async def _obey(self, event: Any) -> None:
        match event:
            case rt.SessionUpdateEvent():
                assert event.session.audio.input.format.rate == RATE_HZ
                await self._tell(rt.SessionUpdatedEvent, type="session.updated", session=event.session)
            case rt.InputAudioBufferAppendEvent():
                await self._listen(b64decode(event.audio, validate=True))
            case rt.ConversationItemCreateEvent():
                print("TEXT", event.item.content[0].text, flush=True)
            case rt.ResponseCreateEvent() if self._response:
                await self._refuse()
            case rt.ResponseCreateEvent():
                print("ASKED", flush=True)
                self._speaking = asyncio.create_task(self._reply(until=self._refused))
            case rt.ConversationItemTruncateEvent():
                await self._truncate(event)
            case _:
                raise AssertionError(f"not expected: {event}")

    async def _listen(self, pcm: bytes) -> None:
        ms = len(pcm) / 2 / RATE_HZ * 1000
        self._heard_ms += ms
        if max(array("h", pcm), default=0) >= LOUD:
            if self._quiet_ms is None:
                await self._started()
            self._quiet_ms = 0.0
        elif self._quiet_ms is not None:
            self._quiet_ms += ms
            if self._quiet_ms >= QUIET_MS:
                self._quiet_ms = None
                await self._tell(
                    rt.InputAudioBufferSpeechStoppedEvent,
                    type="input_audio_buffer.speech_stopped",
                    item_id=self._id("item"),
                    audio_end_ms=int(self._heard_ms),
                )
                self._speaking = asyncio.create_task(self._reply(until=self._interrupted))

    async def _started(self) -> None:
        await self._tell(
            rt.InputAudioBufferSpeechStartedEvent,
            type="input_audio_buffer.speech_started",
            item_id=self._id("item"),
            audio_start_ms=int(self._heard_ms),
        )
        if self._speaking is not None and self._response:  # interrupt_response
            self._speaking.cancel()
            self._interrupted.set()
            item = next(reversed(self._items))
            await self._spoke(item, tone()[:DELTA])  # what is under way arrives all the same
            await self._done("cancelled")

    async def _refuse(self) -> None:
        error = rt.RealtimeError(
            type="invalid_request_error",
            code="conversation_already_has_active_response",
            message=f"Conversation already has an active response in progress: {self._response}",
        )
        await self._tell(rt.RealtimeErrorEvent, type="error", error=error)
        print("REFUSED", flush=True)
        self._refused.set()

    async def _reply(self, until: asyncio.Event) -> None:
        """Faster than it can be heard, but not done before `until`: what a test is about comes meanwhile."""
        item, pcm = self._id("item"), tone()
        self._response = self._id("resp")
        response = rt.RealtimeResponse(id=self._response, status="in_progress")
        await self._tell(rt.ResponseCreatedEvent, type="response.created", response=response)
        for start in range(0, len(pcm), DELTA):
            await self._spoke(item, pcm[start : start + DELTA])
        await until.wait()
        await self._tell(
            rt.ResponseAudioTranscriptDoneEvent,
            type="response.output_audio_transcript.done",
            transcript="A tone",
            **self._where(item),
        )
        await self._done("completed")

    async def _spoke(self, item: str, pcm: bytes) -> None:
        self._items[item] = self._items.get(item, 0) + len(pcm) / 2 / RATE_HZ * 1000
        await self._tell(
            rt.ResponseAudioDeltaEvent,
            type="response.output_audio.delta",
            delta=b64encode(pcm).decode(),
            **self._where(item),
        )

    async def _done(self, status: Literal["completed", "cancelled"]) -> None:
        response = rt.RealtimeResponse(id=self._response, status=status)
        self._response = ""
        await self._tell(rt.ResponseDoneEvent, type="response.done", response=response)

    def _where(self, item: str) -> dict[str, Any]:
        return {"item_id": item, "response_id": self._response, "output_index": 0, "content_index": 0}

    async def _truncate(self, event: Any) -> None:
        spoken_ms = self._items[event.item_id]
        assert event.content_index == 0
        assert event.audio_end_ms <= spoken_ms, "refused: longer than the item"
        print("TRUNCATED", event.audio_end_ms, flush=True)
        await self._tell(
            rt.ConversationItemTruncatedEvent,
            type="conversation.item.truncated",
            item_id=event.item_id,
            content_index=0,
            audio_end_ms=event.audio_end_ms,
        )

    async def _tell(self, kind: Any, **fields: Any) -> None:
        event = kind(event_id=self._id("event"), **fields)
        await self._socket.send(json.dumps(event.to_dict(mode="json")))

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids)}"


async def converse(socket: ServerConnection) -> None:
    assert socket.request is not None
    print("KEY", socket.request.headers["Authorization"], flush=True)
    try:
        await Session(socket).run()
    except Exception as error:
        print("FAULT", repr(error), flush=True)
        raise


async def main() -> None:
    async with serve(converse, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"ws://127.0.0.1:{port}/v1/realtime?model=gpt-realtime", flush=True)
        await server.serve_forever()


asyncio.run(main())
