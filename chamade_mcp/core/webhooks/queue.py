"""What goes to one endpoint, in the database: made from the event log, and taken from here to be tried.

Plain functions of a connection. `now` is steady time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, literal_column, or_, select, update

from chamade_mcp.core.webhooks.records import RESET_TYPE, Due, Progress, Target, WebhookStatus, target_of
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.ids import WebhookDeliveryId, WebhookId, new_webhook_delivery_id
from chamade_mcp.store.schema import accounts, events, webhook_deliveries, webhooks

LEASE: Final = timedelta(seconds=30)
"""How long a delivery that somebody carries is nobody else's; above the time that one attempt may take."""
_PAGE: Final = 256
_GAP: Final = "Events before this were removed by age while this endpoint took none: read GET /api/inbox"

_d = webhook_deliveries.c


@dataclass(frozen=True, slots=True)
class Taken:
    target: Target | None
    """None while nothing is to be sent there."""
    due: list[Due]
    next_at: datetime | None
    """When the next one of those that are left is due."""
    more: bool
    """Whether the log may have more that was not taken up yet."""


def take(
    conn: Connection, webhook: WebhookId, now: datetime, busy: Mapping[WebhookDeliveryId, str], width: int
) -> Taken | None:
    """What is to be tried now; nobody else is given it for a while. None when there is no such endpoint.

    `busy` are the deliveries under way and their lanes; in all there are at most `width`, or one when the
    last attempt there failed.
    """
    row = conn.execute(_ENDPOINT.where(webhooks.c.id == webhook).with_for_update()).one_or_none()
    if row is None:
        return None
    if row.status != WebhookStatus.ACTIVE:
        return Taken(None, [], None, more=False)
    more = _take_up(conn, row, now)
    room = (1 if row.failing_since else width) - len(busy)
    due = _claim(conn, row, now, busy, room) if room > 0 else []
    later = select(func.min(_d.next_at)).where(
        pending(row), _d.next_at > now, _d.id.not_in([*busy, *(one.id for one in due)])
    )
    return Taken(target_of(row, now), due, conn.execute(later).scalar_one(), more=more)


def new_delivery(
    row: Row[Any],
    type_: str,
    at: datetime,
    *,
    due_at: datetime | None,
    seq: int | None = None,
    lane: str = "",
    notice: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The values of a delivery to the endpoint of `row`: of the event `seq`, or of what is no event."""
    return {
        "id": new_webhook_delivery_id(),
        "account_id": row.account_id,
        "webhook_id": row.id,
        "seq": seq,
        "type": type_,
        "lane": lane,
        "notice": notice,
        "state": Progress.PENDING,
        "attempts": 0,
        "created_at": at,
        "next_at": due_at,
    }


def _take_up(conn: Connection, row: Row[Any], now: datetime) -> bool:
    """Makes deliveries of what the log has behind the endpoint's position."""
    if row.event_seq <= row.position:
        return False
    page = conn.execute(
        select(events)
        .where(events.c.account_id == row.account_id, events.c.seq > row.position)
        .order_by(events.c.seq)
        .limit(_PAGE)
    ).all()
    first, reached = (page[0].seq, page[-1].seq) if page else (row.event_seq + 1, row.event_seq)
    made = [gap(row, first, row.event_seq, now)] if first != row.position + 1 else []
    made += [
        # What is kept of an event goes at the event's age.
        new_delivery(row, event.type, event.created_at, due_at=now, seq=event.seq, lane=_lane(event.payload))
        for event in page
        if event.agent_id == row.agent_id and (not row.event_types or event.type in row.event_types)
    ]
    if made:
        conn.execute(webhook_deliveries.insert(), made)
    conn.execute(update(webhooks).where(webhooks.c.id == row.id).values(position=reached))
    return len(page) == _PAGE


def gap(row: Row[Any], oldest: int, newest: int, now: datetime) -> dict[str, Any]:
    """The values of a delivery that tells the endpoint of `row` that events before `oldest` went by age."""
    told = {"type": RESET_TYPE, "timestamp": iso(now), "oldest": oldest, "newest": newest}
    notice = {**told, "detail": _GAP, "seq": oldest - 1}
    return new_delivery(row, RESET_TYPE, now, due_at=now, notice=notice)


def _lane(payload: Mapping[str, Any]) -> str:
    return str(payload.get("conversation_id") or payload.get("call_id") or "")


def _claim(
    conn: Connection, row: Row[Any], now: datetime, busy: Mapping[WebhookDeliveryId, str], room: int
) -> list[Due]:
    lanes = {lane for lane in busy.values() if lane}
    due: list[Due] = []
    taken = set(busy)
    # Again and again: of one conversation there may be more than all that is looked at in one go.
    while len(due) < room and (found := _ready(conn, row, now, taken, lanes, room * 4)):
        for one in found:
            if len(due) < room and one.lane not in lanes:
                due.append(_due(one))
                taken.add(due[-1].id)
                lanes |= {one.lane} - {""}
    if due:
        claimed = _d.id.in_([one.id for one in due])
        conn.execute(update(webhook_deliveries).where(claimed).values(next_at=now + LEASE))
    return due


def _ready(
    conn: Connection,
    row: Row[Any],
    now: datetime,
    busy: Collection[WebhookDeliveryId],
    lanes: Collection[str],
    limit: int,
) -> Sequence[Row[*tuple[Any, ...]]]:
    free = or_(_d.lane == "", _d.lane.not_in(lanes))
    query = _DUE.where(pending(row), _d.next_at <= now, _d.id.not_in(busy), free)
    return conn.execute(query.order_by(_d.next_at, _d.seq).limit(limit)).all()


def _due(row: Row[*tuple[Any, ...]]) -> Due:
    body = row.notice
    if body is None and row.payload is not None:
        body = {**row.payload, "seq": row.seq}
    return Due(WebhookDeliveryId(row.id), row.lane, row.attempts, body)


def pending(row: Row[Any]) -> ColumnElement[bool]:
    # Literally as the index of what is pending says it, or it is not used.
    return and_(_d.webhook_id == row.id, _d.state == literal_column(f"'{Progress.PENDING}'"))


_ENDPOINT = select(webhooks, accounts.c.event_seq).join(accounts, accounts.c.id == webhooks.c.account_id)
_DUE: Final[Select[*tuple[Any, ...]]] = select(
    _d.id, _d.lane, _d.seq, _d.attempts, _d.notice, events.c.payload
).outerjoin(events, and_(events.c.account_id == _d.account_id, events.c.seq == _d.seq))
