"""Work on the gateway's own database, beside a running server or without one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from chamade_mcp.app.secret_key import prepare_data_dir
from chamade_mcp.app.settings import Settings
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.store.database import Database
from chamade_mcp.store.migrate import migrate


@asynccontextmanager
async def open_accounts(settings: Settings) -> AsyncGenerator[Accounts]:
    """The accounts, in a database of this version: made or upgraded first. Raises `SettingsError`."""
    prepare_data_dir(settings.data_dir)
    migrate(settings.database_path)
    database = Database(settings.database_path)
    try:
        yield Accounts(database, SystemClock())
    finally:
        database.close()
