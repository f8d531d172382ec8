"""What people wrote, stored and told: all that waits, in one go."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import Connection

from chamade_mcp.core import event_log, sent
from chamade_mcp.core.admission import still
from chamade_mcp.core.dm_events import dm_chat
from chamade_mcp.core.dms import CLOSED, NewMessage
from chamade_mcp.core.held import Released
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.core.said import Known, Newest, Party, Said, add_conversation, add_messages, conversations_of
from chamade_mcp.core.windows import Flushed, Windows
from chamade_mcp.model.events import Envelope, Event
from chamade_mcp.model.ids import ConversationId, MessageId, MessageRef

_NOWHERE: Final = ConversationId("")
"""Of what is not stored."""


class Arrival(NamedTuple):
    party: Party
    sender: str
    """The platform's id of who wrote."""
    new: NewMessage
    quotes: MessageRef | None
    """The platform's id of the message it answers to."""
    flushed: Flushed | None


class Arrived(NamedTuple):
    whom: Correspondent
    new: NewMessage
    envelopes: Sequence[Envelope]
    """Empty for a repeated delivery, and for what may not come in any more."""
    released: Released


@dataclass(frozen=True, slots=True)
class Arrivals:
    windows: Windows

    def store(self, conn: Connection, arrivals: Sequence[Arrival]) -> list[Arrived]:
        """A `store.database.Together`."""
        said, newest = _placed(conn, arrivals)
        told: list[tuple[Correspondent, NewMessage, Released, list[Event]]] = []
        for one, place, seq in zip(arrivals, said, add_messages(conn, said, newest), strict=True):
            whom, new = _whom(one.party, place), place.new
            if seq is None:
                told.append((whom, new, Released(), []))
                continue
            released, before = self.windows.release(conn, whom, one.flushed)
            told.append((whom, new, released, [*before, dm_chat(whom, new)]))
        events = [event for *_, some in told for event in some]
        envelopes = iter(event_log.append(conn, events, arrivals[-1].new.at))
        return [
            Arrived(whom, new, list(islice(envelopes, len(some))), free) for whom, new, free, some in told
        ]


def _whom(party: Party, place: Said) -> Correspondent:
    return Correspondent(place.scope, party.platform, place.conversation, party.ref, party.connection)


def _placed(conn: Connection, arrivals: Sequence[Arrival]) -> tuple[list[Said], Newest]:
    """Each in its conversation, which is made on the first message."""
    made: dict[Party, Known] = {}
    newest: dict[ConversationId, int | None] = {}
    said: list[Said] = []
    found = conversations_of(conn, [one.party for one in arrivals])
    for one, known in zip(arrivals, found, strict=True):
        party, new, place = one.party, one.new, known or made.get(one.party)
        if place is None or place.status == CLOSED:
            now = still(conn, party, one.sender, new.trust)
            if now is None:
                said.append(Said(party.scope, _NOWHERE, new))
                continue
            if now != party:
                party = now
                place = made.get(party) or conversations_of(conn, [party])[0]
        if place is None:
            is_group = new.group is not None
            place = Known(add_conversation(conn, party, new.remote_name, new.at, is_group=is_group), None)
            made[party] = place
        newest[place.id] = place.last_seq
        if one.quotes is not None:
            new = new._replace(reply_to=_quoted(conn, place.id, one.quotes, said))
        said.append(Said(party.scope, place.id, new))
    return said, newest


def _quoted(
    conn: Connection, conversation: ConversationId, ref: MessageRef, said: Sequence[Said]
) -> MessageId | None:
    """None: the gateway does not know it. It may have come in the same moment."""
    row = sent.by_ref(conn, conversation, ref)
    if row is not None:
        return MessageId(row.id)
    here = (one.new.id for one in said if (one.conversation, one.new.ref) == (conversation, ref))
    return next(here, None)
