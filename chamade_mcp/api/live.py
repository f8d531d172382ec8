"""`GET /api/live`: who speaks in the agent's calls right now, for the owner's eyes."""

import asyncio
import json
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.credentials import credential_of
from chamade_mcp.core.onlookers import Onlooker, Onlookers
from chamade_mcp.kit.chores import background
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.events import Cursor, Envelope
from chamade_mcp.sessions.sse import STREAM_HEADERS, Reply, frame
from chamade_mcp.sessions.streams import EventStream, Streams

EVERY_S: Final = 0.2
"""As often as a ring has to move to follow a voice."""
IDLE_S: Final = 1.0
"""While there is no call."""
_RETRY: Final = b"retry: 1000\n\n"
_NOTES: Final = (
    'Each event is all there is: `{"type":"live","calls":[{"call_id","state","agent","room",'
    '"people":[{"id","name","level"}]}],"pairings"}`. It comes when something has changed, five times a '
    "second at most. Levels are RMS from 0 to 1: of the `agent`, of each person, and as `room` of all whom "
    "the platform does not tell apart. `pairings` is another number whenever somebody has asked to be let "
    "in, or was answered: `GET /api/pairings` tells who. Nothing of it is stored or told again."
)


@dataclass(frozen=True, slots=True)
class LiveGroup:
    onlookers: Onlookers
    streams: Streams
    clock: Clock

    async def follow(self, asked: Asked[None, None]) -> Answer:
        return _Live(self, asked.principal)

    def group(self) -> Group:
        return Group(
            "Live",
            "The agent's calls as they are at this moment, for a page that shows them.",
            (
                Operation(
                    "GET",
                    "/api/live",
                    "Calls, people and levels, as server-sent events",
                    self.follow,
                    Permission.MANAGE,
                    media={"text/event-stream": {"schema": {"type": "string"}}},
                    errors={429: ("STREAM_LIMIT_REACHED",), 503: ("SHUTTING_DOWN",)},
                    notes=_NOTES,
                ),
            ),
        )


class _Live(Response):
    def __init__(self, around: LiveGroup, principal: Principal) -> None:
        super().__init__()
        self._around = around
        self._principal = principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": list(STREAM_HEADERS)})
            await send({"type": "http.response.body", "body": b""})
            return
        streams, who = self._around.streams, self._principal
        reply = Reply(send, takes_stream=True)
        stream = streams.new("", who.scope, credential_of(who), reply)
        onlooker = self._around.onlookers.look(who.scope)
        try:
            feed = _Feed(await streams.head(who.scope), onlooker)
            looking = asyncio.create_task(self._look(stream, feed), name="live")
            async with background(looking):
                await streams.serve(stream, feed, scope, receive, _RETRY + feed.take_waiting())
        finally:
            onlooker.close()
        if not stream.gone:
            await reply.end()

    async def _look(self, stream: EventStream, feed: "_Feed") -> None:
        while True:
            await self._around.clock.sleep(EVERY_S if feed.calls else IDLE_S)
            if feed.look():
                stream.poke()


class _Feed:
    """A `sessions.streams.Feed` that carries no events: what stands there now, and is told once."""

    def __init__(self, cursor: Cursor, onlooker: Onlooker) -> None:
        self.cursor = cursor
        self._onlooker = onlooker
        self._seen: dict[str, object] = {}
        self._untold = False
        self.look()

    @property
    def calls(self) -> object:
        """Those that there are."""
        return self._seen["calls"]

    def look(self) -> bool:
        """Whether there is anything new."""
        now = self._onlooker.snapshot()
        self._untold = self._untold or now != self._seen
        self._seen = now
        return self._untold

    def render(self, envelope: Envelope) -> bytes:
        del envelope  # events have a stream of their own
        return b""

    def moved(self, cursor: Cursor) -> None:
        self.cursor = cursor

    def take_waiting(self) -> bytes:
        if not self._untold:
            return b""
        self._untold = False
        # Half of a surrogate pair can stand in a platform's names.
        return frame(
            json.dumps(self._seen, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        )
