"""The way of somebody new, from a key to an agent that has talked with a person: what is really there."""

from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, exists, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from chamade_mcp.core.dms import INBOUND, OUTBOUND
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal
from chamade_mcp.model.ids import AccountId
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import accounts, api_keys, calls, links, messages, oauth_grants

_FAILED = ("failed", "unknown", "pending")


@dataclass(frozen=True, slots=True)
class FirstSteps:
    database: Database
    clock: Clock

    async def look(self, principal: Principal) -> dict[str, object]:
        """What is done, in order, and whether there is anything to show any more."""
        return await self.database.read(partial(_look, account=principal.account))

    async def dismiss(self, principal: Principal) -> None:
        """They are done, or not wanted: not shown again, on whatever device."""
        now = self.clock.now()
        shown = accounts.c.welcomed_at.is_(None)
        change = update(accounts).where(accounts.c.id == principal.account, shown).values(welcomed_at=now)
        await self.database.write(lambda conn: conn.execute(change).rowcount)


def _look(conn: Connection, account: AccountId) -> dict[str, object]:
    welcomed = conn.execute(select(accounts.c.welcomed_at).where(accounts.c.id == account)).scalar_one()
    steps = _steps(account)
    done = conn.execute(select(*(step.label(name) for name, step in steps.items()))).one()
    return {
        "steps": [{"step": name, "done": bool(getattr(done, name))} for name in steps],
        "dismissed": welcomed is not None,
    }


def _steps(account: AccountId) -> dict[str, ColumnElement[bool]]:
    """By what is there now: what was revoked or forgotten since was done all the same while it shows."""
    key = api_keys.c.account_id == account
    grant = oauth_grants.c.account_id == account
    said = messages.c.account_id == account
    answered = (
        messages.c.direction == OUTBOUND,
        messages.c.sender_name == "",
        messages.c.status.not_in(_FAILED),
    )
    heard = exists().where(said, messages.c.direction == INBOUND)
    # One that never got in is over, too, and nobody was there.
    met = func.json_array_length(calls.c.people) > 0
    talked = exists().where(calls.c.account_id == account, (calls.c.state == "active") | met)
    return {
        "key": exists().where(key) | exists().where(grant),
        "client": exists().where(key, api_keys.c.last_used_at.is_not(None))
        | exists().where(grant, oauth_grants.c.last_used_at.is_not(None)),
        "link": exists().where(links.c.account_id == account, links.c.kind == "chat") | heard,
        "message": heard,
        "answer": exists().where(said, *answered),
        "call": talked,
    }
