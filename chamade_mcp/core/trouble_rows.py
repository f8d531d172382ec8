"""What went wrong, in the database: functions of a connection, each bound to an agent's scope.

Of each kind among the newest `MOST` since a moment: more than anybody will look through.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, literal_column, select
from sqlalchemy.dialects.sqlite import insert

from chamade_mcp.core.call import CallState
from chamade_mcp.core.dms import GATEWAY, OUTBOUND, mine
from chamade_mcp.model.access import Scope
from chamade_mcp.model.events import EventType
from chamade_mcp.model.ids import AccountId
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store.schema import (
    accounts,
    api_keys,
    calls,
    conversations,
    events,
    messages,
    put_aside,
    webhooks,
)

MOST: Final = 200
_OVER: Final = [str(state) for state in CallState if state.terminal]
_MESSAGE: Select[*tuple[Any, ...]] = (
    select(
        messages.c.id,
        messages.c.status,
        messages.c.detail,
        messages.c.created_at,
        messages.c.conversation_id,
        conversations.c.platform,
        conversations.c.remote_name,
    )
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .where(messages.c.direction == OUTBOUND, messages.c.sender_name != GATEWAY)
    .order_by(messages.c.created_at.desc())
    .limit(MOST)
)


def undelivered(conn: Connection, scope: Scope, since: datetime) -> list[Row[*tuple[Any, ...]]]:
    """What was said, and did not arrive, or may not have."""
    found: list[Row[*tuple[Any, ...]]] = []
    for state in (DeliveryState.FAILED, DeliveryState.UNKNOWN):
        # As SQL has it, not as a parameter: for the indexes that have these alone.
        query = _MESSAGE.where(
            mine(scope),
            messages.c.account_id == scope.account,
            messages.c.created_at > since,
            literal_column(f"messages.status = '{state}'"),
        )
        found.extend(conn.execute(query).all())
    return found


def ended_badly(conn: Connection, scope: Scope, since: datetime) -> list[tuple[Row[Any], str]]:
    """Of the newest `MOST` that are over: those that failed, each with why; and those that nobody answered,
    with nothing."""
    recent = (
        select(calls)
        .where(calls.c.account_id == scope.account, calls.c.agent_id == scope.agent)
        .where(calls.c.created_at > since, calls.c.state.in_(_OVER))
        .order_by(calls.c.created_at.desc())
        .limit(MOST)
    )
    rows = conn.execute(recent).all()
    happened = (
        select(events.c.call_id, events.c.payload)
        .where(events.c.account_id == scope.account, events.c.call_id.in_([row.id for row in rows]))
        .where(events.c.call_id.is_not(None), events.c.type == str(EventType.CALL_ERROR))
        .order_by(events.c.seq)
    )
    why: dict[str, str] = {row.call_id: row.payload["message"] for row in conn.execute(happened)}
    return [(row, why.get(row.id, "")) for row in rows if row.id in why or row.state == CallState.MISSED]


def refused_keys(conn: Connection, scope: Scope, since: datetime) -> Sequence[Row[Any]]:
    query = select(api_keys).where(
        api_keys.c.account_id == scope.account,
        api_keys.c.agent_id == scope.agent,
        api_keys.c.refused_at > since,
    )
    return conn.execute(query.order_by(api_keys.c.refused_at.desc()).limit(MOST)).all()


def switched_off(conn: Connection, scope: Scope) -> Sequence[Row[Any]]:
    """Webhooks that were, for what their servers did."""
    query = select(webhooks).where(
        webhooks.c.account_id == scope.account,
        webhooks.c.agent_id == scope.agent,
        webhooks.c.status == "disabled",
    )
    return conn.execute(query.limit(MOST)).all()


def owns_the_gateway(conn: Connection, account: AccountId) -> bool:
    """Who can do something about the machine."""
    return conn.execute(select(accounts.c.is_owner).where(accounts.c.id == account)).scalar_one()


def aside(conn: Connection, scope: Scope) -> dict[str, datetime]:
    """What the owner wants to see no more, and since when."""
    query = select(put_aside.c.subject, put_aside.c.created_at)
    rows = conn.execute(query.where(put_aside.c.account_id == scope.account)).all()
    return {row.subject: row.created_at for row in rows}


def show_again(conn: Connection, scope: Scope, subject: str) -> None:
    """What was put aside, should it go wrong once more."""
    whose = put_aside.c.account_id == scope.account
    conn.execute(put_aside.delete().where(whose, put_aside.c.subject == subject))


def put(conn: Connection, scope: Scope, subject: str, now: datetime, forget: datetime) -> None:
    """What was put aside before `forget` shows no more anyway."""
    whose = put_aside.c.account_id == scope.account
    conn.execute(put_aside.delete().where(whose, put_aside.c.created_at < forget))
    new = insert(put_aside).values(account_id=scope.account, subject=subject, created_at=now)
    conn.execute(
        new.on_conflict_do_update(index_elements=["account_id", "subject"], set_={"created_at": now})
    )
