"""`chamade serve`: from settings to a server that answers, and back down in order."""

import logging
import socket

import uvloop

from chamade_mcp.app.collector import settle
from chamade_mcp.app.first_start import make_owner, tell
from chamade_mcp.app.locks import alone, without_workers
from chamade_mcp.app.secret_key import prepare_data_dir
from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.store.migrate import HEAD, migrate, revision

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Returns once a signal has stopped the server and everything is closed. Raises `SettingsError`."""
    prepare_data_dir(settings.data_dir)
    with alone(settings), listen(settings) as listener:
        if revision(settings.database_path) != HEAD:
            with without_workers(settings):
                migrate(settings.database_path)
        uvloop.run(_serve(settings.bound_to(listener.getsockname()[1]), listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with build(settings) as gateway:
        key = await make_owner(gateway.core.accounts)
        claim = await gateway.core.members.joining.claim_link()
        server = Server(
            gateway.app,
            drain=gateway.drain,
            ready=lambda: tell(settings, key, claim),
        )
        settle()
        await server.serve([listener])
        log.info("stopped")
