"""Takes stored messages to their platforms, and keeps what became of each: in the database, and as events."""

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row

from chamade_mcp.core import dms, event_log, held, places, sent
from chamade_mcp.core.composing import outgoing as outgoing_of
from chamade_mcp.core.composing import part_before
from chamade_mcp.core.departures import conversation_closed
from chamade_mcp.core.dm_events import dm_event
from chamade_mcp.core.inbox_deps import InboxDeps
from chamade_mcp.core.outbox import Errand, Outbox, Settled
from chamade_mcp.core.replies import Correspondent, ReplyClock, Stopped
from chamade_mcp.core.sent import Became
from chamade_mcp.core.supervisor import reaching
from chamade_mcp.core.windows import Flushed, Windows
from chamade_mcp.kit.connector import WindowClosed
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.errors import GatewayError, Outcome, PlatformRefused, Unavailable, delivery_unknown
from chamade_mcp.model.events import Envelope, Event, EventType
from chamade_mcp.model.ids import AccountId, ConversationId, MessageId
from chamade_mcp.model.messages import Delivery, DeliveryState

log = logging.getLogger(__name__)

_NOTE_AGAIN_S: Final = 1.0
"""After the database did not take what became of a message."""
_FLUSH_S: Final = 10.0
"""How long what a person wrote is kept back for what waited for it."""
_SPREAD_S: Final = 1.0
"""Over this time conversations come back once their link is up again, not all at the same moment."""


class _Note(NamedTuple):
    """What became of a message, and what its sender has to hear."""

    errand: Errand
    delivery: Delivery
    told: Sequence[Event]
    at: datetime

    @property
    def became(self) -> Became:
        delivery = self.delivery
        return Became(
            MessageId(self.errand.outgoing.key), delivery.state, delivery.detail or None, delivery.ref
        )


class _Gone(Exception):
    """The conversation went, with its agent or its account: there is nobody to tell, and nothing to note."""


