"""Accounts and everything that identifies one: sign-in sessions, keys, profile, the way out."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, select, update

from chamade_mcp.core import account_links, passwords
from chamade_mcp.core.account_links import Purpose
from chamade_mcp.core.account_rows import EmailTaken, by_email, by_id, check_email, insert, normal_email
from chamade_mcp.core.keys import Keys, NewKey
from chamade_mcp.core.limits import Attempts
from chamade_mcp.core.sign_ins import NO_DEVICE, Device, SignIns, confirm, end_all
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import ALL_PERMISSIONS, Bounds, Permission, Principal, Scope
from chamade_mcp.model.errors import FieldError, Forbidden, Unauthenticated, ValidationFailed
from chamade_mcp.model.ids import AccountId, AgentId
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import accounts, calls, connections

log = logging.getLogger(__name__)
audit = logging.getLogger("chamade_mcp.audit")

Find = Callable[[Connection, Bounds], Sequence[str]]
Remove = Callable[[Sequence[str]], Awaitable[None]]

ATTEMPTS: Final = 10
ATTEMPTS_WINDOW_S: Final = 900
"""So many wrong passwords of one account in so long."""
_ROUNDS: Final = 5
"""So often is ended what an account that goes has begun, however much its keys begin meanwhile."""


class Accounts:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._attempts = Attempts(clock, limit=ATTEMPTS, window_s=ATTEMPTS_WINDOW_S)
        self.by_address = Attempts(clock, limit=60, window_s=900)
        """What went wrong at a network address, with whatever account."""
        self._credentials: dict[str, Callable[[str], Awaitable[Principal]]] = {}
        self._leaving: list[Callable[[AccountId], Awaitable[None]]] = []
        self._erasing: list[tuple[Find, Remove]] = []
        self.keys = Keys(database, clock)
        self.sign_ins = SignIns(database, clock)

    # --- who is asking ---------------------------------------------------------------------------------

    def authenticate(self, key: str | None) -> Awaitable[Principal]:
        """The holder of an API key, or of another credential that `accept` made known.

        Raises `Unauthenticated`.
        """
        if key is not None:
            read = self._credentials.get(key.partition("_")[0])
            if read is not None:
                return read(key)
        return self.keys.authenticate(key)

    def accept(self, prefix: str, read: Callable[[str], Awaitable[Principal]]) -> None:
        """Credentials that start with `prefix`, which ends with its only underscore, are `read`'s."""
        self._credentials[prefix.removesuffix("_")] = read

    async def sign_in(self, email: str, password: str, device: Device = NO_DEVICE) -> str:
        """A session token for a browser's cookie. Wrong e-mail and wrong password are told alike."""
        email = normal_email(email)
        with self.by_address.attempt(device.address):
            self._attempts.count(email)
            row = await self._database.read(partial(by_email, email=email))
            if not await passwords.verify(password, row.password_hash if row else None) or row is None:
                audit.info("sign-in refused: wrong e-mail address or password, from %s", device.address)
                raise Unauthenticated("The e-mail address or the password is wrong", code="SIGN_IN_FAILED")
        self._attempts.clear(email)
        return await self.sign_ins.begin(AccountId(row.id), device)

    async def sign_out(self, token: str) -> None:
        await self.sign_ins.end(token)

    async def authenticate_session(self, token: str) -> Principal:
        """Raises `Unauthenticated`."""
        return await self.sign_ins.authenticate(token)

    # --- accounts --------------------------------------------------------------------------------------

    async def any_exist(self) -> bool:
        return await self._database.read(lambda conn: conn.execute(select(accounts.c.id)).first() is not None)

    async def create(self, email: str, password: str | None, *, verified: bool, name: str = "") -> AccountId:
        """A new account with its first agent; it owns the gateway if none does. Without a password it is
        nobody's yet.

        Raises `ValidationFailed`, or `Conflict` for a taken e-mail.
        """
        email = normal_email(email)
        check_email(email, "email")
        hashed = passwords.NONE_YET
        if password is not None:
            passwords.check_new(password, "password", email, name)
            hashed = await passwords.hash_password(password)
        now = self._clock.now()
        account = await self._database.write(
            partial(insert, email=email, hashed=hashed, verified=verified, name=name, now=now, may_own=True)
        )
        if account is None:
            raise EmailTaken
        return account

    async def find_by_email(self, email: str) -> Principal | None:
        """For the command line on the gateway's own machine: no password is asked."""
        row = await self._database.read(partial(by_email, email=normal_email(email)))
        if row is None:
            return None
        scope = Scope(AccountId(row.id), AgentId(row.agent_id))
        return Principal(scope, ALL_PERMISSIONS, row.email_verified)

    async def profile(self, principal: Principal) -> dict[str, object]:
        row = await self._database.read(partial(by_id, account=principal.account))
        return {
            "account_id": row.id,
            "email": row.email,
            "email_verified": row.email_verified,
            "name": row.name,
            "owner": row.is_owner,
            "created_at": iso(row.created_at),
        }

    async def rename(self, principal: Principal, name: str) -> dict[str, object]:
        def change(conn: Connection) -> None:
            conn.execute(update(accounts).where(accounts.c.id == principal.account).values(name=name))

        await self._database.write(change)
        return await self.profile(principal)

    async def change_password(self, principal: Principal, current: str, new: str) -> None:
        """Ends every browser session but the one that asks."""
        row = await self._database.read(partial(by_id, account=principal.account))
        passwords.check_new(new, "new_password", row.email, row.name)
        await self.verify_password(principal, current, "current_password")
        await self.set_password(principal.account, new, keep=principal.browser)

    async def set_password(self, account: AccountId, new: str, *, keep: str | None = None) -> None:
        """Of a password that was checked. Browsers are signed out, but for the one that `keep` names."""
        hashed, now = await passwords.hash_password(new), self._clock.now()

        def change(conn: Connection) -> None:
            conn.execute(update(accounts).where(accounts.c.id == account).values(password_hash=hashed))
            account_links.withdraw(conn, account, Purpose.PASSWORD)
            end_all(conn, account, keep)
            if keep is not None:
                confirm(conn, keep, now)

        await self._database.write(change)
        audit.info("password changed: %s", account)

    def on_delete(self, leave: Callable[[AccountId], Awaitable[None]]) -> None:
        """`leave(account)` is awaited before the account's rows go: again, where something was begun
        meanwhile."""
        self._leaving.append(leave)

    def on_erase(self, find: Find, remove: Remove) -> None:
        """`find` looks in the transaction by which the account's rows go for what else goes with them;
        `remove` is given that."""
        self._erasing.append((find, remove))

    async def delete(self, principal: Principal, password: str | None) -> None:
        """Erases the account and everything that is its own. Without a password: see `vouch`."""
        account = principal.account
        await self.vouch(principal, password)
        for more in reversed(range(_ROUNDS)):
            for leave in self._leaving:
                await leave(account)
            if await self._erase(account, anyway=more == 0):
                break
        self.keys.forget(account)
        if not await self._database.scrub():
            log.warning("what a deleted account leaves in the write-ahead log goes with the next sweep")

    async def _erase(self, account: AccountId, *, anyway: bool) -> bool:
        """False: something was begun meanwhile that has to end first."""
        bounds = Bounds(account, None)

        def erase(conn: Connection) -> list[tuple[Remove, Sequence[str]]] | None:
            if not anyway and _is_alive(conn, account):
                return None
            left = [(remove, find(conn, bounds)) for find, remove in self._erasing]
            # Every owned table cascades from here.
            conn.execute(delete(accounts).where(accounts.c.id == account))
            return left

        erased = await self._database.write(erase)
        for remove, left in erased or ():
            await remove(left)
        return erased is not None

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
        return await self.keys.list(principal.bounds)

    async def revoke_key(self, principal: Principal, key: str) -> None:
        await self.keys.revoke(principal.bounds, key)

    # --- inside ----------------------------------------------------------------------------------------

    async def vouch(self, principal: Principal, password: str | None, field: str = "password") -> None:
        """That it is the person: by the password, or as they have just shown it in that browser.

        Raises `Forbidden`.
        """
        if password is not None:
            await self.verify_password(principal, password, field)
        elif principal.browser is None:
            raise Forbidden("With a key the account's password is needed", code="CONFIRMATION_REQUIRED")
        else:
            await self.sign_ins.require_fresh(principal)

    async def verify_password(self, principal: Principal, password: str, field: str) -> None:
        """Raises `Forbidden` for a wrong one."""
        self._attempts.count(principal.account)
        row = await self._database.read(partial(by_id, account=principal.account))
        if not await passwords.verify(password, row.password_hash):
            raise Forbidden(f"{field} is wrong", code="WRONG_PASSWORD")
        self._attempts.clear(principal.account)


def _is_alive(conn: Connection, account: AccountId) -> bool:
    """Whether there is a link or a call, which would go on without its row."""
    tied = select(connections.c.id).where(connections.c.account_id == account)
    calling = select(calls.c.id).where(calls.c.account_id == account, calls.c.ended_at.is_(None))
    return any(conn.execute(found.limit(1)).first() is not None for found in (tied, calling))


def require_verified(principal: Principal) -> None:
    """Raises `Forbidden` while the account's e-mail address is unproved."""
    if not principal.email_verified:
        raise Forbidden("Verify your e-mail address first", code="EMAIL_NOT_VERIFIED")
