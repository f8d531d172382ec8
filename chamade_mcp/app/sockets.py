"""uvicorn's WebSocket protocol, with a short way for what calls are made of: binary frames that come whole.

`websockets` reads a frame in steps of a generator and makes four objects of it; fifty times a second and call
that is a fifth of what a call costs. Here a read that is exactly one final, masked binary frame is taken as
it is, and one is written without asking anybody; an application that asks for it (`kit/frames.py`) has both
without a queue between. All else goes the general way, which is never left in the middle of a frame or of a
fragmented message.
"""

import asyncio
from typing import Any, Final, cast

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request
from websockets.protocol import State

from chamade_mcp.kit.frames import EXTENSION, Taker

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled part
    from websockets.utils import apply_mask

_BINARY: Final = 0x82
"""First byte of a final binary frame without extensions."""
_MASKED: Final = 0x80
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_LONGEST: Final = 0xFFFF
_UNREAD_FRAMES: Final = 4
"""So many may wait for the application before the peer is made to wait. uvicorn stops reading at every single
one, and begins again."""


class FrameEdges:
    """Follows a client's bytes from frame to frame, without looking into them."""

    __slots__ = ("_head", "_owed")

    def __init__(self) -> None:
        self._head = b""
        self._owed = 0
        """Bytes of the payload that have not come."""

    @property
    def between(self) -> bool:
        """All that came was whole frames."""
        return not self._owed and not self._head

    def follow(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._owed:
                step = min(self._owed, len(data) - at)
                self._owed -= step
                at += step
                continue
            missing = _head_size(self._head) - len(self._head)
            self._head += data[at : at + missing]
            at += missing
            if len(self._head) == _head_size(self._head):
                self._owed = _payload_size(self._head)
                self._head = b""


def _head_size(head: bytes) -> int:
    """As far as what is there of it tells."""
    if len(head) < 2:
        return 2
    short = head[1] & 0x7F
    length = 2 if short == _TWO_BYTES else 8 if short == _EIGHT_BYTES else 0
    return 2 + length + (4 if head[1] & _MASKED else 0)


def _payload_size(head: bytes) -> int:
    short = head[1] & 0x7F
    if short < _TWO_BYTES:
        return short
    return int.from_bytes(head[2:4] if short == _TWO_BYTES else head[2:10], "big")


def binary_payload(data: bytes) -> bytes | None:
    """Of exactly one final, masked binary frame of less than 64 KiB; None of anything else."""
    if len(data) < 6 or data[0] != _BINARY:
        return None
    short = data[1] - _MASKED
    if 0 <= short < _TWO_BYTES:
        begin, size = 6, short
    elif short == _TWO_BYTES and len(data) >= 8:
        begin, size = 8, data[2] << 8 | data[3]
    else:
        return None
    if len(data) != begin + size:
        return None
    return apply_mask(data[begin:], data[begin - 4 : begin])


class SocketProtocol(WebSocketsSansIOProtocol):
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._edges = FrameEdges()
        self._taker: Taker | None = None
        self._awaited = False
        """The application waits for what comes next."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # not refused: there is a scope
            offered = cast("dict[str, dict[str, object]]", self.scope.get("extensions"))
            offered[EXTENSION] = {"frames": self}

    def give_to(self, taker: Taker | None) -> None:
        self._taker = taker

    def data_received(self, data: bytes) -> None:
        if not self.handshake_initiated:  # the request, and nothing beside it
            super().data_received(data)
            return
        conn = self.conn
        if self._edges.between and conn.state is State.OPEN and conn.current_size is None:
            payload = binary_payload(data)
            if payload is not None and len(payload) <= self.config.ws_max_size:
                self._take(payload)
                return
        self._edges.follow(data)
        super().data_received(data)

    def _take(self, payload: bytes) -> None:
        if self._taker is not None and self._awaited and self.queue.empty():
            try:
                self._taker(payload)
            except Exception:  # the application meets it again where it can answer for it
                self._taker = None
            else:
                return
        self.queue.put_nowait({"type": "websocket.receive", "bytes": payload})
        if not self.read_paused and self.queue.qsize() >= _UNREAD_FRAMES:
            self.read_paused = True
            self.transport.pause_reading()

    async def receive(self) -> ASGIReceiveEvent:
        self._awaited = True
        try:
            return await super().receive()
        finally:
            self._awaited = False

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "websocket.send":
            payload = message.get("bytes")
            if payload is not None and self.write(payload):
                return
        await super().send(message)

    def write(self, payload: bytes) -> bool:
        size = len(payload)
        if size > _LONGEST or not self._flows:
            return False
        length = bytes((size,)) if size < _TWO_BYTES else b"\x7e" + size.to_bytes(2, "big")
        self.transport.write(b"\x82" + length + payload)
        return True

    @property
    def _flows(self) -> bool:
        """Frames may be written, and nothing waits to be."""
        return (
            self.handshake_complete
            and not self.close_sent
            and not self.disconnected
            and self.conn.state is State.OPEN
            and self.writable.is_set()
        )
