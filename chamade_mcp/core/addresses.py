"""What is done over an account's e-mail address: it is proved, changed, and opens the account once more."""

import logging
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, update
from sqlalchemy.exc import IntegrityError

from chamade_mcp.core import account_links, passwords
from chamade_mcp.core.account_links import LinkGone, Purpose
from chamade_mcp.core.account_rows import EmailTaken, by_email, by_id, check_email, normal_email
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.behind import Behind
from chamade_mcp.core.letters import EMAIL, PASSWORD, Letters
from chamade_mcp.core.limits import Attempts
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Conflict, LimitReached
from chamade_mcp.model.ids import AccountId
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import accounts

audit = logging.getLogger("chamade_mcp.audit")


class Addresses:
    def __init__(self, database: Database, clock: Clock, accounts: Accounts, letters: Letters) -> None:
        self._database = database
        self._clock = clock
        self._accounts = accounts
        self._letters = letters
        self._asked = Attempts(clock, limit=10, window_s=3600)
        self._written_to = Attempts(clock, limit=3, window_s=3600)
        self._behind = Behind()

    # --- the account's address -----------------------------------------------------------------------------

    async def change(self, principal: Principal, new_email: str, password: str | None) -> str | None:
        """A link goes to the new address; behind it the address becomes the account's.

        Gives the link where the page may show it. An address that somebody else has is answered alike. Raises
        `ValidationFailed`, `Forbidden`, `LimitReached`.
        """
        email = normal_email(new_email)
        check_email(email, "new_email")
        await self._accounts.vouch(principal, password)
        return await self._send_proof(principal.account, email)

    async def prove(self, principal: Principal) -> str | None:
        """The link once more for the address that the account has. Raises `Conflict` when it is proved."""
        row = await self._database.read(partial(by_id, account=principal.account))
        if row.email_verified:
            raise Conflict("The e-mail address is verified", code="EMAIL_VERIFIED")
        return await self._send_proof(principal.account, row.email)

    async def _send_proof(self, account: AccountId, email: str) -> str | None:
        self._written_to.count(account)
        now = self._clock.now()

        def write(conn: Connection) -> str | None:
            other = by_email(conn, email)
            if other is not None and other.id != account:
                return None
            return account_links.make(conn, account, Purpose.EMAIL, email, now)

        token = await self._database.write(write)
        if token is None:
            self._letters.have_one(email)
            return None
        link = self._letters.link(EMAIL, token)
        self._letters.prove(email, link)
        return self._letters.shown(link)

    async def address_behind(self, token: str) -> str | None:
        """The address that the link proves; None for one that is unknown, used or too old."""
        row = await self._database.read(
            partial(account_links.look, token=token, purpose=Purpose.EMAIL, now=self._clock.now())
        )
        return None if row is None else row.email

    async def confirm(self, token: str) -> str:
        """The address behind the link is the account's from now on. Raises `Gone` and `Conflict`."""
        now = self._clock.now()

        def write(conn: Connection) -> tuple[Row[Any], str]:
            link = account_links.take(conn, token, Purpose.EMAIL, now)
            if link is None:
                raise LinkGone
            before = by_id(conn, link.account_id)
            account_links.withdraw(conn, link.account_id, Purpose.PASSWORD)
            change = update(accounts).where(accounts.c.id == link.account_id)
            try:
                with conn.begin_nested():
                    conn.execute(change.values(email=link.email, email_verified=True))
            except IntegrityError:
                raise EmailTaken from None
            return before, link.email

        before, email = await self._database.write(write)
        self._accounts.keys.forget(before.id)
        audit.info("e-mail address proved: %s", before.id)
        if before.email != email and before.email_verified:
            self._letters.changed(before.email, "Your account has another e-mail address now.")
        return email

    async def change_password(self, principal: Principal, current: str, new: str) -> None:
        """As `Accounts.change_password`; the address is told."""
        await self._accounts.change_password(principal, current, new)
        row = await self._database.read(partial(by_id, account=principal.account))
        self._letters.changed(row.email, "The password of your account was changed.")

    # --- without the password ------------------------------------------------------------------------------

    async def forgot(self, email: str, address: str) -> None:
        """A link for a new password goes to that address, if it is an account's; the answer tells nothing.

        Raises `ValidationFailed` and `LimitReached`.
        """
        email = normal_email(email)
        check_email(email, "email")
        self._asked.count(address)
        # Behind the answer, as it takes longer for some addresses than for others.
        self._behind.begin(self._send_password_link(email))

    async def _send_password_link(self, email: str) -> None:
        try:
            self._written_to.count(email)
        except LimitReached:
            return  # a stranger must not fill somebody's mailbox, nor learn that it is full
        token = await self.password_token(email)
        if token is not None:
            self._letters.new_password(email, self._letters.link(PASSWORD, token))

    async def password_link(self, email: str) -> str | None:
        """For the command line on the gateway's own machine; None without such an account."""
        token = await self.password_token(normal_email(email))
        return token and self._letters.link(PASSWORD, token)

    async def password_token(self, email: str) -> str | None:
        now = self._clock.now()

        def write(conn: Connection) -> str | None:
            row = by_email(conn, email)
            if row is None or row.password_hash == passwords.NONE_YET:
                return None
            return account_links.make(conn, AccountId(row.id), Purpose.PASSWORD, email, now)

        return await self._database.write(write)

    async def is_password_link(self, token: str) -> bool:
        look = partial(account_links.look, token=token, purpose=Purpose.PASSWORD, now=self._clock.now())
        return await self._database.read(look) is not None

    async def new_password(self, token: str, password: str) -> None:
        """Signs the account out everywhere. Raises `ValidationFailed` and `Gone`."""
        now = self._clock.now()

        def known(conn: Connection) -> Row[Any] | None:
            link = account_links.look(conn, token, Purpose.PASSWORD, now)
            return None if link is None else by_id(conn, link.account_id)

        row = await self._database.read(known)
        if row is None:
            raise LinkGone
        passwords.check_new(password, "password", row.email, row.name)
        taken = await self._database.write(
            partial(account_links.take, token=token, purpose=Purpose.PASSWORD, now=now)
        )
        if taken is None:
            raise LinkGone
        await self._accounts.set_password(AccountId(row.id), password)
        self._letters.changed(row.email, "Your account has a new password, chosen by a link from a mail.")

    async def stop(self) -> None:
        await self._behind.done()
