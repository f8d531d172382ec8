"""The bridge from the event log to a session's stream: each event once, as a channel message.

The id of an event names the session and the place in the log, so it means nothing in any other session. Who
comes back without one goes on where the session stood when it was noted last.
"""

from chamade_mcp.model.events import Cursor, Envelope
from chamade_mcp.sessions import jsonrpc
from chamade_mcp.sessions.channel import channel_message
from chamade_mcp.sessions.live import LiveSession, LiveSessions
from chamade_mcp.sessions.protocol import PRIMING_SINCE
from chamade_mcp.sessions.sse import frame
from chamade_mcp.sessions.streams import EventStream
from chamade_mcp.sessions.surface import Surface

_TAG_CHARACTERS = 16
_MOST_DIGITS = 18


def _tag(live: LiveSession) -> bytes:
    return live.record.key[:_TAG_CHARACTERS].encode("ascii")


def begin_at(live: LiveSession, last_event_id: bytes, newest: Cursor) -> Cursor:
    """Behind the event named, if this session can have seen it; else where the session stands."""
    tag, _, digits = last_event_id.partition(b"-")
    if tag == _tag(live) and digits.isdigit() and len(digits) <= _MOST_DIGITS:
        cursor = Cursor(int(digits))
        if live.record.first_cursor <= cursor <= newest:
            return cursor
    return live.position


def opening(live: LiveSession, cursor: Cursor, retry_ms: int) -> bytes:
    """How long to wait before coming back, and an id to come back with, before anything has happened."""
    data = b"data: \n" if live.record.protocol_version >= PRIMING_SINCE else b""
    return b"retry: %d\nid: %b-%d\n%b\n" % (retry_ms, _tag(live), cursor, data)


class Push:
    """A `Feed` of one stream of one session."""

    __slots__ = ("_live", "_sessions", "_stream", "_surface", "_tag", "cursor")

    def __init__(
        self,
        surface: Surface,
        sessions: LiveSessions,
        live: LiveSession,
        stream: EventStream,
        cursor: Cursor,
    ) -> None:
        self.cursor = cursor
        self._surface = surface
        self._sessions = sessions
        self._live = live
        self._stream = stream
        self._tag = _tag(live)

    def render(self, envelope: Envelope) -> bytes:
        told = frame(channel_message(envelope), b"%b-%d" % (self._tag, envelope.cursor))
        if self._live.subscriptions:
            uri = self._surface.changed_resource(envelope.event)
            if uri in self._live.subscriptions:
                told += frame(jsonrpc.notification("notifications/resources/updated", {"uri": uri}))
        return told

    def moved(self, cursor: Cursor) -> None:
        self._sessions.moved(self._live, self._stream, cursor)

    def take_waiting(self) -> bytes:
        waiting = self._live.waiting_frames
        told = b"".join(waiting)
        waiting.clear()
        return told
