"""`GET /api/live`: who speaks in the agent's calls right now, for the owner's eyes."""

from dataclasses import dataclass
from typing import Final

from starlette.types import Receive, Scope

from chamade_mcp.api.event_answer import EventAnswer
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.onlookers import Onlooker, Onlookers, SeenCall
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.compact import compact
from chamade_mcp.kit.holding import holding
from chamade_mcp.model.access import Permission
from chamade_mcp.model.events import Cursor, Envelope
from chamade_mcp.sessions.sse import frame
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
        return EventAnswer(self.streams, asked.principal, self._serve)

    async def _serve(self, stream: EventStream, scope: Scope, receive: Receive) -> None:
        onlooker = self.onlookers.look(stream.owner)
        try:
            feed = _Feed(await self.streams.head(stream.owner), onlooker)
            async with holding(self._look(stream, feed)):
                await self.streams.serve(stream, feed, scope, receive, _RETRY + feed.take_waiting())
        finally:
            onlooker.close()

    async def _look(self, stream: EventStream, feed: "_Feed") -> None:
        while True:
            await self.clock.sleep(EVERY_S if feed.calls else IDLE_S)
            if feed.look():
                stream.poke()

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


class _Feed:
    """A `sessions.streams.Feed` that carries no events: what stands there now, and is told once."""

    def __init__(self, cursor: Cursor, onlooker: Onlooker) -> None:
        self.cursor = cursor
        self._onlooker = onlooker
        self._seen = onlooker.snapshot()
        self._untold = True

    @property
    def calls(self) -> list[SeenCall]:
        return self._seen["calls"]

    def look(self) -> bool:
        """Whether there is anything that was not told yet."""
        now = self._onlooker.snapshot()
        if now != self._seen:
            self._seen, self._untold = now, True
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
        return frame(compact(self._seen))
