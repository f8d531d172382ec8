"""What was sent to an endpoint, and what became of it, as it is told. Plain functions of a connection."""

from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select

from chamade_mcp.core.webhooks.outcomes import attempts_of
from chamade_mcp.core.webhooks.records import attempt_wire, delivery_wire
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import NotFound
from chamade_mcp.store.schema import webhook_deliveries

_d = webhook_deliveries.c


def history_page(
    conn: Connection, scope: Scope, webhook: str, *, state: str | None, before: str | None, limit: int
) -> dict[str, Any]:
    """The newest first. Raises `NotFound` when `before` is no delivery there."""
    query = _of(scope, webhook)
    if state is not None:
        query = query.where(_d.state == state)
    if before is not None:
        last = conn.execute(_of(scope, webhook).where(_d.id == before)).one_or_none()
        if last is None:
            raise _not_found()
        same = and_(_d.created_at == last.created_at, _d.id < last.id)
        query = query.where(or_(_d.created_at < last.created_at, same))
    page = conn.execute(query.order_by(_d.created_at.desc(), _d.id.desc()).limit(limit + 1)).all()
    shown = page[:limit]
    attempts = attempts_of(conn, scope.account, [row.id for row in shown])
    told = [delivery_wire(row, [attempt_wire(a) for a in attempts[row.id]]) for row in shown]
    return {"deliveries": told, "next": shown[-1].id if len(page) > limit else None}


def delivery_of(conn: Connection, scope: Scope, webhook: str, delivery: str) -> dict[str, Any]:
    """Raises `NotFound`."""
    row = conn.execute(_of(scope, webhook).where(_d.id == delivery)).one_or_none()
    if row is None:
        raise _not_found()
    attempts = attempts_of(conn, scope.account, [row.id])[row.id]
    return delivery_wire(row, [attempt_wire(one) for one in attempts])


def _of(scope: Scope, webhook: str) -> Select[Any]:
    return select(webhook_deliveries).where(_d.account_id == scope.account, _d.webhook_id == webhook)


def _not_found() -> NotFound:
    return NotFound("Delivery not found", code="DELIVERY_NOT_FOUND")
