"""What platforms report of messages that are there already: edits, deletions, reactions, receipts.

One about a message that the gateway does not know, or that is no news, changes nothing and tells nobody.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row

from chamade_mcp.core import dms, event_log, sent
from chamade_mcp.core.dm_events import dm_event
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.core.windows import Windows
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Scope
from chamade_mcp.model.events import Envelope, Event, EventType
from chamade_mcp.model.facts import (
    DeliveryChanged,
    MessageDeleted,
    MessageEdited,
    Reacting,
    ReactionChanged,
)
from chamade_mcp.model.ids import ConnectionId, ConversationId, MessageId, Platform
from chamade_mcp.model.messages import DeliveryState, plain_line, plain_text
from chamade_mcp.store.database import Database

Report = MessageEdited | MessageDeleted | ReactionChanged | DeliveryChanged
Tell = Callable[..., Event]

MOST_REACTIONS: Final = 200
"""On one message: what a crowd puts there later is not kept."""


@dataclass(frozen=True, slots=True)
class Reports:
    database: Database
    hub: EventHub
    clock: Clock
    windows: Windows
    answered: Callable[[str], Awaitable[None]]
    """Waits for the platform's answer to a message that is being sent, by its key."""

    async def observe(self, scope: Scope, link: tuple[Platform, ConnectionId], fact: Report) -> None:
        """Not what somebody does to messages who may not write to the agent any more."""
        platform, connection = link
        if isinstance(fact, DeliveryChanged) and (fact.key or fact.state is DeliveryState.FAILED):
            # It may overtake the answer, which would then say that the message is sent, and its id.
            await self.answered(fact.key or fact.ref)
        now = self.clock.now()

        held: list[tuple[Correspondent, str]] = []

        def store(conn: Connection) -> list[Envelope]:
            held.clear()
            place = dms.find_by_ref(conn, scope, link, fact.conversation)
            if place is None:
                return []
            if place.status == dms.CLOSED and not isinstance(fact, DeliveryChanged):
                return []
            conversation = ConversationId(place.id)
            row = _meant(conn, conversation, fact)
            if row is None or row.status == dms.DELETED:
                return []
            whom = Correspondent(scope, platform, conversation, fact.conversation, connection)

            if isinstance(fact, DeliveryChanged) and self.windows.hold_again(conn, place, row, fact):
                held.append((whom, row.id))
                return []

            def tell(type: EventType, **fields: object) -> Event:
                return dm_event(type, whom, now, message_id=row.id, **fields)

            told = self._apply(conn, row, fact, tell)
            # What passed between the person and the gateway alone is none of the agent's.
            if told is None or dms.past_the_agent(row.status, row.direction, row.sender_name):
                return []
            return event_log.append(conn, [told], now)

        envelopes = await self.database.write(store)
        if envelopes:
            self.hub.announce(envelopes)
        for whom, message in held:
            self.windows.ask(whom, message)

    def _apply(self, conn: Connection, row: Row[Any], fact: Report, tell: Tell) -> Event | None:
        match fact:
            case MessageEdited():
                text = plain_text(fact.text)
                if row.direction != dms.INBOUND or text == row.text:
                    return None
                dms.change(conn, row.id, text=text, edited_at=self.clock.now())
                return tell(EventType.DM_EDITED, sender=row.sender_name, text=text)
            case MessageDeleted():
                dms.erase(conn, row.id)
                return tell(EventType.DM_DELETED, direction=row.direction)
            case ReactionChanged():
                return _reacted(conn, row, fact, tell)
            case DeliveryChanged():
                return _delivered(conn, row, fact, tell)


def _meant(conn: Connection, conversation: ConversationId, fact: Report) -> Row[Any] | None:
    row = sent.by_ref(conn, conversation, fact.ref)
    if row is not None or not isinstance(fact, DeliveryChanged) or not fact.key:
        return row
    row = sent.by_ref(conn, conversation, fact.key)
    # With a name of its own it is another part of the message that is told of.
    return None if row is None or row.sent_ref is not None else row


def _reacted(conn: Connection, row: Row[Any], fact: ReactionChanged, tell: Tell) -> Event | None:
    all_now: list[dict[str, str]] = row.reactions or []
    name, ref = plain_line(fact.sender.name), fact.sender.ref
    before = [r["emoji"] for r in all_now if r["ref"] == ref]
    told = [plain_line(emoji)[:64] for emoji in fact.emoji]
    match fact.how:
        case Reacting.ADDED:
            after = [*before, *(e for e in told if e not in before)]
        case Reacting.REMOVED:
            after = [e for e in before if e not in told]
        case Reacting.REPLACED:
            after = told
    if after == before:
        return None
    others = [r for r in all_now if r["ref"] != ref]
    mine = [{"emoji": e, "sender": name, "ref": ref} for e in after]
    dms.change(conn, row.id, reactions=[*others, *mine][:MOST_REACTIONS])
    return tell(EventType.DM_REACTION, sender=name, reactions=after)


def _delivered(conn: Connection, row: Row[Any], fact: DeliveryChanged, tell: Tell) -> Event | None:
    # Only what the gateway has not done yet is pending, and only it can tell what it does not know.
    if row.direction != dms.OUTBOUND or fact.state in (DeliveryState.PENDING, DeliveryState.UNKNOWN):
        return None
    detail = plain_line(fact.detail)
    if not sent.set_state(conn, MessageId(row.id), fact.state, detail or None):
        return None
    match fact.state:
        case DeliveryState.READ:
            return tell(EventType.DM_READ)
        case DeliveryState.FAILED:
            return tell(EventType.DM_FAILED, status=str(fact.state), detail=detail)
        case _:
            return None
