"""`WS /api/inbox/stream`: the events of `GET /api/events` as text frames."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from chamade_mcp.api.access import Gate
from chamade_mcp.api.live_feed import live_feed
from chamade_mcp.api.socket_door import Refused, admit, last_of
from chamade_mcp.core.credentials import credential_of
from chamade_mcp.core.hub import EventHub
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.events import Cursor
from chamade_mcp.sessions.streams import WRITE_DEADLINE_S, Streams

PATH: Final = "/api/inbox/stream"
TRY_AGAIN: Final = 1013
COME_BACK: Final = 1012
"""Ended by us: the gateway closes, or the key is void. Coming back tells which."""


@dataclass(frozen=True, slots=True)
class InboxStream:
    """ASGI, for scopes of type ``websocket``."""

    hub: EventHub
    streams: Streams
    gate: Gate
    clock: Clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        try:
            principal = await admit(self.gate, scope, Permission.READ)
            gone = await self._serve(principal, scope, receive, send)
        except Refused as refusal:
            await send({"type": "websocket.close", "code": refusal.code, "reason": refusal.reason})
        except GatewayError as error:
            await send({"type": "websocket.close", "code": TRY_AGAIN, "reason": error.detail})
        except OSError:
            return  # the client has gone, or takes nothing
        else:
            if not gone:
                reason = "Come back with last_seq"
                await send({"type": "websocket.close", "code": COME_BACK, "reason": reason})

    async def _serve(self, principal: Principal, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether the client left by itself."""
        owner = principal.scope
        sink = _TextFrames(send, self.clock)
        stream = self.streams.new("", owner, credential_of(principal), sink)
        feed = await live_feed(self.hub, owner, last_of(scope, "last_seq"), _line)

        async def until_gone() -> Message:
            # What a client says here is of no interest.
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return {"type": "http.disconnect"}

        await self.streams.serve(stream, feed, scope, until_gone, feed.opening)
        return stream.gone


class _TextFrames:
    """A `Sink`: one text frame per line. The server keeps the connection alive by pings of its own."""

    def __init__(self, send: Send, clock: Clock) -> None:
        self._send = send
        self._clock = clock

    async def chunk(self, frames: bytes) -> None:
        sent, _ = await race(self._write(frames), _deadline(self._clock))
        if sent.cancelled():
            raise TimeoutError("the client takes nothing")
        sent.result()

    async def _write(self, frames: bytes) -> None:
        for line in frames.splitlines():
            if line[:1] == b"{":
                await self._send({"type": "websocket.send", "text": line.decode()})


async def _deadline(clock: Clock) -> None:
    await clock.sleep(WRITE_DEADLINE_S)


def _line(event: bytes, _: Cursor) -> bytes:
    return event + b"\n"
