"""What SQLite refuses, as callers are told of it."""

import logging
import sqlite3

from sqlalchemy.exc import OperationalError

from chamade_mcp.model.errors import Action, Unavailable

log = logging.getLogger(__name__)

BUSY = "DATABASE_BUSY"
DISK_FULL = "DISK_FULL"

_SQLITE_BUSY, _SQLITE_LOCKED, _SQLITE_FULL = 5, 6, 13


def _code(error: OperationalError | sqlite3.OperationalError) -> int:
    orig = error.orig if isinstance(error, OperationalError) else error
    extended: int = getattr(orig, "sqlite_errorcode", 0)
    return extended & 0xFF  # the primary code


def is_busy(error: OperationalError | sqlite3.OperationalError) -> bool:
    return _code(error) in (_SQLITE_BUSY, _SQLITE_LOCKED)


def translated(error: BaseException) -> BaseException:
    """`Unavailable` where waiting or a person helps; anything else as it is."""
    if not isinstance(error, OperationalError | sqlite3.OperationalError):
        return error
    if is_busy(error):
        return Unavailable("The database is busy", code=BUSY, retry_after=1)
    if _code(error) == _SQLITE_FULL:
        log.error("the disk is full: nothing can be stored")
        return Unavailable("The gateway's disk is full", code=DISK_FULL, action=Action.ASK_HUMAN)
    return error


def no_room(error: BaseException | None) -> bool:
    """Of what `translated` gives."""
    return isinstance(error, Unavailable) and error.code == DISK_FULL
