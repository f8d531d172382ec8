"""Accounts and everything that identifies one: sign-in sessions, keys, profile, the way out."""

import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.exc import IntegrityError

from chamade_mcp.core import passwords
from chamade_mcp.core.keys import Keys, NewKey
from chamade_mcp.core.limits import Attempts
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import ALL_PERMISSIONS, Permission, Principal, Scope
from chamade_mcp.model.errors import (
    Conflict,
    FieldError,
    Forbidden,
    NotAvailable,
    Unauthenticated,
    ValidationFailed,
)
from chamade_mcp.model.ids import AccountId, AgentId, new_account_id, new_agent_id
from chamade_mcp.model.limits import SESSION_LIFE
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import accounts, agents, sessions
from chamade_mcp.store.secrets import token_hash

log = logging.getLogger(__name__)

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


def _normal(email: str) -> str:
    return email.strip().casefold()


class Accounts:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._attempts = Attempts(clock, limit=10, window_s=900)
        self._credentials: dict[str, Callable[[str], Awaitable[Principal]]] = {}
        self._leaving: list[Callable[[AccountId], Awaitable[None]]] = []
        self.keys = Keys(database, clock)

    # --- who is asking ---------------------------------------------------------------------------------

    async def authenticate(self, key: str | None) -> Principal:
        """The holder of an API key, or of another credential that `accept` made known.

        Raises `Unauthenticated`.
        """
        if key is not None:
            read = self._credentials.get(key.partition("_")[0])
            if read is not None:
                return await read(key)
        return await self.keys.authenticate(key)

    def accept(self, prefix: str, read: Callable[[str], Awaitable[Principal]]) -> None:
        """Credentials that start with `prefix`, which ends with its only underscore, are `read`'s."""
        self._credentials[prefix.removesuffix("_")] = read

    async def sign_in(self, email: str, password: str) -> str:
        """A session token for a browser's cookie. Wrong e-mail and wrong password are told alike."""
        email = _normal(email)
        self._attempts.count(email)
        row = await self._database.read(partial(_by_email, email=email))
        if not await passwords.verify(password, row.password_hash if row else None) or row is None:
            raise Unauthenticated("The e-mail address or the password is wrong", code="SIGN_IN_FAILED")
        self._attempts.clear(email)
        token, now = secrets.token_urlsafe(32), self._clock.now()

        def insert(conn: Connection) -> None:
            conn.execute(delete(sessions).where(sessions.c.expires_at <= now))
            conn.execute(
                sessions.insert().values(
                    token_sha256=token_hash(token),
                    account_id=row.id,
                    created_at=now,
                    expires_at=now + SESSION_LIFE,
                )
            )

        await self._database.write(insert)
        return token

    async def sign_out(self, token: str) -> None:
        def remove(conn: Connection) -> None:
            conn.execute(delete(sessions).where(sessions.c.token_sha256 == token_hash(token)))

        await self._database.write(remove)

    async def authenticate_session(self, token: str) -> Principal:
        """The account's default agent, with every permission."""
        hashed = token_hash(token)
        row = await self._database.read(partial(_by_session, token_sha256=hashed))
        if row is None or row.expires_at <= self._clock.now():
            raise Unauthenticated("Please sign in again", code="SESSION_ENDED")
        scope = Scope(AccountId(row.account_id), AgentId(row.agent_id))
        return Principal(scope, ALL_PERMISSIONS, row.email_verified, browser=hashed)

    # --- accounts --------------------------------------------------------------------------------------

    async def any_exist(self) -> bool:
        return await self._database.read(lambda conn: conn.execute(select(accounts.c.id)).first() is not None)

    async def create(self, email: str, password: str, *, verified: bool, name: str = "") -> AccountId:
        """A new account with its first agent. Raises `ValidationFailed`, or `Conflict` for a taken e-mail."""
        email = _normal(email)
        if not _EMAIL.fullmatch(email):
            raise ValidationFailed([FieldError("email", "is not an e-mail address")])
        passwords.check_new(password, "password")
        hashed = await passwords.hash_password(password)
        account, agent, now = new_account_id(), new_agent_id(), self._clock.now()

        def insert(conn: Connection) -> None:
            conn.execute(
                accounts.insert().values(
                    id=account,
                    email=email,
                    email_verified=verified,
                    name=name or email.partition("@")[0],
                    password_hash=hashed,
                    created_at=now,
                )
            )
            conn.execute(
                agents.insert().values(
                    id=agent, account_id=account, name="AI Agent", is_default=True, created_at=now
                )
            )

        try:
            await self._database.write(insert)
        except IntegrityError:
            raise Conflict(
                "There is an account with this e-mail address already", code="EMAIL_TAKEN"
            ) from None
        return account

    async def find_by_email(self, email: str) -> Principal | None:
        """For the command line on the gateway's own machine: no password is asked."""
        row = await self._database.read(partial(_by_email, email=_normal(email)))
        if row is None:
            return None
        scope = Scope(AccountId(row.id), AgentId(row.agent_id))
        return Principal(scope, ALL_PERMISSIONS, row.email_verified)

    async def profile(self, principal: Principal) -> dict[str, object]:
        row = await self._database.read(partial(_by_id, account=principal.account))
        return {
            "account_id": row.id,
            "email": row.email,
            "email_verified": row.email_verified,
            "name": row.name,
            "created_at": iso(row.created_at),
        }

    async def rename(self, principal: Principal, name: str) -> dict[str, object]:
        def change(conn: Connection) -> None:
            conn.execute(update(accounts).where(accounts.c.id == principal.account).values(name=name))

        await self._database.write(change)
        return await self.profile(principal)

    async def change_password(self, principal: Principal, current: str, new: str) -> None:
        """Ends every browser session, the one that asks included."""
        passwords.check_new(new, "new_password")
        await self._confirm(principal, current, "current_password")
        hashed = await passwords.hash_password(new)

        def change(conn: Connection) -> None:
            conn.execute(
                update(accounts).where(accounts.c.id == principal.account).values(password_hash=hashed)
            )
            conn.execute(delete(sessions).where(sessions.c.account_id == principal.account))

        await self._database.write(change)

    async def change_email(self, principal: Principal, new_email: str, password: str) -> None:
        """Needs a way to send mail, which this gateway does not have yet."""
        if not _EMAIL.fullmatch(_normal(new_email)):
            raise ValidationFailed([FieldError("new_email", "is not an e-mail address")])
        await self._confirm(principal, password, "password")
        raise NotAvailable("This gateway cannot send the verification e-mail: it has no mail transport yet")

    def on_delete(self, leave: Callable[[AccountId], Awaitable[None]]) -> None:
        """`leave(account)` is awaited before the account's rows go."""
        self._leaving.append(leave)

    async def delete(self, principal: Principal, password: str) -> None:
        """Erases the account and everything that is its own."""
        await self._confirm(principal, password, "password")
        for leave in self._leaving:
            await leave(principal.account)

        def erase(conn: Connection) -> None:
            # Every owned table cascades from here.
            conn.execute(delete(accounts).where(accounts.c.id == principal.account))

        await self._database.write(erase)
        self.keys.forget(principal.account)
        if not await self._database.scrub():
            log.warning("what a deleted account leaves in the write-ahead log goes with the next sweep")

    # --- keys ------------------------------------------------------------------------------------------

    async def create_key(
        self,
        scope: Scope,
        name: str,
        *,
        expires_at: datetime | None = None,
        permissions: frozenset[Permission] = ALL_PERMISSIONS,
    ) -> NewKey:
        if expires_at is not None and expires_at <= self._clock.now():
            raise ValidationFailed([FieldError("expires_at", "must lie in the future")])
        return await self.keys.create(scope, name, expires_at=expires_at, permissions=permissions)

    async def list_keys(self, principal: Principal) -> list[dict[str, object]]:
        return await self.keys.list(principal.account)

    async def revoke_key(self, principal: Principal, key: str) -> None:
        await self.keys.revoke(principal.account, key)

    # --- inside ----------------------------------------------------------------------------------------

    async def _confirm(self, principal: Principal, password: str, field: str) -> None:
        self._attempts.count(principal.account)
        row = await self._database.read(partial(_by_id, account=principal.account))
        if not await passwords.verify(password, row.password_hash):
            raise Forbidden(f"{field} is wrong", code="WRONG_PASSWORD")
        self._attempts.clear(principal.account)


def require_verified(principal: Principal) -> None:
    """Raises `Forbidden` while the account's e-mail address is unproved."""
    if not principal.email_verified:
        raise Forbidden("Verify your e-mail address first", code="EMAIL_NOT_VERIFIED")


_WITH_AGENT = select(accounts, agents.c.id.label("agent_id")).join(
    agents, (agents.c.account_id == accounts.c.id) & agents.c.is_default
)


def _by_email(conn: Connection, email: str) -> Row[Any] | None:
    return conn.execute(_WITH_AGENT.where(accounts.c.email == email)).one_or_none()


def _by_id(conn: Connection, account: AccountId) -> Row[Any]:
    return conn.execute(_WITH_AGENT.where(accounts.c.id == account)).one()


def _by_session(conn: Connection, token_sha256: str) -> Row[Any] | None:
    return conn.execute(
        select(sessions, accounts.c.email_verified, agents.c.id.label("agent_id"))
        .join(accounts, accounts.c.id == sessions.c.account_id)
        .join(agents, (agents.c.account_id == accounts.c.id) & agents.c.is_default)
        .where(sessions.c.token_sha256 == token_sha256)
    ).one_or_none()
