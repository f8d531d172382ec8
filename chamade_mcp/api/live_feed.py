"""The account's event log as it goes out live: the same events over SSE and over WebSocket.

A stream begins with one event that says where in the log it stands: `ready`, or `reset` when the cursor that
the client came with cannot be gone on from. What happened in between is then to be read from the inbox.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from chamade_mcp.core.hub import EventHub
from chamade_mcp.kit.compact import compact
from chamade_mcp.model.access import Scope
from chamade_mcp.model.events import Cursor, Envelope

READY: Final = "ready"
RESET: Final = "reset"
_DETAIL: Final = "That cursor is expired or unknown: read GET /api/inbox, then go on from here"

Frame: TypeAlias = Callable[[bytes, Cursor], bytes]
"""An event as JSON, and its cursor, to what goes over the wire."""


class LiveFeed:
    """A `Feed` from `cursor` on. `opening` is the stream's first event."""

    def __init__(self, cursor: Cursor, first: dict[str, object], frame: Frame) -> None:
        self.cursor = cursor
        self._frame = frame
        self.opening = self._event(first, cursor)

    def render(self, envelope: Envelope) -> bytes:
        return self._event(envelope.event.payload, envelope.cursor)

    def moved(self, cursor: Cursor) -> None:
        self.cursor = cursor

    def take_waiting(self) -> bytes:
        return b""

    def _event(self, payload: dict[str, object], cursor: Cursor) -> bytes:
        return self._frame(compact({**payload, "seq": cursor}), cursor)


async def live_feed(hub: EventHub, owner: Scope, after: str | None, frame: Frame) -> LiveFeed:
    """Goes on behind `after`, the client's last cursor; None: from now on."""
    oldest, newest = await hub.kept(owner.account)
    cursor = newest if after is None else _number(after)
    if cursor is None or not oldest - 1 <= cursor <= newest:
        first: dict[str, object] = {"type": RESET, "oldest": oldest, "newest": newest, "detail": _DETAIL}
        return LiveFeed(newest, first, frame)
    return LiveFeed(cursor, {"type": READY}, frame)


def _number(text: str) -> Cursor | None:
    if len(text) > 18 or not (text.isascii() and text.isdigit()):
        return None
    return Cursor(int(text))
