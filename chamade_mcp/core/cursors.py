"""Cursors of the inbox: `<ISO timestamp>|<message id>`, or a plain ISO timestamp."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from chamade_mcp.core import dms
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import InvalidRequest
from chamade_mcp.model.ids import AccountId, MessageId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Heads:
    """The cursor after each agent's newest message, kept in memory: agents ask for it often."""

    def __init__(self) -> None:
        self._known: dict[Scope, str | tuple[datetime, MessageId]] = {}

    def get(self, scope: Scope) -> str | None:
        known = self._known.get(scope)
        # Written when it is asked for: most messages are followed by another one before that.
        return f"{iso(known[0])}|{known[1]}" if isinstance(known, tuple) else known

    def learn(self, scope: Scope, cursor: str) -> str:
        """What was looked up counts only until something newer is known."""
        self._known.setdefault(scope, cursor)
        return self.get(scope) or cursor

    def advance(self, scope: Scope, new: dms.NewMessage) -> None:
        self._known[scope] = (new.at, new.id)

    def forget(self, account: AccountId) -> None:
        self._known = {s: c for s, c in self._known.items() if s.account != account}


def cursor_of(row: Any) -> str:
    """The cursor after a message, given its row; before the first one (None), the beginning of time."""
    return iso(_EPOCH) if row is None else f"{iso(row.created_at)}|{row.id}"


def is_moment(cursor: str) -> bool:
    """Whether it names no message."""
    return not cursor.partition("|")[2]


def seq_at(conn: Connection, scope: Scope, cursor: str) -> int | None:
    """Where in the agent's messages a cursor points; None when it names a message that is not there.

    Raises `InvalidRequest` for what is no cursor at all.
    """
    stamp, _, message = cursor.partition("|")
    if message:
        seq = dms.seq_of(conn, scope.account, message)
        if seq is not None:
            return seq
    try:
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            "last_message_cursor is not a cursor of this gateway: take a fresh one from GET /api/account",
            code="INVALID_CURSOR",
            param="last_message_cursor",
        ) from None
    # The moment of a lost message would be a guess: what came before it may not have been read.
    return None if message else dms.seq_before(conn, scope, moment)
