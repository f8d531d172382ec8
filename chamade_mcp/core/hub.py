"""The event hub: wakes whoever listens, and lets everybody re-read from a cursor.

Memory holds a short tail per listened-to account; what is not in it comes from the log in the database. So a
slow subscriber loses nothing, and a stored event that nobody announced is found as a gap.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Protocol

from chamade_mcp.core import event_log
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Scope
from chamade_mcp.model.events import Cursor, Envelope, Event
from chamade_mcp.model.ids import AccountId
from chamade_mcp.store.database import Database

_TAIL = 256
_PAGE = 256
_MOST_TOLD = 16
"""Events that were only told, for one who is busy: the oldest go."""


class EventHub(Protocol):
    async def publish(self, event: Event) -> Cursor:
        """Stores one event and wakes its subscribers."""
        ...

    def announce(self, envelopes: Sequence[Envelope]) -> None:
        """Wakes the subscribers of events that were stored inside a transaction of the caller's."""
        ...

    def tell(self, event: Event) -> None:
        """An event for whoever listens now: it is not stored, has no place in the log, and is told once."""
        ...

    def subscribe(
        self, scope: Scope, *, after: Cursor | None
    ) -> AbstractAsyncContextManager[AsyncIterator[Envelope]]:
        """The agent's events after `after` (None: from now on), in order, without a gap, for ever."""
        ...

    def follow(self, scope: Scope, wake: Callable[[], None]) -> "Follower":
        """The same for one who waits for several things at once: `wake()` is called when there may be news,
        and must not block. To be closed."""
        ...

    async def kept(self, account: AccountId) -> tuple[Cursor, Cursor]:
        """The oldest event that can still be read, and the newest there is; see `event_log.kept`."""
        ...


class Follower(Protocol):
    async def head(self) -> Cursor:
        """The cursor to begin at for one who wants what happens from now on."""
        ...

    async def after(self, cursor: Cursor) -> tuple[Cursor, Sequence[Envelope]]:
        """The agent's next events after `cursor`, a bounded number, and the cursor behind them.

        No more stored events for now when the cursor returned is the one given. What was only told comes
        under the cursor before it.
        """
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Channel:
    tail: deque[Envelope] = field(default_factory=lambda: deque[Envelope](maxlen=_TAIL))
    subscribers: int = 0
    wakes: "dict[_Following, Callable[[], None]]" = field(
        default_factory=lambda: dict[_Following, Callable[[], None]]()
    )

    def since(self, cursor: Cursor) -> list[Envelope] | None:
        """What came after `cursor`; None when the tail does not reach back that far."""
        if not self.tail or self.tail[0].cursor > cursor + 1:
            return None
        return list(islice(self.tail, cursor + 1 - self.tail[0].cursor, None))

    def add(self, envelope: Envelope) -> None:
        """Keeps the tail without gaps: what does not follow on empties it, and the log is read instead."""
        if self.tail and envelope.cursor != self.tail[-1].cursor + 1:
            late = envelope.cursor <= self.tail[-1].cursor
            self.tail.clear()
            if late:
                return
        self.tail.append(envelope)


class MemoryHub:
    """The hub of one process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._channels: dict[AccountId, _Channel] = {}

    @property
    def subscribers(self) -> int:
        return sum(channel.subscribers for channel in self._channels.values())

    async def publish(self, event: Event) -> Cursor:
        return await to_the_end(self._publish(event))

    async def _publish(self, event: Event) -> Cursor:
        envelopes = await self._database.write(
            partial(event_log.append, happened=[event], at=self._clock.now())
        )
        self.announce(envelopes)
        return envelopes[0].cursor

    def announce(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            channel = self._channels.get(envelope.event.account)
            if channel is not None:
                channel.add(envelope)
                for wake in channel.wakes.values():
                    wake()

    def tell(self, event: Event) -> None:
        channel = self._channels.get(event.account)
        if channel is not None:
            for following, wake in channel.wakes.items():
                following.told(event)
                wake()

    def look_again(self) -> None:
        """Events were stored that nobody can name: everybody reads the log."""
        for channel in self._channels.values():
            channel.tail.clear()
            for wake in channel.wakes.values():
                wake()

    @asynccontextmanager
    async def subscribe(
        self, scope: Scope, *, after: Cursor | None
    ) -> AsyncGenerator[AsyncIterator[Envelope]]:
        wake = asyncio.Event()
        following = self.follow(scope, wake.set)
        try:
            if after is None:
                after = await following.head()
            async with aclosing(_envelopes(following, wake, after)) as envelopes:
                yield envelopes
        finally:
            following.close()

    def follow(self, scope: Scope, wake: Callable[[], None]) -> Follower:
        channel = self._enter(scope.account)
        following = _Following(self._database, scope, channel, self._leave)
        channel.wakes[following] = wake
        return following

    async def kept(self, account: AccountId) -> tuple[Cursor, Cursor]:
        return await self._database.read(partial(event_log.kept, account=account))

    def _enter(self, account: AccountId) -> _Channel:
        channel = self._channels.setdefault(account, _Channel())
        channel.subscribers += 1
        return channel

    def _leave(self, account: AccountId, channel: _Channel) -> None:
        channel.subscribers -= 1
        if channel.subscribers == 0:
            self._channels.pop(account, None)


class _Following:
    """`Follower` on a channel of memory."""

    __slots__ = ("_channel", "_database", "_leave", "_open", "_scope", "_told")

    def __init__(
        self,
        database: Database,
        scope: Scope,
        channel: _Channel,
        leave: Callable[[AccountId, _Channel], None],
    ) -> None:
        self._database = database
        self._scope = scope
        self._channel = channel
        self._leave = leave
        self._open = True
        self._told: deque[Event] | None = None
        """Made when it is needed: thousands may follow, and little is only told."""

    def told(self, event: Event) -> None:
        if event.agent == self._scope.agent:
            self._told = self._told or deque(maxlen=_MOST_TOLD)
            self._told.append(event)

    async def head(self) -> Cursor:
        return await self._database.read(partial(event_log.head, account=self._scope.account))

    async def after(self, cursor: Cursor) -> tuple[Cursor, Sequence[Envelope]]:
        batch = await _next(self._database, self._channel, self._scope.account, cursor)
        if batch:
            cursor = batch[-1].cursor
        elif not self._told:
            return cursor, ()
        found = [e for e in batch if e.event.agent == self._scope.agent]
        found += [Envelope(cursor, event) for event in self._told or ()]
        self._told = None
        return cursor, found

    def close(self) -> None:
        if self._open:
            self._open = False
            self._channel.wakes.pop(self, None)
            self._leave(self._scope.account, self._channel)


async def _envelopes(following: Follower, wake: asyncio.Event, cursor: Cursor) -> AsyncGenerator[Envelope]:
    while True:
        # Cleared before looking: an event announced during the look wakes the wait below.
        wake.clear()
        before = cursor
        cursor, envelopes = await following.after(cursor)
        for envelope in envelopes:
            yield envelope
        if cursor == before:
            await wake.wait()


async def _next(
    database: Database, channel: _Channel, account: AccountId, cursor: Cursor
) -> Sequence[Envelope]:
    """The account's next events, from memory when it reaches back that far."""
    batch = channel.since(cursor)
    if batch is None:
        batch = await database.read(partial(event_log.after, account=account, cursor=cursor, limit=_PAGE))
    return batch
