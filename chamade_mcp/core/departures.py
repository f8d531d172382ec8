"""What agents say, stored before it is sent: all that waits, in one go."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection

from chamade_mcp.core import dms, event_log, places
from chamade_mcp.core.dm_events import dm_answered
from chamade_mcp.core.dms import NewMessage
from chamade_mcp.core.inbox_deps import InboxDeps
from chamade_mcp.core.places import Destination, Place
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.core.said import Newest, Said, add_messages, newest_of
from chamade_mcp.core.windows import Windows
from chamade_mcp.model.errors import (
    Action,
    Conflict,
    GatewayError,
    NotFound,
    Unavailable,
    no_active_conversation,
)
from chamade_mcp.model.events import Envelope
from chamade_mcp.model.ids import Platform


class Departure(NamedTuple):
    to: Destination | Correspondent
    new: Sequence[NewMessage]
    """Its parts: all of them are stored, or none."""
    answers: bool


class Departed(NamedTuple):
    whom: Correspondent
    numbers: Sequence[int | None]
    """Of each part; None for one that was stored before."""
    held: bool
    """They wait for the person."""
    told: Sequence[Envelope]
    """To be announced: that somebody else has answered."""


@dataclass(frozen=True, slots=True)
class Departures:
    deps: InboxDeps
    windows: Windows

    def store(self, conn: Connection, departures: Sequence[Departure]) -> list[Departed | Exception]:
        """A `store.database.Together`."""
        found, newest = self._find_all(conn, [one.to for one in departures])
        said = [
            Said(whom.scope, whom.conversation, new)
            for one, whom in zip(departures, found, strict=True)
            if isinstance(whom, Correspondent)
            for new in one.new
        ]
        numbers = iter(add_messages(conn, said, newest))
        departed: list[Departed | Exception] = []
        for one, whom in zip(departures, found, strict=True):
            if isinstance(whom, GatewayError):
                departed.append(whom)
                continue
            given = list(islice(numbers, len(one.new)))
            stored = [new.id for new, seq in zip(one.new, given, strict=True) if seq is not None]
            held = one.answers and self.windows.hold_if_closed(conn, whom, stored)
            told = [dm_answered(whom, new) for new in one.new if new.id in stored and new.is_by_hand]
            envelopes = event_log.append(conn, told, one.new[0].at) if told else []
            departed.append(Departed(whom, given, held, envelopes))
        return departed

    def find(self, conn: Connection, to: Destination) -> Correspondent:
        """Whom it goes to. Raises `GatewayError` where nobody may write there."""
        return self._judge(to, places.find(conn, [to])[0])

    def find_reachable(self, conn: Connection, to: Destination) -> Correspondent:
        whom = self.find(conn, to)
        self._require_link(whom)
        return whom

    def _find_all(
        self, conn: Connection, wanted: Sequence[Destination | Correspondent]
    ) -> tuple[list[Correspondent | GatewayError], Newest]:
        found = places.find(conn, [to for to in wanted if isinstance(to, Destination)])
        known = [to.conversation for to in wanted if isinstance(to, Correspondent)]
        newest = {one.whom.conversation: one.last_seq for one in found if one is not None}
        each = iter(found)
        return (
            [to if isinstance(to, Correspondent) else self._reachable(to, next(each)) for to in wanted],
            {**newest, **newest_of(conn, known)} if known else newest,
        )

    def _reachable(self, to: Destination, place: Place | None) -> Correspondent | GatewayError:
        try:
            whom = self._judge(to, place)
            self._require_link(whom)
        except GatewayError as error:
            return error
        return whom

    def _judge(self, to: Destination, place: Place | None) -> Correspondent:
        if to.conversation is None:
            if place is None:
                raise no_active_conversation(to.platform)
            return place.whom
        if place is None or place.whom.platform != to.platform:
            raise NotFound("Conversation not found", code="CONVERSATION_NOT_FOUND", param="conversation_id")
        if place.status == dms.CLOSED:
            self.deps.messages(*place.whom.link)
            raise conversation_closed(to.platform)
        return place.whom

    def _require_link(self, whom: Correspondent) -> None:
        """What only a person can mend is told at once, and nothing is kept for it; an outage passes."""
        try:
            self.deps.messages(*whom.link)
        except Unavailable as error:
            if error.action is not Action.RETRY:
                raise


def conversation_closed(platform: Platform) -> Conflict:
    return Conflict(
        "This person may not write to the agent any more, so it may not write to them",
        code="CONVERSATION_CLOSED",
        action=Action.ASK_HUMAN,
        platform=platform,
    )
