"""Moves the write-ahead log into the database beside the writer, which would wait for the disk otherwise.

SQLite does it in the commit that makes the log long: two flushes of the disk, every hundred messages, while
everybody who wrote waits. Moved from another connection, neither writer nor readers wait for it.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger(__name__)

_EVERY_PAGES = 4_000
"""16 MB. SQLite would do it at a quarter of that, and write pages that change all the time twice as often.
Nobody tells how many a commit has written: about `_SHARED`, and `_OWN` for each transaction in it."""
_SHARED, _OWN = 8, 2


class Checkpoints:
    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._conn: Connection | None = None
        """Of the thread below: opening one takes longer than using it."""
        self.alone = threading.Lock()
        """Held while one runs: SQLite refuses a second one instead of waiting."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chamade-checkpoint")
        self._pages = 0
        """Written since the last time."""

    def written(self, transactions: int) -> None:
        """So many are committed together. Called by the writer alone, before `close`; never blocks."""
        self._pages += _SHARED + _OWN * transactions
        if self._pages >= _EVERY_PAGES and not self.alone.locked():
            self._pages = 0
            self._thread.submit(self._run)

    def close(self) -> None:
        """Blocks while one runs."""
        self._thread.shutdown()
        if self._conn is not None:
            self._conn.close()

    def _run(self) -> None:
        with self.alone:
            try:
                self._conn = self._conn or self._connect()
                self._conn.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
                self._conn.rollback()
            except SQLAlchemyError as error:  # the log grows meanwhile, and is moved with the next one
                log.warning("the write-ahead log was not moved: %s", error)
