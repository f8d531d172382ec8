"""SQLite behind two promises: one writer, so nothing ever fails half-way; reads never wait for it.

A transaction is a plain function ``fn(conn)``. The writer thread runs those that wait together in one
``BEGIN IMMEDIATE``, each in a savepoint of its own, and answers them after the one commit (group commit).
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from chamade_mcp.model.errors import Unavailable
from chamade_mcp.store.watch import Watch

log = logging.getLogger(__name__)

T = TypeVar("T")
Transaction = Callable[[Connection], T]

BUSY = "DATABASE_BUSY"

_BATCH = 64
_READERS = 3
_BUSY_TIMEOUT_S = 5.0
_SCRUB_TIMEOUT_MS = 2_000
"""Below the other one: whoever writes meanwhile waits a little, and does not fail."""
_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6


@dataclass(slots=True)
class _Job:
    fn: Transaction[Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    result: Any = field(default=None)
    error: BaseException | None = field(default=None)


def sqlite_engine(path: Path) -> Engine:
    """An engine whose connections begin nothing by themselves; transactions are opened below."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None},
    )

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        # What is deleted is overwritten, not only forgotten; `Database.scrub` does the rest.
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    event.listen(engine, "connect", on_connect)
    return engine


def _busy(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", 0)  # extended: the low byte is the primary code
    return code & 0xFF in (_SQLITE_BUSY, _SQLITE_LOCKED)


@contextmanager
def immediate(conn: Connection) -> Generator[None]:
    """One write transaction: takes the lock first, so that it waits instead of failing in the middle."""
    try:
        conn.exec_driver_sql("BEGIN IMMEDIATE")
        yield
    except BaseException:
        conn.rollback()
        raise
    conn.commit()


class Database:
    """`write` and `read` run functions of a `Connection` off the event loop.

    Both raise what the function raises (its own writes rolled back), or `Unavailable` when the
    database stays locked or is closed.
    """

    def __init__(self, path: Path) -> None:
        self._engine = sqlite_engine(path)
        # Connected here, so that a file which cannot be opened is told to the caller, not to a thread.
        writing = self._engine.connect()
        self._connections = [writing]
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._open = True
        self._gate = threading.Lock()
        """Held while the queue is added to, so that nothing comes in behind the end of it."""
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="chamade-reader")
        self._writer = threading.Thread(
            target=self._run_writer, args=(writing,), name="chamade-writer", daemon=True
        )
        self._writer.start()

    async def write(self, fn: Transaction[T]) -> T:
        """Runs `fn` in a transaction; returns its result once that is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._gate:
            self._require_open()
            self._jobs.put(_Job(fn, future, loop))
        # A caller that goes away must not leave the outcome unread: the commit happens all the same.
        return await asyncio.shield(future)

    async def read(self, fn: Transaction[T]) -> T:
        """Runs `fn` on a snapshot."""
        loop = asyncio.get_running_loop()
        with self._gate:
            self._require_open()
            reading = loop.run_in_executor(self._readers, self._run_read, fn)
        return await reading

    def watch(
        self, look: Callable[[Connection], tuple[T, bool]], tell: Callable[[T], None], every_s: float
    ) -> Watch[T]:
        """Looks whenever somebody has written, here or elsewhere. To be closed before this is."""
        self._require_open()
        return Watch(self._engine.connect(), look, tell, every_s)

    async def scrub(self) -> bool:
        """Empties the write-ahead log, in which what was deleted still stands. False when somebody read or
        wrote for so long that some of it had to stay; the next one, or closing, empties it then."""
        self._require_open()
        return await asyncio.to_thread(self._scrub)

    def _scrub(self) -> bool:
        with self._engine.connect() as conn:
            conn.exec_driver_sql(f"PRAGMA busy_timeout={_SCRUB_TIMEOUT_MS}")
            try:
                busy = conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
            except OperationalError as error:
                if not _busy(error):
                    raise
                busy = 1
        return not busy

    def close(self) -> None:
        """Finishes what is queued, then closes every connection. Blocks for that long; twice is harmless."""
        with self._gate:
            if not self._open:
                return
            self._open = False
            self._jobs.put(None)
        self._writer.join()
        self._readers.shutdown()
        for conn in self._connections:
            conn.close()
        self._engine.dispose()

    def _require_open(self) -> None:
        if not self._open:
            raise Unavailable("The gateway is shutting down", code="SHUTTING_DOWN", retry_after=2)

    def _run_read(self, fn: Transaction[T]) -> T:
        conn: Connection | None = getattr(self._local, "conn", None)
        if conn is None:
            conn = self._engine.connect()
            self._local.conn = conn
            self._connections.append(conn)
        try:
            conn.exec_driver_sql("BEGIN")
            return fn(conn)
        except OperationalError as error:
            raise _translated(error) from error
        finally:
            conn.rollback()

    def _run_writer(self, conn: Connection) -> None:
        while (first := self._jobs.get()) is not None:
            batch = [first]
            closing = False
            while len(batch) < _BATCH and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    closing = True
                    break
                batch.append(job)
            self._commit(conn, batch)
            if closing:
                break

    def _commit(self, conn: Connection, batch: list[_Job]) -> None:
        try:
            with immediate(conn):
                for job in batch:
                    self._attempt(conn, job, alone=len(batch) == 1)
        except BaseException as error:
            failure = _translated(error) if isinstance(error, OperationalError) else error
            for job in batch:
                job.error = job.error or failure
        _answer(batch)

    def _attempt(self, conn: Connection, job: _Job, *, alone: bool) -> None:
        if alone:
            job.result = job.fn(conn)
            return
        conn.exec_driver_sql("SAVEPOINT job")
        try:
            job.result = job.fn(conn)
        except Exception as error:
            # Only this one is undone; its neighbours in the batch commit.
            conn.exec_driver_sql("ROLLBACK TO job")
            job.error = error
        conn.exec_driver_sql("RELEASE job")


def _translated(error: OperationalError) -> Exception:
    if _busy(error):
        return Unavailable("The database is busy", code=BUSY, retry_after=1)
    return error


def _answer(batch: list[_Job]) -> None:
    def resolve(jobs: list[_Job]) -> None:
        for job in jobs:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.result)
            elif isinstance(job.error, StopIteration):
                job.future.set_exception(RuntimeError("a transaction raised StopIteration"))
            else:
                job.future.set_exception(job.error)

    loops = {id(job.loop): job.loop for job in batch}
    for key, loop in loops.items():
        jobs = [job for job in batch if id(job.loop) == key]
        try:
            loop.call_soon_threadsafe(resolve, jobs)
        except RuntimeError:
            log.debug("event loop closed before %d transactions were answered", len(jobs))


def answers(conn: Connection) -> bool:
    """Whether the database answers at all."""
    return conn.execute(text("SELECT 1")).scalar_one() == 1
