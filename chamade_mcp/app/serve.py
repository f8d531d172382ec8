"""`chamade serve`: from settings to a server that answers, and back down in order."""

import fcntl
import gc
import logging
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvloop

from chamade_mcp.app.first_start import make_owner, tell
from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.secret_key import prepare_data_dir
from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build

log = logging.getLogger(__name__)

LOCK_NAME = "serving.lock"


def run(settings: Settings) -> None:
    """Returns once a signal has stopped the server and everything is closed. Raises `SettingsError`."""
    prepare_data_dir(settings.data_dir)
    with _alone(settings), listen(settings) as listener:
        uvloop.run(_serve(settings.bound_to(listener.getsockname()[1]), listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with build(settings) as gateway:
        welcome = await make_owner(gateway.core.accounts)
        server = Server(
            gateway.app,
            drain=gateway.drain,
            ready=lambda: tell(settings, welcome),
        )
        # What is built now lives until the end: no collection need walk through it again.
        gc.collect()
        gc.freeze()
        gc.enable()
        await server.serve([listener])
        log.info("stopped")


@contextmanager
def _alone(settings: Settings) -> Generator[None]:
    """One process per data folder: two would not hear each other's events. Held by the system, not by a file
    that a crash leaves behind."""
    path = settings.data_dir / LOCK_NAME
    try:
        file = path.open("a")
    except OSError as error:
        raise SettingsError("CHAMADE_DATA_DIR", f"cannot write {path} ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            problem = f"another gateway is serving from {settings.data_dir}"
            raise SettingsError("CHAMADE_DATA_DIR", problem) from None
        yield
