"""Agents in the database: plain functions of a connection to it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, tuple_, update

from chamade_mcp.core import sign_ins
from chamade_mcp.core.backwards import backwards
from chamade_mcp.core.bounds import inside
from chamade_mcp.model.access import Bounds, Scope
from chamade_mcp.model.errors import Action, Conflict, LimitReached, NotFound
from chamade_mcp.model.ids import AccountId, AgentId, new_agent_id
from chamade_mcp.store.schema import (
    agents,
    calls,
    connections,
    conversations,
    events,
    files,
    links,
    mcp_sessions,
    messages,
    operators,
    repeats,
    usage_counts,
)

MOST: Final = 50
"""Of one account."""


def not_found(param: str | None = None) -> NotFound:
    return NotFound("Agent not found", code="AGENT_NOT_FOUND", param=param)


def folded(name: str) -> str:
    """No two agents of an account have the same."""
    return name.strip().casefold()


def of_account(conn: Connection, account: AccountId) -> Sequence[Row[Any]]:
    """The oldest first."""
    mine = agents.c.account_id == account
    return conn.execute(select(agents).where(mine).order_by(agents.c.created_at, agents.c.id)).all()


def find(conn: Connection, bounds: Bounds, agent: str, param: str | None = None) -> Row[Any]:
    """Raises `NotFound`."""
    mine = (agents.c.account_id == bounds.account) & (agents.c.id == agent)
    row = conn.execute(select(agents).where(mine)).one_or_none()
    if row is None or not bounds.holds(Scope(bounds.account, AgentId(row.id))):
        raise not_found(param)
    return row


def count(conn: Connection, account: AccountId) -> int:
    mine = agents.c.account_id == account
    return conn.execute(select(func.count()).select_from(agents).where(mine)).scalar_one()


def insert(conn: Connection, account: AccountId, name: str, now: datetime) -> AgentId:
    """Raises `Conflict` for a name that is another's, and `LimitReached`."""
    if count(conn, account) >= MOST:
        raise LimitReached(
            f"An account has {MOST} agents at most", code="AGENT_LIMIT_REACHED", action=Action.ASK_HUMAN
        )
    _require_free(conn, account, name, but=None)
    agent = new_agent_id()
    conn.execute(
        agents.insert().values(id=agent, account_id=account, name=name, is_default=False, created_at=now)
    )
    return agent


def rename(conn: Connection, account: AccountId, agent: str, name: str) -> None:
    """Raises `Conflict`."""
    _require_free(conn, account, name, but=agent)
    conn.execute(update(agents).where(agents.c.id == agent).values(name=name))


def make_default(conn: Connection, account: AccountId, agent: str) -> None:
    before = agents.c.account_id == account, agents.c.is_default
    conn.execute(update(agents).where(*before).values(is_default=False))
    conn.execute(update(agents).where(agents.c.id == agent).values(is_default=True))


def require_idle(conn: Connection, scope: Scope) -> None:
    """Raises `Conflict` for the default agent, which the last one is too, and for one with connections."""
    row = find(conn, Bounds(scope.account, None), scope.agent)
    if row.is_default:
        raise Conflict(
            "This is the default agent: make another one the default first",
            code="AGENT_IS_DEFAULT",
            action=Action.FIX_ARGUMENT,
        )
    tied = inside(connections, Bounds(scope.account, scope.agent))
    if conn.execute(select(connections.c.id).where(tied).limit(1)).first() is not None:
        raise Conflict(
            "This agent has connections: move them to another agent or disconnect them first",
            code="AGENT_HAS_CONNECTIONS",
            action=Action.ASK_HUMAN,
        )


def remove(conn: Connection, scope: Scope) -> None:
    """With all that is its own; keys, grants and webhooks cascade. Raises what `require_idle` does."""
    require_idle(conn, scope)
    bounds = Bounds(scope.account, scope.agent)
    newest = select(conversations.c.account_id, conversations.c.last_seq).where(inside(conversations, bounds))
    said = backwards(tuple_(messages.c.account_id, messages.c.seq).in_(newest))
    conn.execute(delete(messages).where(messages.c.id.in_(select(said.c.id))))
    for table in (operators, conversations, calls, files, links, repeats, mcp_sessions, usage_counts):
        conn.execute(delete(table).where(inside(table, bounds)))
    # Numbers of events have no gaps; what they said goes now, and they themselves with their age.
    conn.execute(update(events).where(inside(events, bounds)).values(payload={}))
    sign_ins.leave(conn, scope.agent)
    conn.execute(delete(agents).where(agents.c.id == scope.agent))


def _require_free(conn: Connection, account: AccountId, name: str, *, but: str | None) -> None:
    same = folded(name)
    if any(folded(row.name) == same and row.id != but for row in of_account(conn, account)):
        raise Conflict(
            "Another agent has this name", code="AGENT_NAME_TAKEN", action=Action.FIX_ARGUMENT, param="name"
        )
