"""People who are signed in: their browsers, told apart, ended, and asked again before what is dangerous."""

import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select, update

from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import ALL_PERMISSIONS, Principal, Scope
from chamade_mcp.model.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from chamade_mcp.model.ids import AccountId, AgentId, new_id
from chamade_mcp.model.limits import SESSION_LIFE
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import accounts, agents, sessions
from chamade_mcp.store.secrets import token_hash

log = logging.getLogger(__name__)

GRACE: Final = timedelta(minutes=10)
"""How long after a sign-in, or after it was asked again, somebody is taken to sit there still."""
_USED_EVERY_S: Final = 60.0
_KNOWN_AT_MOST: Final = 5_000


@dataclass(frozen=True, slots=True)
class Device:
    """Where a person signs in: the browser in words, and the network address. Empty when it is not known."""

    name: str = ""
    address: str = ""


NO_DEVICE: Final = Device()


class SignIns:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._used: dict[str, float] = {}

    async def begin(self, account: AccountId, device: Device = NO_DEVICE) -> str:
        """A token for a browser's cookie."""
        token, now = secrets.token_urlsafe(32), self._clock.now()

        def insert(conn: Connection) -> None:
            conn.execute(delete(sessions).where(sessions.c.expires_at <= now))
            conn.execute(
                sessions.insert().values(
                    token_sha256=token_hash(token),
                    id=new_id("sign"),
                    account_id=account,
                    device=device.name[:200],
                    address=device.address[:45],
                    created_at=now,
                    last_used_at=now,
                    confirmed_at=now,
                    expires_at=now + SESSION_LIFE,
                )
            )

        await self._database.write(insert)
        return token

    async def end(self, token: str) -> None:
        def remove(conn: Connection) -> None:
            conn.execute(delete(sessions).where(sessions.c.token_sha256 == token_hash(token)))

        await self._database.write(remove)

    async def authenticate(self, token: str) -> Principal:
        """The agent that the person looks after in that browser, with every permission. Raises
        `Unauthenticated`."""
        hashed = token_hash(token)
        row = await self._database.read(partial(_find, token_sha256=hashed))
        if row is None or row.expires_at <= self._clock.now():
            raise Unauthenticated("Please sign in again", code="SESSION_ENDED")
        await self._note_use(hashed)
        scope = Scope(AccountId(row.account_id), AgentId(row.looks_after))
        return Principal(scope, ALL_PERMISSIONS, row.email_verified, browser=hashed)

    # --- listed, ended -------------------------------------------------------------------------------------

    async def list(self, principal: Principal) -> list[dict[str, object]]:
        """The one used last first."""
        now = self._clock.now()

        def query(conn: Connection) -> list[dict[str, object]]:
            rows = conn.execute(
                select(sessions)
                .where(sessions.c.account_id == principal.account, sessions.c.expires_at > now)
                .order_by(sessions.c.last_used_at.desc(), sessions.c.id)
            )
            return [_to_wire(row, principal.browser) for row in rows]

        return await self._database.read(query)

    async def end_one(self, principal: Principal, sign_in: str) -> None:
        """Raises `NotFound`."""
        ended = delete(sessions).where(sessions.c.account_id == principal.account, sessions.c.id == sign_in)
        if await self._database.write(lambda conn: conn.execute(ended).rowcount) == 0:
            raise NotFound("Sign-in not found", code="SIGN_IN_NOT_FOUND")

    async def end_others(self, principal: Principal) -> int:
        """All but the one that asks; how many there were."""
        return await self._database.write(lambda conn: end_all(conn, principal.account, principal.browser))

    # --- asked again ---------------------------------------------------------------------------------------

    async def confirm(self, principal: Principal) -> None:
        """The person in that browser has just shown that it is them."""
        assert principal.browser is not None, "a key is asked nothing"
        await self._database.write(partial(confirm, browser=principal.browser, now=self._clock.now()))

    async def is_fresh(self, principal: Principal) -> bool:
        """Whether a person showed lately that it is them; never true of a key or an access token."""
        if principal.browser is None:
            return False
        row = await self._database.read(partial(_find, token_sha256=principal.browser))
        return row is not None and row.confirmed_at + GRACE > self._clock.now()

    async def require_fresh(self, principal: Principal) -> None:
        """Raises `Forbidden` for a browser in which nobody showed lately who they are. Keys pass."""
        if principal.browser is not None and not await self.is_fresh(principal):
            raise Forbidden(
                "Show that it is you: POST /api/confirm, then ask again", code="CONFIRMATION_REQUIRED"
            )

    async def _note_use(self, hashed: str) -> None:
        at = self._clock.monotonic()
        if at - self._used.get(hashed, float("-inf")) < _USED_EVERY_S:
            return
        if len(self._used) >= _KNOWN_AT_MOST:
            self._used.clear()
        self._used[hashed], now = at, self._clock.now()

        def stamp(conn: Connection) -> None:
            conn.execute(update(sessions).where(sessions.c.token_sha256 == hashed).values(last_used_at=now))

        try:
            await self._database.write(stamp)
        except Unavailable as error:
            log.warning("the use of a sign-in was not noted: %s", error)  # no reason to refuse a good one


def end_all(conn: Connection, account: AccountId, keep: str | None = None) -> int:
    """Every browser of the account is signed out, but the one that `keep` names."""
    ended = delete(sessions).where(sessions.c.account_id == account)
    if keep is not None:
        ended = ended.where(sessions.c.token_sha256 != keep)
    return conn.execute(ended).rowcount


def confirm(conn: Connection, browser: str, now: datetime) -> None:
    conn.execute(update(sessions).where(sessions.c.token_sha256 == browser).values(confirmed_at=now))


def look_after(conn: Connection, browser: str, agent: AgentId) -> None:
    conn.execute(update(sessions).where(sessions.c.token_sha256 == browser).values(agent_id=agent))


def leave(conn: Connection, agent: AgentId) -> None:
    """Browsers that looked after it look after the default agent."""
    conn.execute(update(sessions).where(sessions.c.agent_id == agent).values(agent_id=None))


def _find(conn: Connection, token_sha256: str) -> Row[Any] | None:
    chosen = sessions.c.agent_id
    looked_after = (agents.c.id == chosen) | (chosen.is_(None) & agents.c.is_default)
    return conn.execute(
        select(sessions, accounts.c.email_verified, agents.c.id.label("looks_after"))
        .join(accounts, accounts.c.id == sessions.c.account_id)
        .join(agents, (agents.c.account_id == accounts.c.id) & looked_after)
        .where(sessions.c.token_sha256 == token_sha256)
    ).one_or_none()


def _to_wire(row: Row[Any], current: str | None) -> dict[str, object]:
    return {
        "id": row.id,
        "device": row.device,
        "address": row.address,
        "current": row.token_sha256 == current,
        "created_at": iso(row.created_at),
        "last_used_at": iso(row.last_used_at),
        "expires_at": iso(row.expires_at),
    }
