"""The account's event log in the database: the truth behind every live stream."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import NoResultFound

from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.compact import compact
from chamade_mcp.model.access import Scope
from chamade_mcp.model.events import Cursor, Envelope, Event, EventType
from chamade_mcp.model.ids import AccountId, AgentId, CallId
from chamade_mcp.store.prepared import Prepared
from chamade_mcp.store.rows import insertion
from chamade_mcp.store.schema import accounts, events

_TAKE: Final = Prepared(
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values(event_seq=accounts.c.event_seq + bindparam("count", type_=Integer))
    .returning(accounts.c.event_seq)
)
_HEAD: Final = Prepared(select(accounts.c.event_seq).where(accounts.c.id == bindparam("account")))
_ADD: Final = insertion(
    "events", ("account_id", "seq", "agent_id", "type", "call_id", "payload", "created_at")
)


def append(conn: Connection, happened: Sequence[Event], at: datetime) -> list[Envelope]:
    """Stores events in their order. The number is taken inside the transaction, so none is ever skipped."""
    counts = Counter(event.account for event in happened)
    numbers = {account: _take(conn, account, count) for account, count in counts.items()}
    envelopes = [Envelope(Cursor(next(numbers[event.account])), event) for event in happened]
    _ADD.count(conn, [_row(one.cursor, one.event, iso(at)) for one in envelopes])
    return envelopes


def _row(cursor: Cursor, event: Event, at: str) -> tuple[object, ...]:
    call = event.payload.get("call_id")
    return event.account, cursor, event.agent, str(event.type), call, compact(event.payload).decode(), at


def _take(conn: Connection, account: AccountId, count: int) -> Iterator[int]:
    last: int | None = _TAKE.value(conn, {"account": account, "count": count})
    if last is None:
        raise NoResultFound("the account is gone")
    return iter(range(last - count + 1, last + 1))


def head(conn: Connection, account: AccountId) -> Cursor:
    """The newest number given out; 0 before the first event. Raises `NoResultFound` without the account."""
    newest = _HEAD.value(conn, {"account": account})
    if newest is None:
        raise NoResultFound("the account is gone")
    return Cursor(newest)


def kept(conn: Connection, account: AccountId) -> tuple[Cursor, Cursor]:
    """The numbers of the oldest event that is still there and of the newest one given out.

    Without any event the oldest is the one that comes next.
    """
    newest = head(conn, account)
    oldest = conn.execute(select(func.min(events.c.seq)).where(events.c.account_id == account)).scalar_one()
    return Cursor(newest + 1 if oldest is None else oldest), newest


def drop_before(conn: Connection, account: AccountId, moment: datetime, limit: int) -> int:
    """Removes what happened before `moment`, from the oldest on, at most `limit` events.

    Where the wall clock was set back an older event may stand behind a newer one: it stays as long.
    """
    page = select(events.c.seq, events.c.created_at).where(events.c.account_id == account)
    last: int | None = None
    for row in conn.execute(page.order_by(events.c.seq).limit(limit)).all():
        if row.created_at >= moment:
            break
        last = row.seq
    if last is None:
        return 0
    return conn.execute(delete(events).where(events.c.account_id == account, events.c.seq <= last)).rowcount


def of_call(conn: Connection, scope: Scope, call: CallId, cursor: Cursor, limit: int) -> list[Envelope]:
    """The call's next events after `cursor`."""
    rows = conn.execute(
        _EVENTS.where(
            events.c.account_id == scope.account,
            events.c.agent_id == scope.agent,
            events.c.call_id == call,
            events.c.seq > cursor,
        )
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [_envelope(scope.account, row) for row in rows]


def after(conn: Connection, account: AccountId, cursor: Cursor, limit: int) -> list[Envelope]:
    rows = conn.execute(
        _EVENTS.where(events.c.account_id == account, events.c.seq > cursor)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [_envelope(account, row) for row in rows]


@dataclass(frozen=True, slots=True)
class Place:
    """The newest event of all accounts that a reader has seen, by the order in which they were stored."""

    row: int
    account: AccountId
    cursor: Cursor


def end(conn: Connection) -> Place | None:
    """Behind everything; None while there is no event at all."""
    newest = conn.execute(_PLACED.order_by(_ROW.desc()).limit(1)).one_or_none()
    return None if newest is None else _place(newest)


def behind(conn: Connection, place: Place | None, limit: int) -> list[tuple[Place, Envelope]] | None:
    """What was stored after `place`, whoever it belongs to.

    None when the place cannot be found again: its event was removed, and SQLite may give its row's number to
    another one.
    """
    first = 0 if place is None else place.row
    found = conn.execute(_PLACED.where(first <= _ROW).order_by(_ROW).limit(limit + 1))
    events_ = [(_place(row), _envelope(AccountId(row.account_id), row)) for row in found]
    if place is None:
        return events_
    return events_[1:] if events_ and events_[0][0] == place else None


_EVENTS: Select[*tuple[Any, ...]] = select(events.c.seq, events.c.agent_id, events.c.type, events.c.payload)

_ROW: ColumnElement[int] = literal_column("events.rowid", Integer)
_PLACED: Select[*tuple[Any, ...]] = _EVENTS.add_columns(events.c.account_id, _ROW.label("row"))


def _place(row: Row[*tuple[Any, ...]]) -> Place:
    return Place(row.row, AccountId(row.account_id), Cursor(row.seq))


def _envelope(account: AccountId, row: Row[*tuple[Any, ...]]) -> Envelope:
    return Envelope(Cursor(row.seq), Event(account, AgentId(row.agent_id), EventType(row.type), row.payload))
