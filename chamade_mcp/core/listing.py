"""The list of an agent's conversations: page by page, and searched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, or_, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from chamade_mcp.core.backwards import Columns, backwards
from chamade_mcp.core.dms import ACTIVE, ASIDE, GATEWAY, INBOUND, OUTBOUND, mine
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import InvalidRequest
from chamade_mcp.model.folding import fold
from chamade_mcp.model.ids import Platform
from chamade_mcp.store.schema import conversations, messages

_MOST_WORDS: Final = 8
LOOKED_AT: Final = 50
"""Conversations in which somebody may still wait: what is older is not counted."""
_newest_first = (conversations.c.last_message_at.desc(), conversations.c.id)


@dataclass(frozen=True, slots=True)
class Word:
    """Of a search: it stands in the name of whom the conversation is with, or means a platform."""

    text: str
    platforms: tuple[Platform, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversations of the list."""

    limit: int
    offset: int = 0
    status: str = ACTIVE
    platform: str | None = None
    before: str | None = None
    """`next` of the page before."""
    words: Sequence[Word] = ()
    """All of them are to be found."""


def words_of(search: str, manifests: Sequence[Manifest]) -> list[Word]:
    """What somebody typed into a search box; further words than eight do not count."""
    names = [(m.platform, fold(f"{m.platform} {m.title}")) for m in manifests]
    return [
        Word(word, tuple(platform for platform, name in names if word in name))
        for word in fold(search).split()[:_MOST_WORDS]
    ]


def page(conn: Connection, scope: Scope, wanted: Wanted) -> tuple[Sequence[Row[Any]], str | None]:
    """Conversations, the one with the newest message first; `before` of the next page, if there is one.

    Raises `InvalidRequest` for a `before` that is none.
    """
    query = select(conversations).where(mine(scope), conversations.c.status == wanted.status)
    if wanted.platform is not None:
        query = query.where(conversations.c.platform == wanted.platform)
    if wanted.before is not None:
        query = query.where(_after(wanted.before))
    for word in wanted.words:
        query = query.where(_meant(word))
    rows = conn.execute(query.order_by(*_newest_first).limit(wanted.limit + 1).offset(wanted.offset)).all()
    shown = rows[: wanted.limit]
    return shown, _cursor(shown[-1]) if len(rows) > wanted.limit else None


def waiting(conn: Connection, scope: Scope) -> int:
    """In how many of the newest `LOOKED_AT` conversations nobody has answered the person."""
    c = conversations.c
    newest = select(c.account_id, c.last_seq).where(mine(scope), c.status == ACTIVE)
    listed = newest.order_by(*_newest_first).limit(LOOKED_AT)
    said = backwards(tuple_(messages.c.account_id, messages.c.seq).in_(listed), _past_the_agent)
    last = select(func.count()).select_from(said).where(~_past_the_agent(said.c), said.c.direction == INBOUND)
    return conn.execute(last).scalar_one()


def _past_the_agent(said: Columns) -> ColumnElement[bool]:
    """`dms.past_the_agent`, of a message in the database."""
    return (said.status == ASIDE) | ((said.direction == OUTBOUND) & (said.sender_name == GATEWAY))


def _meant(word: Word) -> ColumnElement[bool]:
    named = func.instr(conversations.c.folded_name, word.text) > 0
    return or_(named, conversations.c.platform.in_(word.platforms)) if word.platforms else named


def _cursor(row: Row[Any]) -> str:
    # Both: what is written meanwhile moves a conversation up, and its id alone would point elsewhere then.
    return f"{iso(row.last_message_at)}|{row.id}"


def _after(cursor: str) -> ColumnElement[bool]:
    stamp, _, last = cursor.partition("|")
    try:
        moment = datetime.fromisoformat(stamp).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            "before is no cursor of this list: begin anew without it", code="INVALID_CURSOR", param="before"
        ) from None
    at = conversations.c.last_message_at
    # The first condition is for the index: it alone is a range of it.
    return and_(at <= moment, or_(at < moment, conversations.c.id > last))
