"""A database that somebody else writes to, and does not come to an end."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_WAIT_S = 120


@contextmanager
def locked(database: Path) -> Generator[None]:
    holding = sqlite3.connect(database, isolation_level=None, timeout=_WAIT_S)
    holding.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holding.execute("ROLLBACK")
        holding.close()
