"""Accounts in the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import IntegrityError

from chamade_mcp.kit.mail import is_email
from chamade_mcp.model.errors import Conflict, FieldError, ValidationFailed
from chamade_mcp.model.ids import AccountId, new_account_id, new_agent_id
from chamade_mcp.store.schema import accounts, agents


class EmailTaken(Conflict):
    def __init__(self) -> None:
        super().__init__("There is an account with this e-mail address already", code="EMAIL_TAKEN")


def normal_email(email: str) -> str:
    return email.strip().casefold()


def check_email(email: str, field: str) -> None:
    """Raises `ValidationFailed` naming `field`."""
    if not is_email(email):
        raise ValidationFailed([FieldError(field, "is not an e-mail address")])


def insert(
    conn: Connection,
    *,
    email: str,
    hashed: str,
    verified: bool,
    name: str,
    now: datetime,
    may_own: bool = False,
) -> AccountId | None:
    """A new account with its first agent; None when the address is taken. With `may_own` it owns the gateway
    if nobody does."""
    account, agent = new_account_id(), new_agent_id()
    owns = may_own and owner(conn) is None
    try:
        with conn.begin_nested():
            conn.execute(
                accounts.insert().values(
                    id=account,
                    email=email,
                    email_verified=verified,
                    name=name or email.partition("@")[0],
                    password_hash=hashed,
                    is_owner=owns,
                    created_at=now,
                )
            )
    except IntegrityError:
        return None
    conn.execute(
        agents.insert().values(id=agent, account_id=account, name="AI Agent", is_default=True, created_at=now)
    )
    return account


_WITH_AGENT = select(accounts, agents.c.id.label("agent_id")).join(
    agents, (agents.c.account_id == accounts.c.id) & agents.c.is_default
)


def by_email(conn: Connection, email: str) -> Row[Any] | None:
    return conn.execute(_WITH_AGENT.where(accounts.c.email == email)).one_or_none()


def by_id(conn: Connection, account: AccountId) -> Row[Any]:
    return conn.execute(_WITH_AGENT.where(accounts.c.id == account)).one()


def owner(conn: Connection) -> Row[Any] | None:
    """Of the gateway."""
    return conn.execute(_WITH_AGENT.where(accounts.c.is_owner)).one_or_none()
