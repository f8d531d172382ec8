"""Grants in the database: found, given, listed."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from chamade_mcp.core import tokens
from chamade_mcp.core.bounds import inside
from chamade_mcp.core.consents import ConsentRequest
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Bounds, Scope
from chamade_mcp.model.ids import GrantId, new_grant_id
from chamade_mcp.store.schema import accounts, agents, oauth_families, oauth_grants


def authenticated(conn: Connection, token: str) -> tuple[Row[Any], bool] | None:
    row = tokens.find_access(conn, token)
    if row is None:
        return None
    verified = conn.execute(
        select(accounts.c.email_verified).where(accounts.c.id == row.account_id)
    ).scalar_one()
    return row, verified


def standing(conn: Connection, scope: Scope, client_id: str) -> Row[Any] | None:
    return conn.execute(
        select(oauth_grants)
        .where(
            oauth_grants.c.account_id == scope.account,
            oauth_grants.c.agent_id == scope.agent,
            oauth_grants.c.client_id == client_id,
            oauth_grants.c.revoked_at.is_(None),
        )
        .order_by(oauth_grants.c.created_at.desc())
        .limit(1)
    ).one_or_none()


def known(conn: Connection, client_id: str) -> bool:
    given = select(oauth_grants.c.id).where(oauth_grants.c.client_id == client_id).limit(1)
    return conn.execute(given).first() is not None


def give(conn: Connection, scope: Scope, request: ConsentRequest, now: datetime) -> GrantId:
    """The standing one, widened by what was allowed now, or a new one."""
    known = standing(conn, scope, request.client_id)
    told = {"client_name": request.client_name, "client_host": request.client_host}
    if known is not None:
        both = tokens.to_permissions(known.permissions) | request.permissions
        conn.execute(
            update(oauth_grants)
            .where(oauth_grants.c.id == known.id)
            .values(permissions=tokens.to_text(both), **told)
        )
        return GrantId(known.id)
    grant = new_grant_id()
    conn.execute(
        oauth_grants.insert().values(
            id=grant,
            account_id=scope.account,
            agent_id=scope.agent,
            client_id=request.client_id,
            permissions=tokens.to_text(request.permissions),
            created_at=now,
            **told,
        )
    )
    return grant


def has_living_family(conn: Connection, grant: GrantId, now: datetime) -> bool:
    alive = (
        (oauth_families.c.grant_id == grant)
        & oauth_families.c.revoked_at.is_(None)
        & (oauth_families.c.expires_at > now)
    )
    return conn.execute(select(oauth_families.c.id).where(alive).limit(1)).first() is not None


def living(conn: Connection, bounds: Bounds, now: datetime) -> list[dict[str, object]]:
    until = func.max(oauth_families.c.expires_at).label("until")
    rows = conn.execute(
        select(oauth_grants, agents.c.name.label("agent_name"), until)
        .join(agents, agents.c.id == oauth_grants.c.agent_id)
        .join(oauth_families, oauth_families.c.grant_id == oauth_grants.c.id)
        .where(
            inside(oauth_grants, bounds),
            oauth_grants.c.revoked_at.is_(None),
            oauth_families.c.revoked_at.is_(None),
            oauth_families.c.expires_at > now,
        )
        .group_by(oauth_grants.c.id, agents.c.name)
        .order_by(oauth_grants.c.created_at.desc())
    )
    return [
        {
            "id": row.id,
            "client_id": row.client_id,
            "client_name": row.client_name,
            "client_host": row.client_host or None,
            "agent_id": row.agent_id,
            "agent_name": row.agent_name,
            "permissions": row.permissions.split(),
            "created_at": iso(row.created_at),
            "last_used_at": iso(row.last_used_at) if row.last_used_at else None,
            "expires_at": iso(row.until),
        }
        for row in rows
    ]
