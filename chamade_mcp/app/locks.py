"""Who serves from a data folder: one gateway, and any number of workers beside it.

The locks are held by the system, not by a file that a crash leaves behind.
"""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.settings import Settings

SERVING: Final = "serving.lock"
WORKING: Final = "workers.lock"


@contextmanager
def alone(settings: Settings) -> Generator[None]:
    """One gateway per data folder: calls and links live in its memory. Raises `SettingsError`."""
    problem = f"another gateway is serving from {settings.data_dir}; `chamade worker` is what runs beside it"
    with _locked(settings, SERVING, fcntl.LOCK_EX, problem):
        yield


@contextmanager
def among_workers(settings: Settings) -> Generator[None]:
    """Raises `SettingsError` while the gateway upgrades the database."""
    with _locked(
        settings, WORKING, fcntl.LOCK_SH, f"the gateway upgrades {settings.database_path}; try again"
    ):
        yield


@contextmanager
def without_workers(settings: Settings) -> Generator[None]:
    """For an upgrade of the database, which must not happen under anybody. Raises `SettingsError`."""
    problem = f"workers of an older version serve from {settings.data_dir}: stop them first"
    with _locked(settings, WORKING, fcntl.LOCK_EX, problem):
        yield


def workers_serve(settings: Settings) -> bool:
    """Whether there is one now. Makes no file."""
    try:
        with (settings.data_dir / WORKING).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def _locked(settings: Settings, name: str, kind: int, problem: str) -> Generator[None]:
    path = settings.data_dir / name
    try:
        file = path.open("a")
    except OSError as error:
        raise SettingsError("CHAMADE_DATA_DIR", f"cannot write {path} ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError("CHAMADE_DATA_DIR", problem) from None
        yield
