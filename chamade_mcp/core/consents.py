"""What a client asks a person for, between the question and the answer: ten minutes, once, in one browser."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Permission
from chamade_mcp.model.ids import AccountId
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import oauth_consents
from chamade_mcp.store.secrets import token_hash

LIFE = timedelta(minutes=10)
_MAX_OPEN = 20
"""Of one account: a page that sends a browser here again and again fills no table."""


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """An authorization request that was found right, ready to be put to a person."""

    client_id: str
    client_name: str
    client_host: str
    """The host that vouches for the client, or empty."""
    redirect_uri: str
    state: str | None
    permissions: frozenset[Permission]
    challenge: str = field(repr=False)
    """The PKCE challenge, S256."""
    refreshes: bool


class Consents:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ask(self, account: AccountId, session: str, request: ConsentRequest) -> str:
        """Remembers the question for the browser that has `session`; gives the token that stands for it."""
        token, now = secrets.token_urlsafe(32), self._clock.now()
        mine = oauth_consents.c.account_id == account

        def insert(conn: Connection) -> None:
            conn.execute(delete(oauth_consents).where(oauth_consents.c.expires_at <= now))
            newest = (
                select(oauth_consents.c.token_sha256)
                .where(mine)
                .order_by(oauth_consents.c.expires_at.desc())
                .limit(_MAX_OPEN - 1)
            )
            conn.execute(delete(oauth_consents).where(mine, oauth_consents.c.token_sha256.not_in(newest)))
            conn.execute(
                oauth_consents.insert().values(
                    token_sha256=token_hash(token),
                    account_id=account,
                    session_sha256=token_hash(session),
                    request=_to_row(request),
                    expires_at=now + LIFE,
                )
            )

        await self._database.write(insert)
        return token

    async def look(self, session: str, token: str) -> ConsentRequest | None:
        """The question as it stands; None when it is answered, too old, or another browser's."""
        row = await self._database.read(partial(_find, token=token, session=session))
        return self._open(row)

    async def take(self, session: str, token: str) -> ConsentRequest | None:
        """As `look`, and from then on it is answered."""

        def remove(conn: Connection) -> Row[Any] | None:
            row = _find(conn, token, session)
            if row is not None:
                conn.execute(delete(oauth_consents).where(oauth_consents.c.token_sha256 == row.token_sha256))
            return row

        return self._open(await self._database.write(remove))

    def _open(self, row: Row[Any] | None) -> ConsentRequest | None:
        if row is None or row.expires_at <= self._clock.now():
            return None
        stored: Mapping[str, Any] = row.request
        return ConsentRequest(
            client_id=stored["client_id"],
            client_name=stored["client_name"],
            client_host=stored["client_host"],
            redirect_uri=stored["redirect_uri"],
            state=stored["state"],
            permissions=frozenset(map(Permission, stored["permissions"])),
            challenge=stored["challenge"],
            refreshes=stored["refreshes"],
        )


def _find(conn: Connection, token: str, session: str) -> Row[Any] | None:
    return conn.execute(
        select(oauth_consents).where(
            oauth_consents.c.token_sha256 == token_hash(token),
            oauth_consents.c.session_sha256 == token_hash(session),
        )
    ).one_or_none()


def _to_row(request: ConsentRequest) -> dict[str, object]:
    return {
        "client_id": request.client_id,
        "client_name": request.client_name,
        "client_host": request.client_host,
        "redirect_uri": request.redirect_uri,
        "state": request.state,
        "permissions": sorted(request.permissions),
        "challenge": request.challenge,
        "refreshes": request.refreshes,
    }