class Courier:
    def __init__(self, deps: InboxDeps, replies: ReplyClock, windows: Windows) -> None:
        self._d = deps
        self._windows = windows
        self._replies = replies
        self._outbox = Outbox(deps.clock, self._deliver, self._give_up, self._wait)
        self._broken: set[str] = set()
        """Parts that failed while others were to follow."""
        self.put = self._outbox.put
        self.answered = self._outbox.answered

    async def start(self) -> None:
        """Sends on its way what an earlier life of the gateway stored and did not get to."""
        for told in self._put_all(await self._d.database.read(sent.pending)):
            promise(told)

    async def stop(self) -> None:
        """Finishes what is being sent, within reason; the rest goes out after the next start."""
        await self._outbox.stop()

    def forget(self, account: AccountId) -> None:
        self._outbox.forget(account)

    def errand(self, row: Row[Any]) -> Errand:
        """A stored message, as `sent.outbound` gives it, that is to go out. Raises what `worded` raises."""
        outgoing = outgoing_of(
            self._d.platforms.require(row.platform),
            row.id,
            row.text,
            row.sender_name,
            dms.attachments_of(row),
            row.quoted_ref,
            row.thread,
        )
        answers = row.sender_name != dms.GATEWAY
        # What waited for the person has all its time from then on.
        at = self._d.clock.now() if row.held else row.created_at
        return Errand(row.seq, Correspondent.of(row), outgoing, at, answers=answers, waited=row.held)

    async def flush(self, conversation: ConversationId) -> Flushed:
        """Sends what waits for a person who has just written, in order; not for ever, should it take long."""
        rows = await self._d.database.read(partial(held.waiting, conversation=conversation))
        told = self._put_all(rows)
        if told:
            await race(asyncio.wait(told), self._d.clock.sleep(_FLUSH_S))
        closed = any(one.done() and isinstance(one.result(), WindowClosed) for one in told)
        return Flushed(frozenset(row.id for row in rows), still_closed=closed)

    async def take_up(self, messages: Sequence[str]) -> None:
        """What was set free while others were flushed."""
        if messages:
            rows = await self._d.database.read(partial(sent.outbound_of, ids=messages))
            for told in self._put_all(rows):
                promise(told)

    def _put_all(self, rows: Sequence[Row[Any]]) -> list[asyncio.Future[Settled]]:
        told: list[asyncio.Future[Settled]] = []
        before = {row.id: part_before(row.id) for row in rows}
        followed = set(before.values())
        for row in rows:
            after = before[row.id] if before[row.id] in before else None
            try:
                told.append(self.put(self.errand(row)._replace(after=after, more=row.id in followed)))
            except GatewayError as error:  # its connector is no longer there, or takes less than it did
                log.warning("message %s stays pending: %s", row.id, error)
        return told

    # --- what the outbox asks for --------------------------------------------------------------------------

    async def _deliver(self, errand: Errand) -> DeliveryState:
        """One attempt. What cannot be reached leaves the message pending."""
        whom = errand.whom
        if errand.after is not None and errand.after in self._broken:
            self._broken.discard(errand.after)
            await self._note(errand, Delivery(DeliveryState.FAILED, detail="The part before it failed"))
            raise PlatformRefused(platform=whom.platform)
        stopped = self._replies.stop(whom.conversation) if errand.answers else None
        try:
            if self._outbox.promised(errand):  # it had to wait
                await self._require_open(whom)
            with reaching(whom.platform):
                delivery = await self._d.messages(*whom.link).send(whom.ref, errand.outgoing)
        except _Gone:
            raise
        except Unavailable:
            if errand.answers:
                self._replies.answered(whom.conversation)  # the agent has done its part
            raise
        except WindowClosed:
            await self._hold(errand)
            raise
        except Exception as error:
            known = isinstance(error, GatewayError) and error.outcome is Outcome.NOT_DONE
            state = DeliveryState.FAILED if known else DeliveryState.UNKNOWN
            words = error.detail if isinstance(error, GatewayError) else ""
            delivery = Delivery(state, detail=words)
            self._answered(errand, delivery, stopped)
            await self._note(errand, delivery)
            raise
        self._answered(errand, delivery, stopped)
        await self._note(errand, delivery)
        if delivery.state is DeliveryState.FAILED:
            raise PlatformRefused(platform=whom.platform)
        if delivery.state is DeliveryState.UNKNOWN:
            raise delivery_unknown(whom.platform)
        if errand.keep_typing:
            self._replies.prolong(whom)
            await self.show_typing(whom)
        return delivery.state

    async def _require_open(self, whom: Correspondent) -> None:
        """Raises `GatewayError` where nobody may write any more."""
        status = await self._d.database.read(partial(places.status_of, conversation=whom.conversation))
        if status is None:
            raise _Gone
        if status == dms.CLOSED:
            self._d.messages(*whom.link)
            raise conversation_closed(whom.platform)

    async def show_typing(self, whom: Correspondent) -> None:
        try:
            with reaching(whom.platform):
                await self._d.messages(*whom.link).typing(whom.ref)
        except GatewayError as error:
            log.debug("typing was not shown on %s: %s", whom.platform, error)

    async def _hold(self, errand: Errand) -> None:
        """It waits for the person. The gateway's own words are of the moment: later they would be wrong."""
        if not errand.answers:
            await self._note(errand, Delivery(DeliveryState.FAILED, detail="The person has to write first"))
            return
        self._replies.answered(errand.whom.conversation)
        message = errand.outgoing.key
        platform, states = errand.whom.platform, (DeliveryState.PENDING,)
        hold = partial(self._windows.hold, platform=platform, message=message, states=states)
        await self._d.database.write(hold)
        self._windows.ask(errand.whom, message)

    def _answered(self, errand: Errand, delivery: Delivery, stopped: Stopped | None) -> None:
        """Or not: then the person waits on."""
        if delivery.state is DeliveryState.FAILED:
            self._replies.resume(stopped)
        elif errand.answers:
            self._replies.answered(errand.whom.conversation)

    async def _wait(self, errand: Errand, seconds: float) -> None:
        """Less where the link is down and comes up meanwhile; what the platform itself asks for is kept."""
        opening = self._d.supervisor.opening(*errand.whom.link)
        pause = self._d.clock.sleep(seconds)
        if opening is None:
            await pause
            return
        await race(opening.wait(), pause)
        if opening.is_set():
            await self._d.clock.sleep(random.uniform(0.0, min(_SPREAD_S, seconds)))  # noqa: S311

    async def _give_up(self, errand: Errand, error: GatewayError) -> None:
        log.warning("message %s was not delivered: %s", errand.outgoing.key, error.code)
        await self._note(errand, Delivery(DeliveryState.FAILED, detail=error.detail))

    async def _note(self, errand: Errand, delivery: Delivery) -> None:
        message = MessageId(errand.outgoing.key)
        if delivery.state is DeliveryState.FAILED and errand.more:
            self._broken.add(message)
        # The message is out or not, whatever the database says: no error of ours may tell otherwise. Those
        # behind it wait until that is stored.
        while True:
            now = self._d.clock.now()
            note = _Note(errand, delivery, self._told(errand, delivery, now), now)
            try:
                await self._d.database.write_together(_store, note, self._d.hub.announce)
            except Unavailable as error:
                log.warning("message %s is %s, which is not stored yet: %s", message, delivery.state, error)
                await self._d.clock.sleep(_NOTE_AGAIN_S)
            else:
                return

    def _told(self, errand: Errand, delivery: Delivery, at: datetime) -> list[Event]:
        """What its sender still has to hear."""
        promised = errand.waited or self._outbox.promised(errand)
        # With files nobody waits for the answer; that they are out is no news.
        if not errand.answers or not (promised or errand.outgoing.attachments):
            return []
        tell = partial(dm_event, whom=errand.whom, at=at)
        message = errand.outgoing.key
        if delivery.state in (DeliveryState.FAILED, DeliveryState.UNKNOWN):
            state = str(delivery.state)
            return [tell(EventType.DM_FAILED, message_id=message, status=state, detail=delivery.detail)]
        return [tell(EventType.DM_DELIVERED, delivered_ids=[message])] if promised else []


def _store(conn: Connection, notes: Sequence[_Note]) -> list[list[Envelope]]:
    """A `store.database.Together`."""
    sent.set_states(conn, [note.became for note in notes])
    return [_tell(conn, note) for note in notes]


def _tell(conn: Connection, note: _Note) -> list[Envelope]:
    errand, message = note.errand, MessageId(note.errand.outgoing.key)
    arrived = errand.waited and note.delivery.state in held.ARRIVED
    if not note.told or (arrived and held.is_held(conn, message)):
        return []  # with what it waited for
    return event_log.append(conn, note.told, note.at)


def promise(told: asyncio.Future[Settled]) -> None:
    """Its sender is told that it is pending: what becomes of it will be an event."""
    if not told.done():
        told.set_result(DeliveryState.PENDING)
