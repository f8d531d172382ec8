"""API keys: `chmd_<id>_<secret>`, stored hashed, checked from memory once known."""

import hmac
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from chamade_mcp.core.bounds import inside
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import ALL_PERMISSIONS, Bounds, Permission, Principal, Scope
from chamade_mcp.model.errors import MissingPermission, NotFound, Unauthenticated, Unavailable
from chamade_mcp.model.ids import AccountId, AgentId, KeyId
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import accounts, agents, api_keys
from chamade_mcp.store.secrets import token_hash

log = logging.getLogger(__name__)

PREFIX = "chmd_"
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_SHAPE = re.compile(r"chmd_([A-Za-z0-9]{10})_([A-Za-z0-9]{32})")
_TRUST_S = 10.0
"""Seconds a key is believed without a look-up: the longest that one revoked elsewhere still works."""
_USED_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `value` is told this once."""

    id: KeyId
    value: str = field(repr=False)
    name: str
    agent: AgentId
    permissions: frozenset[Permission]
    created_at: datetime
    expires_at: datetime | None

    def to_wire(self) -> dict[str, object]:
        return {
            "id": self.id,
            "key": self.value,
            "name": self.name,
            "agent_id": self.agent,
            "prefix": self.value[: len(PREFIX) + 10],
            "permissions": _sorted(self.permissions),
            "created_at": iso(self.created_at),
            "expires_at": iso(self.expires_at) if self.expires_at else None,
        }


@dataclass(slots=True)
class _Known:
    key: KeyId
    principal: Principal
    expires_at: datetime | None
    trusted_until: float
    used_at: float


def _sorted(permissions: frozenset[Permission]) -> list[str]:
    return [str(p) for p in Permission if p in permissions]


class Keys:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._forgotten = 0
        self._refused: dict[KeyId, float] = {}
        """When that was noted last of those that are shown although they are good no more."""
        self._on_revoke: list[Callable[[KeyId], Awaitable[None]]] = []

    async def authenticate(self, key: str | None) -> Principal:
        """Who holds `key`. Raises `Unauthenticated`; its code tells what is wrong."""
        if not key:
            raise Unauthenticated(code="MISSING_API_KEY")
        known, now = self._known.get(key), self._clock.monotonic()
        if known is None or now >= known.trusted_until:
            known = await self._look_up(key)
        if known.expires_at is not None and self._clock.now() >= known.expires_at:
            await self._note_refusal(known.key)
            raise Unauthenticated(code="EXPIRED_API_KEY")
        if now - known.used_at >= _USED_EVERY_S:
            known.used_at = now
            await self._stamp(known.key, "last_used_at")
        return known.principal

    async def create(
        self,
        scope: Scope,
        name: str,
        *,
        expires_at: datetime | None = None,
        permissions: frozenset[Permission] = ALL_PERMISSIONS,
    ) -> NewKey:
        identity = "".join(secrets.choice(_ALPHABET) for _ in range(10))
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(32))
        key = NewKey(
            KeyId(f"key_{identity}"),
            f"{PREFIX}{identity}_{secret}",
            name,
            scope.agent,
            permissions,
            self._clock.now(),
            expires_at,
        )

        def insert(conn: Connection) -> None:
            conn.execute(
                api_keys.insert().values(
                    id=key.id,
                    account_id=scope.account,
                    agent_id=scope.agent,
                    name=name,
                    secret_sha256=token_hash(secret),
                    permissions=",".join(_sorted(permissions)),
                    created_at=key.created_at,
                    expires_at=expires_at,
                )
            )

        await self._database.write(insert)
        return key

    async def list(self, bounds: Bounds) -> list[dict[str, object]]:
        """Never the key: its prefix, name, agent, dates, permissions; the newest first."""

        def query(conn: Connection) -> list[dict[str, object]]:
            rows = conn.execute(
                select(api_keys, agents.c.name.label("agent_name"))
                .join(agents, agents.c.id == api_keys.c.agent_id)
                .where(inside(api_keys, bounds), api_keys.c.revoked_at.is_(None))
                .order_by(api_keys.c.created_at.desc())
            )
            return [_row_to_wire(row) for row in rows]

        return await self._database.read(query)

    def on_revoke(self, end: Callable[[KeyId], Awaitable[None]]) -> None:
        """`end(key)` is awaited once a key is revoked, for what was opened with it."""
        self._on_revoke.append(end)

    async def revoke(self, bounds: Bounds, key: str) -> None:
        if await self._revoke(bounds, api_keys.c.id == key) == 0:
            raise NotFound("API key not found", code="KEY_NOT_FOUND")

    async def revoke_all(self, scope: Scope) -> None:
        """The agent goes."""
        await self._revoke(Bounds(scope.account, scope.agent))

    async def _revoke(self, bounds: Bounds, *which: ColumnElement[bool]) -> int:
        now = self._clock.now()

        def stamp(conn: Connection) -> Sequence[str]:
            alive = inside(api_keys, bounds) & api_keys.c.revoked_at.is_(None)
            query = update(api_keys).where(alive, *which).values(revoked_at=now)
            return conn.execute(query.returning(api_keys.c.id)).scalars().all()

        revoked = await self._database.write(stamp)
        self.forget(bounds.account)
        for key in revoked:
            for end in self._on_revoke:
                await end(KeyId(key))
        return len(revoked)

    def forget(self, account: AccountId) -> None:
        """Every key of the account is looked up anew."""
        self._forgotten += 1
        self._known = {k: v for k, v in self._known.items() if v.principal.account != account}

    def forget_all(self) -> None:
        """Every key is looked up anew: another process has revoked one."""
        self._forgotten += 1
        self._known.clear()

    async def _look_up(self, key: str) -> _Known:
        shape = _SHAPE.fullmatch(key)
        if shape is None:
            raise Unauthenticated(code="INVALID_API_KEY")
        forgotten = self._forgotten
        row = await self._database.read(partial(_find, key=f"key_{shape[1]}"))
        if row is None or not hmac.compare_digest(row.secret_sha256, token_hash(shape[2])):
            raise Unauthenticated(code="INVALID_API_KEY")
        if row.revoked_at is not None:
            self._known.pop(key, None)
            await self._note_refusal(KeyId(row.id))
            raise Unauthenticated(code="REVOKED_API_KEY")
        before = self._known.get(key)
        known = _Known(
            KeyId(row.id),
            Principal(
                Scope(AccountId(row.account_id), AgentId(row.agent_id)),
                frozenset(Permission(p) for p in row.permissions.split(",") if p),
                row.email_verified,
                KeyId(row.id),
            ),
            row.expires_at,
            self._clock.monotonic() + _TRUST_S,
            before.used_at if before else float("-inf"),
        )
        # A revocation during the look-up may be missing from what was read: then nothing is remembered.
        if forgotten == self._forgotten:
            self._known[key] = known
        return known

    async def _note_refusal(self, key: KeyId) -> None:
        """For the owner, who may not know that somebody still uses it."""
        now = self._clock.monotonic()
        if now - self._refused.get(key, float("-inf")) >= _USED_EVERY_S:
            self._refused[key] = now
            await self._stamp(key, "refused_at")

    async def _stamp(self, key: KeyId, column: str) -> None:
        moment = {column: self._clock.now()}

        def stamp(conn: Connection) -> None:
            conn.execute(update(api_keys).where(api_keys.c.id == key).values(moment))

        try:
            await self._database.write(stamp)
        except Unavailable as error:
            log.warning("the use of %s was not noted: %s", key, error)  # no reason to refuse a valid key


def _find(conn: Connection, key: str) -> Row[Any] | None:
    return conn.execute(
        select(api_keys, accounts.c.email_verified).join(accounts).where(api_keys.c.id == key)
    ).one_or_none()


def _row_to_wire(row: Row[Any]) -> dict[str, object]:
    def stamp(moment: datetime | None) -> str | None:
        return iso(moment) if moment else None

    return {
        "id": row.id,
        "prefix": PREFIX + row.id.removeprefix("key_"),
        "name": row.name,
        "agent_id": row.agent_id,
        "agent_name": row.agent_name,
        "permissions": [p for p in row.permissions.split(",") if p],
        "created_at": stamp(row.created_at),
        "last_used_at": stamp(row.last_used_at),
        "expires_at": stamp(row.expires_at),
    }


def require(principal: Principal, permission: Permission) -> None:
    """Raises `MissingPermission` when the caller's key or access token does not carry `permission`."""
    if permission not in principal.permissions:
        raise MissingPermission(permission, "API key" if principal.grant is None else "access token")
