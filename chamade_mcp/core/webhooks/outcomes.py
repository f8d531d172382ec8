"""What became of an attempt, in the database. Plain functions of a connection; `now` is steady time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from chamade_mcp.core import event_log
from chamade_mcp.core.webhooks.queue import gap, pending
from chamade_mcp.core.webhooks.records import RESET_TYPE, Attempt, Due, Progress, Target, WebhookStatus
from chamade_mcp.core.webhooks.schedule import DISABLED_AFTER, failing_since, pause_after
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.events import Envelope, Event, EventType
from chamade_mcp.model.ids import AccountId, AgentId, WebhookDeliveryId
from chamade_mcp.store.schema import webhook_attempts, webhook_deliveries, webhooks

_GONE: Final = 410
_GONE_REASON: Final = "The receiver answered 410 Gone: it wants no more"
_FAILED_REASON: Final = "Nothing was delivered for 5 days"
_UNSENT_KEPT: Final = timedelta(days=7)
"""How much longer the trace of what still waits is kept than that of what is settled."""

_d = webhook_deliveries.c


def settle(conn: Connection, target: Target, due: Due, attempt: Attempt, now: datetime) -> list[Envelope]:
    """Notes the attempt and what follows from it. The events that this made are to be announced."""
    query = select(webhooks).join(webhook_deliveries, _d.webhook_id == webhooks.c.id)
    mine = _d.id == due.id, webhooks.c.id == target.webhook
    row = conn.execute(query.where(*mine).with_for_update()).one_or_none()
    if row is None:  # endpoint, account or history went meanwhile
        return []
    note(conn, AccountId(row.account_id), due.id, attempt)
    if attempt.delivered:
        _end(conn, due, Progress.DELIVERED, now)
        if row.failing_since is not None:
            _change(conn, row, failing_since=None, failed_at=None)
        return []
    if due.body is not None and row.url != target.url:
        # It has moved meanwhile: what is said where it was, is not said by the address it has now.
        conn.execute(update(webhook_deliveries).where(_d.id == due.id).values(next_at=now))
        return []
    pause = pause_after(due.attempts + 1, attempt.retry_after_s)
    if due.body is None or attempt.status == _GONE or pause is None:
        _end(conn, due, Progress.FAILED, now)
    else:
        later = {"attempts": due.attempts + 1, "next_at": now + timedelta(seconds=pause)}
        conn.execute(update(webhook_deliveries).where(_d.id == due.id).values(later))
    if due.body is None:  # no fault of the receiver's
        _tell_gap(conn, row, now)
        return []
    since = failing_since(row.failing_since, row.failed_at, now)
    _change(conn, row, failing_since=since, failed_at=now)
    if attempt.status == _GONE:
        return _disable(conn, row, _GONE_REASON, attempt.started_at)
    if now - since >= DISABLED_AFTER:
        return _disable(conn, row, _FAILED_REASON, attempt.started_at)
    return []


def note(conn: Connection, account: AccountId, delivery: WebhookDeliveryId, attempt: Attempt) -> None:
    """Adds the attempt to the delivery's history."""
    last = select(func.max(webhook_attempts.c.number)).where(webhook_attempts.c.delivery_id == delivery)
    conn.execute(
        webhook_attempts.insert().values(
            delivery_id=delivery,
            number=(conn.execute(last).scalar_one() or 0) + 1,
            account_id=account,
            started_at=attempt.started_at,
            duration_ms=attempt.duration_ms,
            status=attempt.status,
            error=attempt.error,
            response=attempt.response,
        )
    )


def drop_before(conn: Connection, account: AccountId, moment: datetime, limit: int) -> int:
    """Removes the history of what happened before `moment`, at most `limit` deliveries."""
    over = or_(_d.state != Progress.PENDING, _d.created_at < moment - _UNSENT_KEPT)
    old = select(_d.id).where(_d.account_id == account, _d.created_at < moment, over).limit(limit)
    return conn.execute(delete(webhook_deliveries).where(_d.id.in_(old))).rowcount


def attempts_of(conn: Connection, account: AccountId, deliveries: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """Their attempts in order, by delivery."""
    a = webhook_attempts.c
    found: dict[str, list[Row[Any]]] = {delivery: [] for delivery in deliveries}
    query = select(webhook_attempts).where(a.account_id == account, a.delivery_id.in_(deliveries))
    for row in conn.execute(query.order_by(a.delivery_id, a.number)):
        found[row.delivery_id].append(row)
    return found


def _tell_gap(conn: Connection, row: Row[Any], now: datetime) -> None:
    """Once for all that went by age before that is out."""
    told = select(_d.id).where(pending(row), _d.seq.is_(None), _d.type == RESET_TYPE)
    # From the end of the index on: what went by age has been due for long.
    if conn.execute(told.order_by(_d.next_at.desc()).limit(1)).first() is None:
        oldest, newest = event_log.kept(conn, AccountId(row.account_id))
        conn.execute(webhook_deliveries.insert().values(gap(row, oldest, newest, now)))


def _end(conn: Connection, due: Due, state: Progress, now: datetime) -> None:
    over = {"state": state, "attempts": due.attempts + 1, "next_at": None, "settled_at": now}
    conn.execute(update(webhook_deliveries).where(_d.id == due.id).values(over))


def _change(conn: Connection, row: Row[Any], **values: object) -> None:
    conn.execute(update(webhooks).where(webhooks.c.id == row.id).values(**values))


def _disable(conn: Connection, row: Row[Any], reason: str, at: datetime) -> list[Envelope]:
    if row.status == WebhookStatus.DISABLED:
        return []
    _change(conn, row, status=WebhookStatus.DISABLED, reason=reason)
    payload = {
        "type": EventType.WEBHOOK_DISABLED,
        "webhook_id": row.id,
        "description": row.description,
        "reason": reason,
        "timestamp": iso(at),
    }
    told = Event(AccountId(row.account_id), AgentId(row.agent_id), EventType.WEBHOOK_DISABLED, payload)
    return event_log.append(conn, [told], at)
