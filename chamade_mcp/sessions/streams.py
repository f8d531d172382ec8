"""Event streams that stay open: each written to by one task of its own, all looked after by one.

Events are pulled from the log as fast as the client takes them, so nothing piles up here: a reader that
stalls is cut once a write has waited too long, and catches up from its cursor when it comes back.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

from starlette.types import Receive, Scope

from chamade_mcp.core.hub import EventHub, Follower
from chamade_mcp.kit.chores import forever
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Scope as Owner
from chamade_mcp.model.errors import LimitReached, Unavailable
from chamade_mcp.model.events import Cursor, Envelope
from chamade_mcp.sessions.sse import PING
from chamade_mcp.sessions.turn import disconnected

PING_EVERY_S: Final = 10.0
WRITE_DEADLINE_S: Final = 10.0
BEAT_S: Final = 1.0
MOST_PER_CREDENTIAL: Final = 1_000
_CHUNK_BYTES: Final = 32 * 1024
"""Frames are written together up to about this size."""
WRITE_DEADLINE: Final = "chamade.write_deadline_s"
"""Key in the ASGI scope's state: after how long the server aborts a connection that takes no bytes."""
HANG_UP: Final = "chamade.hang_up"
"""Key in the same, of servers that call a function put there when the client goes before it is answered: one
that waits in `receive` for it costs a task."""


class Feed(Protocol):
    """What a stream carries, and where in the log it begins."""

    @property
    def cursor(self) -> Cursor: ...

    def render(self, envelope: Envelope) -> bytes:
        """Frames for one event; empty when it does not concern this stream."""
        ...

    def moved(self, cursor: Cursor) -> None:
        """All up to `cursor` was handed to the connection."""
        ...

    def take_waiting(self) -> bytes:
        """Frames that are no events, once each."""
        ...


class Sink(Protocol):
    """The connection that a stream is written to."""

    async def chunk(self, frames: bytes) -> None:
        """Whole frames. Returns once the connection takes more."""
        ...


class EventStream:
    """One open stream. `run` returns when the client is gone, or once the stream was closed here."""

    __slots__ = (
        "_clock",
        "_following",
        "_over",
        "_ping_due",
        "_sink",
        "_wake",
        "_writing_since",
        "_wrote_at",
        "credential",
        "gone",
        "name",
        "owner",
    )

    def __init__(self, name: str, owner: Owner, credential: str, sink: Sink, clock: Clock) -> None:
        self.name = name
        self.owner = owner
        self.credential = credential
        self.gone = False
        """Whether the client left; otherwise the stream was closed here."""
        self._sink = sink
        self._clock = clock
        self._wake = asyncio.Event()
        self._over = self._ping_due = False
        self._following: Follower | None = None
        self._writing_since: float | None = None
        self._wrote_at = clock.monotonic()

    def poke(self) -> None:
        """There may be something new to send."""
        self._wake.set()

    def close(self) -> None:
        """Ends the stream, and lets go of the hub at once: a write may hang on for long."""
        self._over = True
        if self._following is not None:
            self._following.close()
        self._wake.set()

    def beat(self, now: float) -> None:
        """Pings what has been silent, and closes what takes nothing."""
        if self._writing_since is not None:
            if now - self._writing_since >= WRITE_DEADLINE_S:
                self.close()
        elif now - self._wrote_at >= PING_EVERY_S - BEAT_S:
            self._ping_due = True
            self._wake.set()

    async def run(self, feed: Feed, hub: EventHub, receive: Receive, opening: bytes) -> None:
        self._following = hub.follow(self.owner, self._wake.set)
        watching = asyncio.create_task(self._watch(receive))
        try:
            cursor = feed.cursor
            await self._write(opening)
            while not self._over:
                self._wake.clear()
                before = cursor
                cursor, envelopes = await self._following.after(cursor)
                await self._push(feed, envelopes)
                if self._over:
                    break
                if cursor != before:
                    feed.moved(cursor)
                if waiting := feed.take_waiting():
                    await self._write(waiting)
                if self._ping_due:
                    self._ping_due = False
                    await self._write(PING)
                if cursor == before:
                    await self._wake.wait()
        finally:
            self._over = True
            self._following.close()
            watching.cancel()

    async def _push(self, feed: Feed, envelopes: Iterable[Envelope]) -> None:
        frames: list[bytes] = []
        size = 0
        for envelope in envelopes:
            frames.append(feed.render(envelope))
            size += len(frames[-1])
            if size >= _CHUNK_BYTES:
                await self._write(b"".join(frames))
                if self._over:
                    return
                feed.moved(envelope.cursor)
                frames.clear()
                size = 0
        if size:
            await self._write(b"".join(frames))

    async def _write(self, chunk: bytes) -> None:
        self._writing_since = self._clock.monotonic()
        await self._sink.chunk(chunk)
        self._writing_since = None
        self._wrote_at = self._clock.monotonic()

    async def _watch(self, receive: Receive) -> None:
        await disconnected(receive)
        self.gone = True
        self.close()


class Streams:
    """All open streams of this process."""

    def __init__(self, hub: EventHub, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._open: set[EventStream] = set()
        self._closing = False

    @property
    def open(self) -> tuple[EventStream, ...]:
        return tuple(self._open)

    async def head(self, owner: Owner) -> Cursor:
        """The cursor of one who wants what happens from now on."""
        following = self._hub.follow(owner, lambda: None)
        try:
            return await following.head()
        finally:
            following.close()

    async def kept(self, owner: Owner) -> tuple[Cursor, Cursor]:
        """The oldest event of the account that can still be read, and the newest there is."""
        return await self._hub.kept(owner.account)

    def new(self, name: str, owner: Owner, credential: str, sink: Sink) -> EventStream:
        """Raises `Unavailable` while the gateway shuts down, and `LimitReached`."""
        if self._closing:
            raise Unavailable("The gateway is shutting down", code="SHUTTING_DOWN", retry_after=2)
        if len(self._open) >= MOST_PER_CREDENTIAL:
            same = sum(1 for stream in self._open if stream.credential == credential)
            if same >= MOST_PER_CREDENTIAL:
                raise LimitReached("Too many open streams with this credential", code="STREAM_LIMIT_REACHED")
        return EventStream(name, owner, credential, sink, self._clock)

    async def serve(
        self, stream: EventStream, feed: Feed, scope: Scope, receive: Receive, opening: bytes
    ) -> None:
        """The stream's life; `opening` are its first bytes."""
        scope.get("state", {})[WRITE_DEADLINE] = WRITE_DEADLINE_S
        self._open.add(stream)
        try:
            await stream.run(feed, self._hub, receive, opening)
        finally:
            self._open.discard(stream)

    async def look_after(self) -> None:
        """Never returns."""
        await forever(self._clock, BEAT_S, self._beat, "streams were not looked after this time")

    async def _beat(self) -> None:
        now = self._clock.monotonic()
        for stream in self._open:
            stream.beat(now)

    def close_all(self) -> None:
        """No new ones are opened from now on."""
        self._closing = True
        for stream in self.open:
            stream.close()

    def close_of(self, credential: str) -> None:
        for stream in self.open:
            if stream.credential == credential:
                stream.close()
