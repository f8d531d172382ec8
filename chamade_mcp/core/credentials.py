"""What long-lived things, such as streams and sessions, are bound to: they end with what opened them."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, exists, select

from chamade_mcp.model.access import Principal
from chamade_mcp.store.schema import api_keys, oauth_families, oauth_grants, sessions

_MOST_IDS: Final = 500
"""Parameters of one statement."""


def credential_of(principal: Principal) -> str:
    """The id of the key, of the grant or of the browser's session by which somebody came in."""
    return principal.key or principal.grant or principal.browser or ""


def void(conn: Connection, credentials: Collection[str], now: datetime) -> set[str]:
    """Those that never let anybody in again."""
    asked, good = sorted(credentials), set[str]()
    for start in range(0, len(asked), _MOST_IDS):
        some = asked[start : start + _MOST_IDS]
        expired = api_keys.c.expires_at.is_not(None) & (api_keys.c.expires_at <= now)
        keys = select(api_keys.c.id).where(api_keys.c.id.in_(some), api_keys.c.revoked_at.is_(None), ~expired)
        grants = select(oauth_grants.c.id).where(
            oauth_grants.c.id.in_(some), oauth_grants.c.revoked_at.is_(None)
        )
        browsers = select(sessions.c.token_sha256).where(
            sessions.c.token_sha256.in_(some), sessions.c.expires_at > now
        )
        good.update(conn.execute(keys.union_all(grants, browsers)).scalars())
    return set(asked) - good


def lapsed(conn: Connection, credentials: Collection[str], now: datetime) -> set[str]:
    """Grants that stand, and of whose tokens none is good: the client has to come for new ones."""
    asked, found = sorted(credentials), set[str]()
    living = exists().where(
        oauth_families.c.grant_id == oauth_grants.c.id,
        oauth_families.c.revoked_at.is_(None),
        oauth_families.c.expires_at > now,
    )
    for start in range(0, len(asked), _MOST_IDS):
        some = asked[start : start + _MOST_IDS]
        grants = select(oauth_grants.c.id).where(
            oauth_grants.c.id.in_(some), oauth_grants.c.revoked_at.is_(None), ~living
        )
        found.update(conn.execute(grants).scalars())
    return found
