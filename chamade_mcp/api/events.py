"""`GET /api/events`: what happens, as server-sent events (WHATWG HTML section 9.2)."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from pydantic import Field, StringConstraints
from starlette.types import Receive, Scope

from chamade_mcp.api.event_answer import EventAnswer
from chamade_mcp.api.fields import Query
from chamade_mcp.api.live_feed import LiveFeed, live_feed
from chamade_mcp.api.operation import Answer, Asked, Group, Operation
from chamade_mcp.core.hub import EventHub
from chamade_mcp.model.access import Permission
from chamade_mcp.model.events import Cursor
from chamade_mcp.sessions.sse import frame
from chamade_mcp.sessions.streams import EventStream, Streams

_RETRY: Final = b"retry: 1000\n\n"


class EventsQuery(Query):
    after: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=40)] | None,
        Field(description="The `seq` to go on behind; the header `Last-Event-ID` counts more"),
    ] = None


@dataclass(frozen=True, slots=True)
class EventGroup:
    hub: EventHub
    streams: Streams

    async def follow(self, asked: Asked[None, EventsQuery]) -> Answer:
        last = asked.headers.get(b"last-event-id")
        # What a browser sends when it comes back stands beside the address it began with.
        after = last.decode("latin-1") if last else asked.query.after
        feed = await live_feed(self.hub, asked.principal.scope, after, _frame)
        return EventAnswer(self.streams, asked.principal, partial(self._serve, feed))

    async def _serve(self, feed: LiveFeed, stream: EventStream, scope: Scope, receive: Receive) -> None:
        await self.streams.serve(stream, feed, scope, receive, _RETRY + feed.opening)

    def group(self) -> Group:
        return Group(
            "Events",
            "What happens, the moment it does: messages, calls that ring, states, transcripts. Every event "
            "has its number in the account's log as `seq`; whoever comes back with the last one misses "
            "nothing of the last 7 days. `WS /api/inbox/stream?api_key=...&last_seq=N` carries the same as "
            "text frames.",
            (
                Operation(
                    "GET",
                    "/api/events",
                    "Events as they happen, as server-sent events",
                    self.follow,
                    Permission.READ,
                    query=EventsQuery,
                    media={"text/event-stream": {"schema": {"type": "string"}}},
                    errors={429: ("STREAM_LIMIT_REACHED",), 503: ("SHUTTING_DOWN",)},
                    notes="Begins with `ready`, or with `reset` when the cursor is expired or unknown: "
                    "`oldest` and `newest` name what there is, the stream goes on behind `newest`, and the "
                    "inbox tells what came before.",
                ),
            ),
        )


def _frame(event: bytes, cursor: Cursor) -> bytes:
    return frame(event, b"%d" % cursor)
