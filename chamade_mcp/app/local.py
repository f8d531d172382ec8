"""Work on the gateway's own database, beside a running server or without one."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from chamade_mcp.app.secret_key import prepare_data_dir
from chamade_mcp.app.settings import Settings
from chamade_mcp.core import agent_rows
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.membership import Membership, membership
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.ids import AgentId
from chamade_mcp.store.database import Database
from chamade_mcp.store.migrate import migrate


@dataclass(frozen=True, slots=True)
class Local:
    database: Database
    accounts: Accounts
    members: Membership

    async def scope(self, owner: Principal, agent: str | None) -> Scope:
        """Of the owner's agent of that name, or of the default one. Raises `NotFound`, which lists them."""
        if agent is None:
            return owner.scope
        found = await self.database.read(partial(agent_rows.of_account, account=owner.account))
        wanted = agent_rows.folded(agent)
        for row in found:
            if agent_rows.folded(row.name) == wanted:
                return Scope(owner.account, AgentId(row.id))
        names = ", ".join(repr(row.name) for row in found)
        raise NotFound(
            f"There is no agent {agent!r} in this account; there are {names}", code="AGENT_NOT_FOUND"
        )


@asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncGenerator[Local]:
    """The accounts, in a database of this version: made or upgraded first. Raises `SettingsError`."""
    prepare_data_dir(settings.data_dir)
    migrate(settings.database_path)
    database, clock = Database(settings.database_path), SystemClock()
    try:
        accounts = Accounts(database, clock)
        # Nobody shows a passkey on a command line: what would mark the question is made up.
        members = membership(
            database, clock, accounts, public_url=settings.public_url, key=secrets.token_bytes(32)
        )
        yield Local(database, accounts, members)
    finally:
        database.close()
