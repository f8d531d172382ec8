"""Passkeys: a person signs in with what their device or password store keeps, and types nothing."""

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from chamade_mcp.core.account_rows import by_id
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.letters import Letters
from chamade_mcp.core.passkey_proofs import Challenges, Credential, Known, NewPasskey, ProofRefused, Site
from chamade_mcp.core.sign_ins import Device
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import (
    Conflict,
    Forbidden,
    LimitReached,
    NotAvailable,
    NotFound,
    Unauthenticated,
)
from chamade_mcp.model.ids import AccountId, new_id
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import passkeys

audit = logging.getLogger("chamade_mcp.audit")

MOST_PASSKEYS: Final = 20
"""Of one account."""
_SIGN_IN: Final = "sign in"


def site_of(public_url: str) -> Site | None:
    """None where browsers give no passkeys: at an address without a name, and without https elsewhere."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None
    if parts.scheme != "https" and host != "localhost" and not host.endswith(".localhost"):
        return None
    return Site(host, f"{parts.scheme}://{parts.netloc}")


class Passkeys:
    """`key` marks the challenges."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        accounts: Accounts,
        letters: Letters,
        *,
        public_url: str,
        key: bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._accounts = accounts
        self._letters = letters
        self._site = site_of(public_url)
        self._challenges = Challenges(key, clock)

    @property
    def available(self) -> bool:
        return self._site is not None

    # --- one's own -----------------------------------------------------------------------------------------

    async def list(self, principal: Principal) -> list[dict[str, object]]:
        return [_to_wire(row) for row in await self._rows(principal.account)]

    async def has_any(self, principal: Principal) -> bool:
        """Whether there is one that a browser would show."""
        return self.available and bool(await self._rows(principal.account))

    async def to_add(self, principal: Principal) -> dict[str, Any]:
        """What the browser is asked for. Raises `NotAvailable`, and `Forbidden` for who is not fresh."""
        site = self._need_site()
        await self._accounts.sign_ins.require_fresh(principal)
        row = await self._database.read(partial(by_id, account=principal.account))
        known = [one.credential_id for one in await self._rows(principal.account)]
        challenge = self._challenges.make(f"add {principal.browser}")
        return await asyncio.to_thread(site.to_add, challenge, principal.account, row.email, row.name, known)

    async def add(
        self, principal: Principal, name: str, credential: Credential, transports: Sequence[str]
    ) -> dict[str, object]:
        """Keeps what the browser made. Raises `Forbidden`, `Conflict`, `LimitReached`."""
        site = self._need_site()
        await self._accounts.sign_ins.require_fresh(principal)
        try:
            challenge = self._challenges.take(credential, f"add {principal.browser}")
            made = await asyncio.to_thread(site.added, credential, challenge)
        except ProofRefused:
            raise _refused() from None
        now = self._clock.now()

        def write(conn: Connection) -> tuple[Row[Any], str]:
            mine = select(func.count()).where(passkeys.c.account_id == principal.account)
            if conn.execute(mine).scalar_one() >= MOST_PASSKEYS:
                raise LimitReached(f"The account has {MOST_PASSKEYS} passkeys", code="PASSKEY_LIMIT_REACHED")
            values = _values(made) | {"name": name, "transports": [*transports], "created_at": now}
            try:
                with conn.begin_nested():
                    row = conn.execute(
                        passkeys.insert()
                        .values(id=new_id("pass"), account_id=principal.account, **values)
                        .returning(passkeys)
                    ).one()
            except IntegrityError:
                raise Conflict("This passkey is known already", code="PASSKEY_KNOWN") from None
            return row, by_id(conn, principal.account).email

        row, email = await self._database.write(write)
        audit.info("passkey added: %s of %s", row.id, principal.account)
        self._letters.changed(email, "Your account can be opened with another passkey now.")
        return _to_wire(row)

    async def rename(self, principal: Principal, passkey: str, name: str) -> dict[str, object]:
        change = update(passkeys).where(_is(principal, passkey)).values(name=name).returning(passkeys)
        row = await self._database.write(lambda conn: conn.execute(change).one_or_none())
        if row is None:
            raise _missing()
        return _to_wire(row)

    async def remove(self, principal: Principal, passkey: str) -> None:
        await self._accounts.sign_ins.require_fresh(principal)

        def write(conn: Connection) -> str | None:
            if conn.execute(delete(passkeys).where(_is(principal, passkey))).rowcount == 0:
                return None
            return by_id(conn, principal.account).email

        email = await self._database.write(write)
        if email is None:
            raise _missing()
        audit.info("passkey removed: %s of %s", passkey, principal.account)
        self._letters.changed(email, "A passkey was removed from your account.")

    # --- shown ---------------------------------------------------------------------------------------------

    async def to_sign_in(self) -> dict[str, Any]:
        site = self._need_site()
        return await asyncio.to_thread(site.to_show, self._challenges.make(_SIGN_IN))

    async def sign_in(self, credential: Credential, device: Device) -> str:
        """A session token. Raises `Unauthenticated` whatever is wrong."""
        with self._accounts.by_address.attempt(device.address):
            try:
                row = await self._shown(credential, _SIGN_IN)
            except ProofRefused:
                audit.info("sign-in refused: no passkey of ours, from %s", device.address)
                raise Unauthenticated("This passkey opens nothing here", code="SIGN_IN_FAILED") from None
        return await self._accounts.sign_ins.begin(AccountId(row.account_id), device)

    async def to_confirm(self, principal: Principal) -> dict[str, Any]:
        """Raises `NotFound` for an account without passkeys."""
        site, rows = self._need_site(), await self._rows(principal.account)
        if not rows:
            raise _missing()
        challenge = self._challenges.make(f"confirm {principal.browser}")
        return await asyncio.to_thread(site.to_show, challenge, [row.credential_id for row in rows])

    async def confirm(self, principal: Principal, credential: Credential) -> None:
        """The person in that browser has shown that it is them. Raises `Forbidden`."""
        self._need_site()
        try:
            row = await self._shown(credential, f"confirm {principal.browser}", principal.account)
        except ProofRefused:
            raise _refused() from None
        assert row.account_id == principal.account
        await self._accounts.sign_ins.confirm(principal)

    async def _shown(
        self, credential: Credential, purpose: str, account: AccountId | None = None
    ) -> Row[Any]:
        """The passkey that signed, of `account` if one is given. Raises `ProofRefused`."""
        site, named = self._need_site(), credential.get("id")
        query = select(passkeys).where(passkeys.c.credential_id == str(named))
        if account is not None:
            query = query.where(passkeys.c.account_id == account)
        row = await self._database.read(lambda conn: conn.execute(query).one_or_none())
        if row is None:
            raise ProofRefused
        challenge = self._challenges.take(credential, purpose)
        known = Known(row.credential_id, row.public_key, row.sign_count)
        count, now = await asyncio.to_thread(site.shown, credential, challenge, known), self._clock.now()
        noted = update(passkeys).where(passkeys.c.id == row.id).values(sign_count=count, last_used_at=now)
        await self._database.write(lambda conn: conn.execute(noted).rowcount)
        return row

    # --- inside --------------------------------------------------------------------------------------------

    def _need_site(self) -> Site:
        if self._site is None:
            raise NotAvailable(
                "Browsers give passkeys to https addresses with a host name, and to http://localhost"
            )
        return self._site

    async def _rows(self, account: AccountId) -> "list[Row[Any]]":
        query = (
            select(passkeys).where(passkeys.c.account_id == account).order_by(passkeys.c.created_at.desc())
        )
        return await self._database.read(lambda conn: list(conn.execute(query)))


def _is(principal: Principal, passkey: str) -> Any:
    return (passkeys.c.account_id == principal.account) & (passkeys.c.id == passkey)


def _values(made: NewPasskey) -> dict[str, Any]:
    return {
        "credential_id": made.credential_id,
        "public_key": made.public_key,
        "sign_count": made.sign_count,
        "is_synced": made.is_synced,
    }


def _missing() -> NotFound:
    return NotFound("Passkey not found", code="PASSKEY_NOT_FOUND")


def _refused() -> Forbidden:
    return Forbidden("That is no passkey of yours, or it took too long", code="PASSKEY_REFUSED")


def _to_wire(row: Row[Any]) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "synced": row.is_synced,
        "created_at": iso(row.created_at),
        "last_used_at": iso(row.last_used_at) if row.last_used_at else None,
    }
