"""One browser socket: a reader, a writer and one task for what must wait for the store."""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from chamade_mcp.audio.frame import Samples
from chamade_mcp.connectors.web import wire
from chamade_mcp.connectors.web.incoming import (
    Change,
    Delete,
    Edit,
    FromPerson,
    HangUp,
    Hello,
    Mute,
    Ping,
    React,
    Receipt,
    Rename,
    RingAgent,
    Say,
    Typing,
    parse,
)
from chamade_mcp.connectors.web.pace import Window, within
from chamade_mcp.connectors.web.post import Kind
from chamade_mcp.connectors.web.wire import ClosedReason, ErrorCode, Participant, Refused
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import Invite, Invites
from chamade_mcp.kit.outbox import Outbox

log = logging.getLogger(__name__)

FRAME_BYTES = 1 << 20
_WAITING_POSTS = 32
_AUDIO_FRAMES = 15
"""300 ms: more would only be played too late."""
_FAREWELL_S = 2.0
_TYPING_S = 1.0


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Why a socket ends. `reason` is told in a `closed` message before."""

    code: int
    reason: ClosedReason | None = None


PEER_LEFT = Goodbye(1000)
BROKEN = Goodbye(1011)
TOO_BIG = Goodbye(1009)
TOO_SLOW = Goodbye(1013)
UNKNOWN_LINK = Goodbye(4404)
REVOKED = Goodbye(4404, ClosedReason.REVOKED)
EXPIRED = Goodbye(4404, ClosedReason.EXPIRED)
NO_HELLO = Goodbye(4408)
REPLACED = Goodbye(4409, ClosedReason.REPLACED)
FULL = Goodbye(4429, ClosedReason.FULL)
SHUTDOWN = Goodbye(1012, ClosedReason.SHUTDOWN)


@dataclass(frozen=True, slots=True)
class Pass:
    """The proof with which a guest came in."""

    guest_id: str
    secret: str
    token: str
    invite: Invite


class Host(Protocol):
    """The room or chat a guest is in. Every method may raise `Refused`."""

    def hear(self, guest: "Guest", samples: Samples) -> None:
        """Microphone audio, any number of samples. Called for every frame: never blocks."""
        ...

    def typing(self, guest: "Guest") -> None: ...

    def changed(self, guest: "Guest") -> None:
        """Name or microphone of `guest` are different now."""
        ...

    async def say(self, guest: "Guest", say: Say) -> None: ...

    async def change(self, guest: "Guest", change: Change) -> None:
        """`guest` does something to a message that is there already."""
        ...

    async def receipt(self, guest: "Guest", receipt: Receipt) -> None: ...

    async def ring(self, guest: "Guest") -> None: ...

    async def hang_up(self, guest: "Guest") -> None: ...


Deferred = Say | Change | Receipt | RingAgent | HangUp


class Guest:
    """A person in a room or chat, for as long as this socket lasts."""

    def __init__(self, socket: WebSocket, entry: Pass, hello: Hello, host: Host, clock: Clock) -> None:
        self.id = entry.guest_id
        self.entry = entry
        self.name = hello.name
        self.muted = hello.muted
        self.outbox = Outbox(_AUDIO_FRAMES)
        self._socket = socket
        self._host = host
        self._clock = clock
        self._over: asyncio.Future[Goodbye] = asyncio.get_running_loop().create_future()
        self._posts: deque[Deferred] = deque()
        self._posted = asyncio.Event()
        self._chat_pace = Window(clock, 20, 10.0)
        self._other_pace = Window(clock, 60, 10.0)
        self._receipt_pace = Window(clock, 60, 10.0)
        self._typing_pace = Window(clock, 1, _TYPING_S)

    @property
    def participant(self) -> Participant:
        return Participant(self.id, self.name, Kind.PERSON, self.muted)

    def send(self, message: str) -> None:
        """Never waits. A reader who is hopelessly behind is disconnected."""
        if not self.outbox.put(message):
            self.part(TOO_SLOW)

    def refuse(self, refused: Refused) -> None:
        self.send(wire.error(refused))

    def part(self, goodbye: Goodbye) -> None:
        """Ends the socket; the first reason counts."""
        if not self._over.done():
            self._over.set_result(goodbye)

    async def run(self, invites: Invites) -> None:
        """Serves the socket until it is over, then says why and closes it. Leaves no task behind."""
        try:
            async with asyncio.TaskGroup() as tasks:
                jobs = (self._read(), self._write(), self._post(), self._watch(invites))
                running = [tasks.create_task(job) for job in jobs]
                goodbye = await self._over
                for task in running:
                    task.cancel()
        except* WebSocketDisconnect:
            goodbye = PEER_LEFT
        except* Exception:
            log.exception("a guest's socket failed")
            goodbye = BROKEN
        if self.outbox.audio_dropped:
            log.info("%s was too slow for %d frames of audio", self.id, self.outbox.audio_dropped)
        await farewell(self._socket, goodbye, self._clock)

    async def _read(self) -> None:
        while True:
            event = await self._socket.receive()
            if event["type"] == "websocket.disconnect":
                self.part(PEER_LEFT)
                return
            frame: bytes | None = event.get("bytes")
            text: str = event.get("text") or ""
            if max(len(text), len(frame or b"")) > FRAME_BYTES:
                self.part(TOO_BIG)
                return
            try:
                if frame is not None:
                    self._hear(frame)
                else:
                    self._take(parse(text))
            except Refused as refused:
                self.refuse(refused)

    async def _write(self) -> None:
        send = self._socket.send
        following = self.outbox.next
        while (item := await following()) is not None:
            kind = "text" if isinstance(item, str) else "bytes"
            await send({"type": "websocket.send", kind: item})

    async def _post(self) -> None:
        """One after the other, apart from the reader: a slow store must not hold up anybody's voice."""
        while True:
            while self._posts:
                await self._settle(self._posts.popleft())
            self._posted.clear()
            await self._posted.wait()

    async def _watch(self, invites: Invites) -> None:
        async with invites.watch(self.entry.token) as gone:
            await gone
        self.part(EXPIRED if self._clock.now() >= self.entry.invite.expires_at else REVOKED)

    def _hear(self, frame: bytes) -> None:
        if len(frame) % 2:
            raise Refused(ErrorCode.INVALID_MESSAGE, "Audio is 16-bit samples: the byte count must be even")
        if frame and not self.muted:
            self._host.hear(self, np.frombuffer(frame, np.int16))

    def _take(self, message: FromPerson) -> None:
        match message:
            case Ping():
                self.send(wire.pong(message.t))
            case Say() | Edit() | Delete():
                self._defer(message, self._chat_pace, message.key)
            case React():
                self._defer(message, self._other_pace, message.key)
            case Receipt():
                self._defer(message, self._receipt_pace)
            case RingAgent() | HangUp():
                self._defer(message, self._other_pace)
            case Typing():
                if self._typing_pace.admit():
                    self._host.typing(self)
            case Mute():
                self._change(self.name, message.muted)
            case Rename():
                self._change(message.name, self.muted)
            case Hello():
                raise Refused(ErrorCode.INVALID_MESSAGE, "'hello' is said once")

    def _change(self, name: str, muted: bool) -> None:
        if not self._other_pace.admit():
            raise Refused(ErrorCode.RATE_LIMITED, "Too many changes; wait a few seconds")
        if (name, muted) != (self.name, self.muted):
            self.name, self.muted = name, muted
            self._host.changed(self)

    def _defer(self, message: Deferred, pace: Window, key: str | None = None) -> None:
        if len(self._posts) >= _WAITING_POSTS or not pace.admit():
            raise Refused(ErrorCode.RATE_LIMITED, "Too many messages; wait a few seconds", key)
        self._posts.append(message)
        self._posted.set()

    async def _settle(self, message: Deferred) -> None:
        try:
            match message:
                case Say():
                    await self._host.say(self, message)
                case Edit() | Delete() | React():
                    await self._host.change(self, message)
                case Receipt():
                    await self._host.receipt(self, message)
                case RingAgent():
                    await self._host.ring(self)
                case HangUp():
                    await self._host.hang_up(self)
        except Refused as refused:
            self.refuse(refused)


async def farewell(socket: WebSocket, goodbye: Goodbye, clock: Clock) -> None:
    """Says `closed` and closes. A peer who is gone, or too slow even for that, is left."""
    if goodbye is PEER_LEFT:
        return
    try:
        await within(clock, _FAREWELL_S, _close(socket, goodbye))
    except (TimeoutError, WebSocketDisconnect, RuntimeError):
        # RuntimeError: the server's word for a socket that was closed from the other side meanwhile
        log.debug("a guest was gone before the farewell")


async def _close(socket: WebSocket, goodbye: Goodbye) -> None:
    if goodbye.reason is not None:
        await socket.send({"type": "websocket.send", "text": wire.closed(goodbye.reason)})
    await socket.close(goodbye.code)
