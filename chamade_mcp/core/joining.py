"""How people come to an account: the first one makes it theirs, others are invited, or sign up by themselves.

Whoever asks for an account proves the address before there is one: a link is sent there, and what is chosen
behind it makes the account. So nobody can take another's address, and asking tells nobody who has an account.
"""

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from chamade_mcp.core import account_links, passwords
from chamade_mcp.core.account_links import LinkGone, Purpose
from chamade_mcp.core.account_rows import (
    EmailTaken,
    by_email,
    by_id,
    check_email,
    insert,
    normal_email,
    owner,
)
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.behind import Behind
from chamade_mcp.core.letters import EMAIL, SIGN_IN, WELCOME, Letters
from chamade_mcp.core.limits import Attempts
from chamade_mcp.core.sign_ins import Device
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Forbidden, LimitReached, NotFound
from chamade_mcp.model.ids import AccountId, new_id
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import accounts, join_links
from chamade_mcp.store.secrets import token_hash

log = logging.getLogger(__name__)
audit = logging.getLogger("chamade_mcp.audit")

INVITED_FOR: Final = timedelta(days=7)
ASKED_FOR: Final = timedelta(days=1)
_MOST_INVITED: Final = 200
"""Open at a time, of one inviter."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What stands behind a link to `WELCOME`."""

    email: str
    """Proved by the link; empty when the person has to say it."""
    account: AccountId | None
    """The first account, which nobody has made theirs yet."""


