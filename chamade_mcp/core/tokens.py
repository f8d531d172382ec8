"""Codes and tokens in the database: what is issued, replaced and found out, one transaction each.

A *family* is one sign-in of a client: a code, then pairs of an access token and a refresh token, each refresh
token good for one successor. Whoever shows a used code or an old refresh token holds a copy: then the whole
family ends (RFC 9700 section 4.14.2). Only hashes are stored.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from chamade_mcp.core.consents import ConsentRequest
from chamade_mcp.model.access import Permission
from chamade_mcp.model.ids import AccountId, GrantId, new_id
from chamade_mcp.store.schema import oauth_codes, oauth_families, oauth_grants, oauth_tokens
from chamade_mcp.store.secrets import token_hash

CODE, ACCESS, REFRESH = "chmc_", "chmo_", "chmr_"
CODE_LIFE = timedelta(seconds=60)
ACCESS_LIFE = timedelta(hours=1)
FAMILY_LIFE = timedelta(days=30)
GRACE = timedelta(seconds=45)
"""How long a replaced refresh token still gets the successor it had: two processes of one client may race,
and an answer may be lost."""
_KEPT = timedelta(days=1)
"""How long what has expired is still told apart from what never was."""
_SHAPE = re.compile(r"chm[orc]_[A-Za-z0-9_-]{43}")


class TokenRefused(Exception):
    """`code` is an error of RFC 6749 section 5.2. `family_ended` tells the grant whose tokens died of it."""

    def __init__(self, code: str, description: str, *, family_ended: GrantId | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.family_ended = family_ended


@dataclass(frozen=True, slots=True)
class Issued:
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    permissions: frozenset[Permission]
    """Of the access token."""
    expires_in_s: int
    grant: GrantId


@dataclass(frozen=True, slots=True)
class Redemption:
    """A code as a client shows it. `redirect_uri` is None where it leaves that to PKCE (OAuth 2.1)."""

    code: str = field(repr=False)
    client_id: str
    verifier: str = field(repr=False)
    redirect_uri: str | None


class Successors:
    """What follows a refresh token, computed from it: so the same one can be given again, though no token
    is stored. Nobody can do that without the gateway's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def access(self, token: str) -> str:
        return ACCESS + self._derive("access", token)

    def refresh(self, token: str) -> str:
        return REFRESH + self._derive("refresh", token)

    def _derive(self, purpose: str, token: str) -> str:
        digest = hmac.digest(self._key, f"{purpose}\x00{token}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_token(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def has_shape(token: str, *prefixes: str) -> bool:
    return token[:5] in prefixes and _SHAPE.fullmatch(token) is not None


def to_text(permissions: frozenset[Permission]) -> str:
    return " ".join(permission for permission in Permission if permission in permissions)


def to_permissions(text: str) -> frozenset[Permission]:
    return frozenset(Permission(word) for word in text.split())


# --- the transactions ------------------------------------------------------------------------------------


def open_family(
    conn: Connection,
    grant: GrantId,
    account: AccountId,
    audience: str,
    request: ConsentRequest,
    code: str,
    now: datetime,
) -> None:
    """Until the code is redeemed, the family lives no longer than it."""
    family, expires_at = new_id("fam"), now + CODE_LIFE
    conn.execute(
        oauth_families.insert().values(
            id=family,
            account_id=account,
            grant_id=grant,
            audience=audience,
            permissions=to_text(request.permissions),
            refreshes=request.refreshes,
            created_at=now,
            expires_at=expires_at,
        )
    )
    conn.execute(
        oauth_codes.insert().values(
            code_sha256=token_hash(code),
            account_id=account,
            family_id=family,
            redirect_uri=request.redirect_uri,
            challenge=request.challenge,
            expires_at=expires_at,
        )
    )


def redeem(conn: Connection, asked: Redemption, now: datetime) -> Issued | TokenRefused:
    refused = TokenRefused("invalid_grant", "the code is wrong, used or expired")
    row = conn.execute(
        _WITH_GRANT.add_columns(oauth_codes)
        .join(oauth_codes, oauth_codes.c.family_id == oauth_families.c.id)
        .where(oauth_codes.c.code_sha256 == token_hash(asked.code))
    ).one_or_none()
    if row is None or row.client_id != asked.client_id:
        return refused
    if row.used_at is not None:
        end_family(conn, row.family_id, now)
        return TokenRefused("invalid_grant", "the code was used before", family_ended=row.grant_id)
    if row.expires_at <= now or _ended(row):
        return refused
    conn.execute(update(oauth_codes).where(oauth_codes.c.code_sha256 == row.code_sha256).values(used_at=now))
    if not hmac.compare_digest(challenge_of(asked.verifier), row.challenge):
        end_family(conn, row.family_id, now)  # somebody else has the code
        return TokenRefused("invalid_grant", "the code_verifier does not fit")
    if asked.redirect_uri is not None and asked.redirect_uri != row.redirect_uri:
        end_family(conn, row.family_id, now)
        return TokenRefused("invalid_grant", "the redirect_uri is another than at the start")
    family_end = now + (FAMILY_LIFE if row.refreshes else ACCESS_LIFE)
    conn.execute(
        update(oauth_families).where(oauth_families.c.id == row.family_id).values(expires_at=family_end)
    )
    permissions = to_permissions(row.family_permissions)
    access = new_token(ACCESS)
    refresh = new_token(REFRESH) if row.refreshes else None
    return _issue(conn, row, access, refresh, permissions, family_end, now)


def renew(
    conn: Connection,
    refresh_token: str,
    client_id: str,
    wanted: frozenset[Permission] | None,
    successors: Successors,
    now: datetime,
) -> Issued | TokenRefused:
    """The successor of `refresh_token`. Within the grace it is the very same for everybody who asks."""
    refused = TokenRefused("invalid_grant", "the refresh token is wrong, revoked or expired")
    row = _find_token(conn, refresh_token)
    if row is None or row.kind != REFRESH or row.client_id != client_id:
        return refused
    if _ended(row) or row.revoked_at is not None or row.family_expires_at <= now:
        return refused
    access, refresh = successors.access(refresh_token), successors.refresh(refresh_token)
    if row.replaced_at is not None:
        if now - row.replaced_at > GRACE:
            end_family(conn, row.family_id, now)
            return TokenRefused(
                "invalid_grant", "the refresh token was used before", family_ended=row.grant_id
            )
        return _again(conn, row, access, refresh, now) or refused
    permissions = to_permissions(row.family_permissions)
    if wanted is not None:
        if not wanted <= permissions:
            return TokenRefused("invalid_scope", "more than was granted; ask the person again")
        permissions = wanted
    conn.execute(
        update(oauth_tokens).where(oauth_tokens.c.token_sha256 == row.token_sha256).values(replaced_at=now)
    )
    return _issue(conn, row, access, refresh, permissions, row.family_expires_at, now)


def revoke(conn: Connection, token: str, client_id: str, now: datetime) -> GrantId | None:
    """A refresh token ends its family, an access token itself. The grant whose family ended, if any.

    Raises `TokenRefused` for a token of another client (RFC 7009 section 2.1).
    """
    row = _find_token(conn, token)
    if row is None:
        return None
    if row.client_id != client_id:
        raise TokenRefused("invalid_grant", "the token was issued to another client")
    if row.kind == REFRESH:
        return GrantId(row.grant_id) if end_family(conn, row.family_id, now) else None
    conn.execute(
        update(oauth_tokens).where(oauth_tokens.c.token_sha256 == row.token_sha256).values(revoked_at=now)
    )
    return None


def end_family(conn: Connection, family: str, now: datetime) -> bool:
    """Whether it was alive."""
    alive = (oauth_families.c.id == family) & oauth_families.c.revoked_at.is_(None)
    return conn.execute(update(oauth_families).where(alive).values(revoked_at=now)).rowcount > 0


def sweep(conn: Connection, now: datetime) -> None:
    """Forgets what has long expired. Codes and tokens of a family go with it."""
    conn.execute(delete(oauth_tokens).where(oauth_tokens.c.expires_at <= now - _KEPT))
    conn.execute(delete(oauth_families).where(oauth_families.c.expires_at <= now - _KEPT))


def find_access(conn: Connection, token: str) -> Row[Any] | None:
    return _find_token(conn, token)


def challenge_of(verifier: str) -> str:
    """S256 (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


# --- inside ----------------------------------------------------------------------------------------------

_WITH_GRANT = (
    select(
        oauth_families.c.permissions.label("family_permissions"),
        oauth_families.c.expires_at.label("family_expires_at"),
        oauth_families.c.revoked_at.label("family_revoked_at"),
        oauth_families.c.audience,
        oauth_families.c.refreshes,
        oauth_grants.c.id.label("grant_id"),
        oauth_grants.c.agent_id,
        oauth_grants.c.client_id,
        oauth_grants.c.revoked_at.label("grant_revoked_at"),
    )
    .select_from(oauth_families)
    .join(oauth_grants, oauth_grants.c.id == oauth_families.c.grant_id)
)


def _find_token(conn: Connection, token: str) -> Row[Any] | None:
    return conn.execute(
        _WITH_GRANT.add_columns(oauth_tokens)
        .join(oauth_tokens, oauth_tokens.c.family_id == oauth_families.c.id)
        .where(oauth_tokens.c.token_sha256 == token_hash(token))
    ).one_or_none()


def _ended(row: Row[Any]) -> bool:
    return row.family_revoked_at is not None or row.grant_revoked_at is not None


def _issue(
    conn: Connection,
    row: Row[Any],
    access: str,
    refresh: str | None,
    permissions: frozenset[Permission],
    family_end: datetime,
    now: datetime,
) -> Issued:
    expires_at = min(now + ACCESS_LIFE, family_end)
    made = [(access, ACCESS, permissions, expires_at)]
    if refresh is not None:
        # A refresh token keeps what the person said yes to, however little this access token was asked for.
        made.append((refresh, REFRESH, to_permissions(row.family_permissions), family_end))
    for token, kind, carries, until in made:
        conn.execute(
            oauth_tokens.insert().values(
                token_sha256=token_hash(token),
                account_id=row.account_id,
                family_id=row.family_id,
                kind=kind,
                permissions=to_text(carries),
                created_at=now,
                expires_at=until,
            )
        )
    life_s = int((expires_at - now).total_seconds())
    return Issued(access, refresh, permissions, life_s, GrantId(row.grant_id))


def _again(conn: Connection, row: Row[Any], access: str, refresh: str, now: datetime) -> Issued | None:
    """What the first of them got. None when the gateway's key has changed in between."""
    known = _find_token(conn, access)
    if known is None:
        return None
    left_s = max(0, int((known.expires_at - now).total_seconds()))
    return Issued(access, refresh, to_permissions(known.permissions), left_s, GrantId(row.grant_id))
