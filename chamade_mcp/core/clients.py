"""OAuth clients that registered themselves: stored, found, forgotten when nobody uses them."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.errors import Unavailable
from chamade_mcp.model.ids import new_id
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import oauth_clients
from chamade_mcp.store.secrets import token_hash

UNUSED_LIFE = timedelta(days=7)
"""A client that nobody has said yes to yet."""
IDLE_LIFE = timedelta(days=90)
MAX_UNUSED = 10_000
SECRET_PREFIX = "chms_"  # noqa: S105 -- the public part


@dataclass(frozen=True, slots=True)
class Client:
    id: str
    name: str
    redirect_uris: Sequence[str]
    auth_method: str
    refreshes: bool
    host: str = ""
    """The host that vouches for it; empty for a client that registered itself, of which nothing is known."""
    secret_sha256: str | None = field(default=None, repr=False)

    def proves(self, secret: str | None) -> bool:
        """Whether `secret` is its own; a client without one must not come with any."""
        if self.secret_sha256 is None or secret is None:
            return self.secret_sha256 is None and secret is None
        return hmac.compare_digest(self.secret_sha256, token_hash(secret))


class ClientRegistry:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def register(
        self,
        *,
        name: str,
        redirect_uris: Sequence[str],
        auth_method: str,
        refreshes: bool,
        confidential: bool,
    ) -> tuple[Client, str | None]:
        """The client and its secret, told this once. Raises `Unavailable` when too many wait for a yes."""
        secret = f"{SECRET_PREFIX}{secrets.token_urlsafe(32)}" if confidential else None
        client = Client(
            new_id("client"),
            name,
            tuple(redirect_uris),
            auth_method,
            refreshes,
            secret_sha256=token_hash(secret) if secret else None,
        )
        await self._database.write(partial(_insert, client=client, now=self._clock.now()))
        return client, secret

    async def find(self, client_id: str) -> Client | None:
        if not client_id.startswith("client_") or len(client_id) > 40:
            return None
        row = await self._database.read(partial(_find, client_id=client_id))
        if row is None:
            return None
        return Client(
            row.id,
            row.name,
            tuple(row.redirect_uris),
            row.auth_method,
            row.refreshes,
            secret_sha256=row.secret_sha256,
        )


def _insert(conn: Connection, client: Client, now: datetime) -> None:
    unused = oauth_clients.c.last_used_at.is_(None)
    conn.execute(
        delete(oauth_clients).where(
            or_(
                unused & (oauth_clients.c.created_at <= now - UNUSED_LIFE),
                oauth_clients.c.last_used_at <= now - IDLE_LIFE,
            )
        )
    )
    waiting = conn.execute(select(func.count()).select_from(oauth_clients).where(unused)).scalar_one()
    if waiting >= MAX_UNUSED:
        raise Unavailable("Too many clients have registered; try again later", retry_after=3600)
    conn.execute(
        oauth_clients.insert().values(
            id=client.id,
            name=client.name,
            redirect_uris=list(client.redirect_uris),
            auth_method=client.auth_method,
            secret_sha256=client.secret_sha256,
            refreshes=client.refreshes,
            created_at=now,
        )
    )


def _find(conn: Connection, client_id: str) -> Row[Any] | None:
    return conn.execute(select(oauth_clients).where(oauth_clients.c.id == client_id)).one_or_none()


def note_use(conn: Connection, client_id: str, now: datetime) -> None:
    """Part of the transaction in which the client gets something. A client of no registration has no row."""
    conn.execute(update(oauth_clients).where(oauth_clients.c.id == client_id).values(last_used_at=now))