class Joining:
    """`is_open`: strangers may sign up."""

    def __init__(
        self, database: Database, clock: Clock, accounts: Accounts, letters: Letters, *, is_open: bool
    ) -> None:
        self._database = database
        self._clock = clock
        self._accounts = accounts
        self._letters = letters
        self.is_open = is_open
        self._asked = Attempts(clock, limit=10, window_s=3600)
        self._written_to = Attempts(clock, limit=3, window_s=3600)
        self._behind = Behind()

    # --- the first account ---------------------------------------------------------------------------------

    async def claim_link(self) -> str | None:
        """Where the first account is made somebody's; None when it is. Links before this one end."""
        now = self._clock.now()

        def write(conn: Connection) -> str | None:
            first = owner(conn)
            if first is None or first.password_hash != passwords.NONE_YET:
                return None
            return account_links.make(conn, AccountId(first.id), Purpose.CLAIM, "", now)

        token = await self._database.write(write)
        return token and self._letters.link(WELCOME, token)

    async def unclaimed(self) -> bool:
        row = await self._database.read(owner)
        return row is not None and row.password_hash == passwords.NONE_YET

    # --- invited, or by oneself ----------------------------------------------------------------------------

    async def invite(self, principal: Principal, email: str) -> dict[str, object]:
        """Sends a link, for the gateway's owner. Raises `Forbidden`, `Conflict`, `LimitReached`."""
        email, now = normal_email(email), self._clock.now()
        check_email(email, "email")
        token = secrets.token_urlsafe(32)

        def write(conn: Connection) -> tuple[str, Row[Any]]:
            inviter = by_id(conn, principal.account)
            if not inviter.is_owner:
                raise Forbidden("Only the owner of this gateway invites", code="NOT_OWNER")
            if by_email(conn, email) is not None:
                raise EmailTaken
            mine = join_links.c.invited_by == principal.account
            conn.execute(delete(join_links).where(mine, join_links.c.email == email))
            if (
                conn.execute(select(func.count()).select_from(join_links).where(mine)).scalar_one()
                >= _MOST_INVITED
            ):
                raise LimitReached("Too many invitations are open", code="INVITATION_LIMIT_REACHED")
            made = _add(conn, token, email, now, now + INVITED_FOR, inviter.id)
            return inviter.name, made

        inviter, made = await self._database.write(write)
        link = self._letters.link(WELCOME, token)
        self._letters.invite(email, link, inviter)
        audit.info("invited to this gateway: %s, by %s", made.id, principal.account)
        return _to_wire(made) | {"link": None if self._letters.sends else link}

    async def invitations(self, principal: Principal) -> list[dict[str, object]]:
        """Those that are open, the newest first. The links are not told again."""
        open_now = (join_links.c.invited_by == principal.account) & (
            join_links.c.expires_at > self._clock.now()
        )
        rows = await self._database.read(
            lambda conn: conn.execute(
                select(join_links).where(open_now).order_by(join_links.c.created_at.desc())
            ).all()
        )
        return [_to_wire(row) for row in rows]

    async def withdraw(self, principal: Principal, invitation: str) -> None:
        mine = (join_links.c.invited_by == principal.account) & (join_links.c.id == invitation)
        removed = delete(join_links).where(mine)
        if await self._database.write(lambda conn: conn.execute(removed).rowcount) == 0:
            raise NotFound("Invitation not found", code="INVITATION_NOT_FOUND")

    async def ask(self, email: str, address: str) -> str | None:
        """A stranger wants an account: a letter goes to that address, whoever has it.

        Nothing of the answer tells whether there is an account; without a mail server, and on this machine
        alone, it is the link. Raises `Forbidden`, `ValidationFailed` and `LimitReached`.
        """
        if not self.is_open:
            raise Forbidden("Accounts on this gateway are by invitation", code="SIGN_UP_CLOSED")
        email = normal_email(email)
        check_email(email, "email")
        self._asked.count(address)
        token = secrets.token_urlsafe(32)
        link = self._letters.link(WELCOME, token)
        shown = self._letters.shown(link)
        if shown is not None:
            return shown if await self._write_to(email, token, link) else self._letters.link(SIGN_IN)
        # Behind the answer, as looking and writing take longer for some addresses than for others.
        self._behind.begin(self._write_to(email, token, link))
        return None

    async def _write_to(self, email: str, token: str, link: str) -> bool:
        """Whether the link leads to a new account."""
        try:
            self._written_to.count(email)
        except LimitReached:
            return False  # a stranger must not fill somebody's mailbox, nor learn that it is full
        now = self._clock.now()

        def write(conn: Connection) -> bool:
            known = by_email(conn, email) is not None
            own = join_links.c.invited_by.is_(None) & (join_links.c.email == email)
            conn.execute(delete(join_links).where(own))
            if not known:
                _add(conn, token, email, now, now + ASKED_FOR, None)
            return known

        if await self._database.write(write):
            self._letters.have_one(email)
            return False
        self._letters.sign_up(email, link)
        return True

    # --- behind the link -----------------------------------------------------------------------------------

    async def look(self, token: str) -> Opened | None:
        """None for a link that is unknown, used or too old."""
        return await self._database.read(partial(_opened, token=token, now=self._clock.now()))

    async def join(self, token: str, email: str, name: str, password: str, device: Device) -> str:
        """The account is theirs from now on; gives a session token. `email` counts where the link has none.

        Raises `ValidationFailed`, `Gone`, `Conflict`.
        """
        opened = await self.look(token)
        if opened is None:
            raise LinkGone
        email = opened.email or normal_email(email)
        check_email(email, "email")
        passwords.check_new(password, "password", email, name)
        hashed, now = await passwords.hash_password(password), self._clock.now()

        def write(conn: Connection) -> tuple[AccountId, str | None]:
            again = _opened(conn, token, now)
            if again is None:
                raise LinkGone
            if again.account is not None:
                return again.account, self._claim(conn, again.account, email, name, hashed, now)
            conn.execute(delete(join_links).where(join_links.c.email == email))
            made = insert(conn, email=email, hashed=hashed, verified=True, name=name, now=now)
            if made is None:
                raise EmailTaken
            return made, None

        account, proof = await self._database.write(write)
        audit.info("account made: %s", account)
        if proof is not None:
            self._letters.prove(email, self._letters.link(EMAIL, proof))
        return await self._accounts.sign_ins.begin(account, device)

    def _claim(
        self, conn: Connection, account: AccountId, email: str, name: str, hashed: str, now: datetime
    ) -> str | None:
        """The token that proves the address where it can be sent; else whoever runs the gateway vouches."""
        account_links.withdraw(conn, account, Purpose.CLAIM)
        values = {"password_hash": hashed, "email": email, "email_verified": not self._letters.sends}
        change = update(accounts).where(accounts.c.id == account)
        try:
            with conn.begin_nested():
                conn.execute(change.values(**values, **({"name": name} if name else {})))
        except IntegrityError:
            raise EmailTaken from None
        return account_links.make(conn, account, Purpose.EMAIL, email, now) if self._letters.sends else None

    async def stop(self) -> None:
        await self._behind.done()


def _opened(conn: Connection, token: str, now: datetime) -> Opened | None:
    claim = account_links.look(conn, token, Purpose.CLAIM, now)
    if claim is not None:
        return Opened("", AccountId(claim.account_id))
    row = conn.execute(
        select(join_links).where(
            join_links.c.token_sha256 == token_hash(token), join_links.c.expires_at > now
        )
    ).one_or_none()
    return None if row is None else Opened(row.email, None)


def _add(
    conn: Connection, token: str, email: str, now: datetime, until: datetime, inviter: str | None
) -> Row[Any]:
    conn.execute(delete(join_links).where(join_links.c.expires_at <= now))
    made = join_links.insert().values(
        token_sha256=token_hash(token),
        id=new_id("inv"),
        email=email,
        invited_by=inviter,
        created_at=now,
        expires_at=until,
    )
    return conn.execute(made.returning(join_links)).one()


def _to_wire(row: Row[Any]) -> dict[str, object]:
    return {
        "id": row.id,
        "email": row.email,
        "created_at": iso(row.created_at),
        "expires_at": iso(row.expires_at),
    }
