"""What is left of calls in the database. Plain functions of a connection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, or_, select
from sqlalchemy.dialects.sqlite import insert

from chamade_mcp.core.records import CallRecord
from chamade_mcp.model.access import Scope
from chamade_mcp.model.events import EventType
from chamade_mcp.store.schema import call_chat, calls, events, recordings, transcript_lines

_TOLD: Final = (
    EventType.CALL_INVITE,
    EventType.CALL_STATE,
    EventType.CALL_DTMF,
    EventType.CALL_ERROR,
    EventType.RECORDING_STARTED,
    EventType.RECORDING_STOPPED,
)
"""What is written or said stands in tables of its own, which last longer than the events."""


@dataclass(frozen=True, slots=True)
class Written:
    """A message in the chat of a call."""

    ref: str
    mine: bool
    """The agent wrote it."""
    sender: str
    text: str
    attachments: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something in the course of a call; `text` is the state, the words, the key or what went wrong."""

    at: datetime
    kind: str
    text: str
    who: str = ""
    mine: bool = False
    attachments: Sequence[Mapping[str, Any]] = ()
    code: str | None = None
    recording: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is left of a call."""

    lines: int
    messages: int
    recordings: int


def add(conn: Connection, record: CallRecord, written: Written, at: datetime) -> None:
    """Once, however often the platform says it."""
    new = insert(call_chat).values(
        call_id=record.id,
        ref=written.ref,
        account_id=record.scope.account,
        mine=written.mine,
        sender=written.sender,
        text=written.text,
        attachments=list(written.attachments),
        created_at=at,
    )
    conn.execute(new.on_conflict_do_nothing(index_elements=["call_id", "ref"]))


def newest(conn: Connection, scope: Scope, before: Row[Any] | None, limit: int) -> Sequence[Row[Any]]:
    """The newest first, from the one after `before` on."""
    query = select(calls).where(_of(scope))
    if before is not None:
        earlier = calls.c.created_at < before.created_at
        same_moment = and_(calls.c.created_at == before.created_at, calls.c.id < before.id)
        query = query.where(or_(earlier, same_moment))
    return conn.execute(query.order_by(calls.c.created_at.desc(), calls.c.id.desc()).limit(limit)).all()


def count(conn: Connection, found: Sequence[Row[Any]]) -> dict[str, Counts]:
    ids = [row.id for row in found]
    per_table: list[dict[str, int]] = []
    for table in (transcript_lines, call_chat, recordings):
        of = table.c.call_id
        query = select(of, func.count()).where(of.in_(ids)).group_by(of)
        per_table.append({row[0]: row[1] for row in conn.execute(query).all()})
    return {call: Counts(*(numbers.get(call, 0) for numbers in per_table)) for call in ids}


def moments(conn: Connection, call: Row[Any], offset: int, limit: int) -> list[Moment]:
    """The course of a call, the oldest first."""
    most = offset + limit
    sources = (_happened(conn, call, most), _written(conn, call, most), _said(conn, call, most))
    return list(islice(merge(*sources, key=attrgetter("at")), offset, most))


def forget(conn: Connection, call: Row[Any]) -> None:
    """Its lines and its chat go with it, and what was told of it."""
    told = (events.c.account_id == call.account_id) & (events.c.call_id == call.id)
    conn.execute(delete(events).where(told))
    conn.execute(delete(calls).where(calls.c.id == call.id, calls.c.account_id == call.account_id))


def _of(scope: Scope) -> ColumnElement[bool]:
    return (calls.c.account_id == scope.account) & (calls.c.agent_id == scope.agent)


def _happened(conn: Connection, call: Row[Any], most: int) -> list[Moment]:
    query = (
        select(events.c.type, events.c.payload, events.c.created_at)
        .where(events.c.account_id == call.account_id, events.c.call_id == call.id)
        .where(events.c.type.in_([str(type) for type in _TOLD]))
        .order_by(events.c.seq)
    )
    return [_told(EventType(row.type), row.payload, row.created_at) for row in _page(conn, query, most)]


def _told(type: EventType, payload: Mapping[str, Any], at: datetime) -> Moment:
    match type:
        case EventType.CALL_DTMF:
            return Moment(at, "key", payload["digit"], payload.get("sender", ""))
        case EventType.CALL_ERROR:
            return Moment(at, "error", payload["message"], code=payload["code"])
        case EventType.RECORDING_STARTED:
            return Moment(at, "recording", "started", recording=payload["recording_id"])
        case EventType.RECORDING_STOPPED:
            return Moment(
                at, "recording", "stopped", code=payload["reason"], recording=payload["recording_id"]
            )
        case _:
            return Moment(at, "state", payload["state"], payload.get("caller", ""))


def _written(conn: Connection, call: Row[Any], most: int) -> list[Moment]:
    query = select(call_chat).where(call_chat.c.call_id == call.id).order_by(call_chat.c.created_at)
    return [
        Moment(row.created_at, "chat", row.text, row.sender, row.mine, row.attachments)
        for row in _page(conn, query, most)
    ]


def _said(conn: Connection, call: Row[Any], most: int) -> list[Moment]:
    line = transcript_lines.c
    query = select(line.speaker, line.text, line.created_at).where(line.call_id == call.id)
    return [
        Moment(row.created_at, "speech", row.text, row.speaker)
        for row in _page(conn, query.order_by(line.position), most)
    ]


def _page(conn: Connection, query: Select[*tuple[Any, ...]], most: int) -> Sequence[Row[Any]]:
    return conn.execute(query.limit(most)).all()
