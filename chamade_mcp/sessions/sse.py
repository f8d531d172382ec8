"""Server-sent events: frames, and an HTTP answer that is plain JSON until something must go out before it."""

from collections.abc import Sequence
from typing import Final

from starlette.types import Send

Headers = Sequence[tuple[bytes, bytes]]

PING: Final = b": ping\n\n"
STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
)
_JSON: Final = (b"content-type", b"application/json")


def frame(message: bytes, event_id: bytes | None = None) -> bytes:
    """One event with a JSON-RPC message; JSON has no line breaks outside of its strings, and none inside."""
    if event_id is None:
        return b"event: message\ndata: %b\n\n" % message
    return b"event: message\nid: %b\ndata: %b\n\n" % (event_id, message)


class Reply:
    """The one answer to one request. `extra` headers go with every form of it."""

    __slots__ = ("_send", "extra", "streaming", "takes_stream")

    def __init__(self, send: Send, *, takes_stream: bool, extra: Headers = ()) -> None:
        self._send = send
        self.extra = extra
        self.takes_stream = takes_stream
        """Whether the client accepts an event stream."""
        self.streaming = False

    async def event(self, message: bytes) -> None:
        """A JSON-RPC message before the answer; the first one makes the answer a stream."""
        await self.chunk(frame(message))

    async def ping(self) -> None:
        """Keeps proxies from cutting a connection on which nothing happens."""
        if self.takes_stream:
            await self.chunk(PING)

    async def answer(self, message: bytes, status: int = 200) -> None:
        """The last message. A stream has told its status long ago."""
        if self.streaming:
            await self._send({"type": "http.response.body", "body": frame(message)})
            return
        headers = [_JSON, (b"content-length", b"%d" % len(message)), *self.extra]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": message})

    async def empty(self, status: int) -> None:
        headers = [(b"content-length", b"0"), *self.extra]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b""})

    async def end(self) -> None:
        """Ends a stream that has no answer to give."""
        await self._send({"type": "http.response.body", "body": b""})

    async def chunk(self, frames: bytes) -> None:
        """Whole frames; the first ones make the answer a stream."""
        if not self.streaming:
            self.streaming = True
            headers = [*STREAM_HEADERS, *self.extra]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": frames, "more_body": True})
