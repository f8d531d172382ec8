"""Notices that somebody else wrote to the database: another process, or another connection of this one.

SQLite tells nobody. But `PRAGMA data_version` reads one number of the write-ahead log's shared index, some
microseconds each time: asked a hundred times a second it costs less than a daemon that passes the word on.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection

log = logging.getLogger(__name__)

T = TypeVar("T")

_AFTER_FAILURE_S = 1.0


class Watch(Generic[T]):
    """A thread that calls ``look(conn)`` on a snapshot, once at the start and after each change, and hands
    what it found to ``tell`` on the event loop. `look` runs again at once while its second result is true."""

    def __init__(
        self,
        conn: Connection,
        look: Callable[[Connection], tuple[T, bool]],
        tell: Callable[[T], None],
        every_s: float,
    ) -> None:
        """`conn` is the watch's own from here on."""
        self._conn = conn
        self._look = look
        self._tell = tell
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chamade-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Blocks until the thread is through."""
        self._stop.set()
        self._thread.join()
        self._conn.close()

    def _run(self) -> None:
        seen: int | None = None
        while True:
            try:
                version = self._version()
                if version != seen:
                    seen = version if not self._look_once() else None
                wait_s = self._every_s if seen is not None else 0
            except Exception:  # whatever it was, nobody else would look again
                log.exception("the database could not be watched")
                seen, wait_s = None, _AFTER_FAILURE_S
            if self._stop.wait(wait_s):
                return

    def _version(self) -> int:
        # Past SQLAlchemy, which would make it ten times as dear.
        raw = self._conn.connection.driver_connection
        assert raw is not None
        version: int = raw.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _look_once(self) -> bool:
        try:
            self._conn.exec_driver_sql("BEGIN")
            found, more = self._look(self._conn)
        finally:
            self._conn.rollback()
        try:
            self._loop.call_soon_threadsafe(self._tell, found)
        except RuntimeError:
            self._stop.set()  # the loop has closed: there is nobody to tell
        return more
