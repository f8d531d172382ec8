"""Links that are sent to a person who has an account: each does one thing, once, and for a while."""

import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select

from chamade_mcp.model.errors import Gone
from chamade_mcp.model.ids import AccountId
from chamade_mcp.store.schema import account_links
from chamade_mcp.store.secrets import token_hash


class LinkGone(Gone):
    def __init__(self) -> None:
        super().__init__(
            "This link was used already, is too old, or was replaced by a newer one", code="LINK_GONE"
        )


class Purpose(StrEnum):
    CLAIM = "claim"
    """To make the first account one's own."""
    EMAIL = "email"
    """Shows that the address is the account's; it becomes the account's address."""
    PASSWORD = "password"  # noqa: S105 -- what a link is for
    """To choose a new password without the old one."""


LIFE: Final = {
    Purpose.CLAIM: timedelta(days=30),
    Purpose.EMAIL: timedelta(days=1),
    Purpose.PASSWORD: timedelta(minutes=30),
}


def make(conn: Connection, account: AccountId, purpose: Purpose, email: str, now: datetime) -> str:
    """The token of a new link; those before it for the same purpose do nothing any more."""
    token = secrets.token_urlsafe(32)
    conn.execute(delete(account_links).where(account_links.c.expires_at <= now))
    withdraw(conn, account, purpose)
    conn.execute(
        account_links.insert().values(
            token_sha256=token_hash(token),
            account_id=account,
            purpose=str(purpose),
            email=email,
            created_at=now,
            expires_at=now + LIFE[purpose],
        )
    )
    return token


def withdraw(conn: Connection, account: AccountId, purpose: Purpose) -> None:
    conn.execute(
        delete(account_links).where(
            account_links.c.account_id == account, account_links.c.purpose == str(purpose)
        )
    )


def look(conn: Connection, token: str, purpose: Purpose, now: datetime) -> Row[Any] | None:
    """None for a link that is unknown, used or too old. Looking uses nothing up: mail programs do it, too."""
    return conn.execute(
        select(account_links).where(
            account_links.c.token_sha256 == token_hash(token),
            account_links.c.purpose == str(purpose),
            account_links.c.expires_at > now,
        )
    ).one_or_none()


def take(conn: Connection, token: str, purpose: Purpose, now: datetime) -> Row[Any] | None:
    """As `look`, and from then on it is used."""
    row = look(conn, token, purpose, now)
    if row is not None:
        conn.execute(delete(account_links).where(account_links.c.token_sha256 == row.token_sha256))
    return row
