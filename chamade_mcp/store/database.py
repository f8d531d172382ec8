"""SQLite behind two promises: one writer, so nothing ever fails half-way; reads never wait for it.

A transaction is a plain function ``fn(conn)``. The writer thread runs those that wait together in one
``BEGIN IMMEDIATE``, each in a savepoint of its own, and answers them after the one commit (group commit).
What many do at once is a function of all their items, in one savepoint (`write_together`).
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar, overload

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from chamade_mcp.model.errors import Unavailable
from chamade_mcp.store.checkpoints import Checkpoints
from chamade_mcp.store.refusals import is_busy, no_room, translated
from chamade_mcp.store.watch import Watch

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
ItemT = TypeVar("ItemT")
Transaction = Callable[[Connection], T]
Together = Callable[[Connection, Sequence[ItemT]], Sequence[T | Exception]]
"""Of many items that wait: what became of each. One with an exception must have written nothing."""

_BATCH = 128
"""In one commit. So many are handed to the writer, whether more are coming or not."""
_READERS = 3
_BUSY_TIMEOUT_S = 5.0
_LONGEST_LOG_PAGES = 16_000
"""64 MB of write-ahead log: only then a writer moves it itself, because `Checkpoints` could not keep up."""
_STATEMENTS = 512
"""That are kept parsed: of `Rows` each has one for each of its sizes."""
_SCRUB_TIMEOUT_MS = 2_000
"""Below the other one: whoever writes meanwhile waits a little, and does not fail."""


@dataclass(slots=True, eq=False)
class _Job:
    fn: Transaction[Any] | None
    """None: it is `item` of `together`."""
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    together: Together[Any, Any] | None = field(default=None)
    item: Any = field(default=None)
    then: Callable[[Any], Any] | None = field(default=None)
    onward: bool = field(default=False)
    """`then` sees to the answer."""
    result: Any = field(default=None)
    error: BaseException | None = field(default=None)


def sqlite_engine(path: Path) -> Engine:
    """An engine whose connections begin nothing by themselves; transactions are opened below."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        hide_parameters=True,  # errors are logged, and what was to be stored is nobody else's
        connect_args={
            "timeout": _BUSY_TIMEOUT_S,
            "check_same_thread": False,
            "isolation_level": None,
            "cached_statements": _STATEMENTS,
        },
    )

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute(f"PRAGMA wal_autocheckpoint={_LONGEST_LOG_PAGES}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        # What is deleted is overwritten, not only forgotten; `Database.scrub` does the rest.
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    event.listen(engine, "connect", on_connect)
    return engine


def _driver(conn: Connection) -> sqlite3.Connection:
    """What begins and ends a transaction goes past SQLAlchemy, where it would cost more than the rest."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


@contextmanager
def immediate(conn: Connection) -> Generator[None]:
    """One write transaction: takes the lock first, so that it waits instead of failing in the middle."""
    driver = _driver(conn)
    try:
        driver.execute("BEGIN IMMEDIATE")
        yield
        conn.commit()  # where SQLAlchemy has run something; it knows of a transaction only then
        driver.commit()
    except BaseException:
        conn.rollback()
        driver.rollback()
        raise


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
        self._jobs: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._coming: list[_Job] = []
        self._handing_over: set[asyncio.AbstractEventLoop] = set()
        self.refusals = 0
        """How many transactions found no room on the disk."""
        self._open = True
        self._gate = threading.Lock()
        """Held while the queue is added to, so that nothing comes in behind the end of it."""
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="chamade-reader")
        self._checkpoints = Checkpoints(self._engine.connect)
        self._writer = threading.Thread(
            target=self._run_writer, args=(writing,), name="chamade-writer", daemon=True
        )
        self._writer.start()

    async def write(self, fn: Transaction[T]) -> T:
        """Runs `fn` in a transaction; returns its result once that is committed."""
        loop = asyncio.get_running_loop()
        # A caller that goes away cancels the future; the commit happens all the same.
        return await self._queue(_Job(fn, loop.create_future(), loop))

    @overload
    def write_together(self, fn: Together[ItemT, T], item: ItemT) -> Awaitable[T]: ...

    @overload
    def write_together(self, fn: Together[ItemT, T], item: ItemT, then: Callable[[T], R]) -> Awaitable[R]: ...

    def write_together(
        self, fn: Together[ItemT, Any], item: ItemT, then: Callable[[Any], Any] | None = None
    ) -> Awaitable[Any]:
        """The same for what many callers do at once: one call of `fn` has the items of all that wait, in
        order. Should it raise, it is called again for each alone: none fails by another's fault.

        What came of it is handed to `then`, on the event loop, even when the caller has gone away by then.
        """
        loop = asyncio.get_running_loop()
        return self._queue(_Job(None, loop.create_future(), loop, fn, item, then))

    def write_onward(
        self,
        fn: Together[ItemT, T],
        item: ItemT,
        then: Callable[[T], None],
        answer: asyncio.Future[Any],
    ) -> None:
        """The same for one who waits for what follows: `then` hands on `answer` to whoever will give it. It
        fails where the transaction does, or `then`."""
        self._queue(_Job(None, answer, answer.get_loop(), fn, item, then, onward=True))

    def _queue(self, job: _Job) -> asyncio.Future[Any]:
        with self._gate:
            self._require_open()
            self._coming.append(job)
            if job.loop not in self._handing_over:
                self._handing_over.add(job.loop)
                job.loop.call_soon(self._hand_over, job.loop)
        return job.future

    def _hand_over(self, loop: asyncio.AbstractEventLoop, seen: int = 0) -> None:
        """What was queued goes to the writer together, once a turn of the event loop has brought no more of
        it: what many say at once is one transaction, and the writer begins when the loop is done, instead of
        contending with it for the interpreter."""
        with self._gate:
            if seen < len(self._coming) < _BATCH:
                loop.call_soon(self._hand_over, loop, len(self._coming))
                return
            self._handing_over.discard(loop)
            if self._coming:
                self._jobs.put(self._coming)
                self._coming = []

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
        with self._checkpoints.alone, self._engine.connect() as conn:
            conn.exec_driver_sql(f"PRAGMA busy_timeout={_SCRUB_TIMEOUT_MS}")
            try:
                busy = conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
            except OperationalError as error:
                if not is_busy(error):
                    raise
                busy = 1
        return not busy

    def close(self) -> None:
        """Finishes what is queued, then closes every connection. Blocks for that long; twice is harmless."""
        with self._gate:
            if not self._open:
                return
            self._open = False
            self._jobs.put(self._coming)
            self._jobs.put(None)
        self._writer.join()
        self._checkpoints.close()
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
        driver = _driver(conn)
        try:
            driver.execute("BEGIN")
            return fn(conn)
        except (OperationalError, sqlite3.OperationalError) as error:
            raise translated(error) from error
        finally:
            conn.rollback()
            driver.rollback()

    def _run_writer(self, conn: Connection) -> None:
        while (jobs := self._jobs.get()) is not None:
            closing = False
            while len(jobs) < _BATCH and not closing and not self._jobs.empty():
                more = self._jobs.get()
                closing = more is None
                jobs = jobs + (more or [])
            for first in range(0, len(jobs), _BATCH):
                batch = jobs[first : first + _BATCH]
                self._commit(conn, batch)
                self._checkpoints.written(len(batch))
            if closing:
                break

    def _commit(self, conn: Connection, batch: list[_Job]) -> None:
        try:
            with immediate(conn):
                if len(batch) == 1:
                    _carry_out(conn, batch)
                else:
                    for jobs in _together(batch):
                        _attempt(conn, jobs)
        except BaseException as error:
            failure = translated(error)
            if no_room(failure) and len(batch) > 1:
                # For one that found none SQLite has undone all of them: those that fit are stored.
                for job in batch:
                    job.error = None
                    self._commit(conn, [job])
                return
            for job in batch:
                job.error = job.error or failure
        failed = [job.error for job in batch if job.error is not None]
        if failed:
            self.refusals += sum(map(no_room, failed))
        _answer(batch)


def _together(batch: Iterable[_Job]) -> Iterable[list[_Job]]:
    """What is to be carried out at once, where the first of it stands: what waits at the same time has no
    order among its kinds."""
    groups: dict[object, list[_Job]] = {}
    for job in batch:
        groups.setdefault(job.together or job, []).append(job)
    return groups.values()


def _carry_out(conn: Connection, jobs: Sequence[_Job]) -> None:
    """One job, or several of a kind."""
    first = jobs[0]
    if first.together is None:
        assert first.fn is not None
        first.result = first.fn(conn)
        return
    for job, result in zip(jobs, first.together(conn, [job.item for job in jobs]), strict=True):
        if isinstance(result, Exception):
            job.error = result
        else:
            job.result = result


def _attempt(conn: Connection, jobs: Sequence[_Job]) -> None:
    """Should they fail only they are undone; their neighbours in the batch commit."""
    driver = _driver(conn)
    driver.execute("SAVEPOINT jobs")
    try:
        _carry_out(conn, jobs)
    except Exception as error:
        if not driver.in_transaction:
            raise  # SQLite has undone all of it: there is no savepoint any more
        driver.execute("ROLLBACK TO jobs")
        if len(jobs) == 1:
            jobs[0].error = translated(error)
        else:
            for job in jobs:
                _attempt(conn, [job])
    driver.execute("RELEASE jobs")


def _answer(batch: list[_Job]) -> None:
    loops = {job.loop for job in batch}
    for loop in loops:
        jobs = batch if len(loops) == 1 else [job for job in batch if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_resolve, jobs)
        except RuntimeError:
            log.debug("event loop closed before %d transactions were answered", len(jobs))


def _resolve(jobs: list[_Job]) -> None:
    """On the event loop."""
    for job in jobs:
        if job.then is not None and job.error is None:
            try:
                job.result = job.then(job.result)
            except Exception as error:
                job.error = error
            else:
                if job.onward:
                    continue
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        elif isinstance(job.error, StopIteration):
            job.future.set_exception(RuntimeError("a transaction raised StopIteration"))
        else:
            job.future.set_exception(job.error)


def answers(conn: Connection) -> bool:
    """Whether the database answers at all."""
    return conn.execute(text("SELECT 1")).scalar_one() == 1
