"""Work on the gateway's own database, beside a running server or without one."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chamade_mcp.app.secret_key import prepare_data_dir
from chamade_mcp.app.settings import Settings
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.membership import Membership, membership
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.store.database import Database
from chamade_mcp.store.migrate import migrate


@dataclass(frozen=True, slots=True)
class Local:
    accounts: Accounts
    members: Membership


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
        yield Local(accounts, members)
    finally:
        database.close()
