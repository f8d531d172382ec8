"""One writer, group commit, readers that never wait."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from chamade_mcp.model.errors import Unavailable
from chamade_mcp.store import database as module
from chamade_mcp.store.database import Database, answers
from tests.support.waiting import BOUND_S, until


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    database = Database(tmp_path / "test.db")
    await database.write(lambda conn: run(conn, "CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    yield database
    database.close()


def run(conn: Connection, statement: str) -> None:
    conn.execute(text(statement))


def insert(number: int) -> Callable[[Connection], int]:
    def fn(conn: Connection) -> int:
        run(conn, f"INSERT INTO t VALUES ({number})")
        return number

    return fn


def numbers(conn: Connection) -> list[int]:
    return list(conn.execute(text("SELECT n FROM t ORDER BY rowid")).scalars())


class Latch:
    """A transaction that keeps the writer busy, so that those behind it become one batch."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._go = threading.Event()

    def __call__(self, conn: Connection) -> None:
        self.entered.set()
        assert self._go.wait(10)

    async def close(self, database: Database) -> "asyncio.Task[None]":
        held = asyncio.create_task(database.write(self))
        await asyncio.to_thread(self.entered.wait, 10)
        return held

    def open(self) -> None:
        self._go.set()


async def test_what_is_written_can_be_read(database: Database) -> None:
    assert await database.write(insert(1)) == 1
    assert await database.read(numbers) == [1]
    assert await database.read(answers)


async def test_a_reader_does_not_wait_for_the_writer(database: Database) -> None:
    latch = Latch()
    held = await latch.close(database)
    assert await asyncio.wait_for(database.read(numbers), BOUND_S) == []
    latch.open()
    await held


async def test_one_that_fails_in_a_batch_undoes_only_itself(database: Database) -> None:
    def fails_late(conn: Connection) -> None:
        run(conn, "INSERT INTO t VALUES (90)")
        raise KeyError("on purpose")

    def stops(conn: Connection) -> int:
        run(conn, "INSERT INTO t VALUES (91)")
        return next(iter(()))

    latch = Latch()
    held = await latch.close(database)
    writes = [database.write(fn) for fn in (insert(1), insert(1), fails_late, stops, insert(2))]
    pending = [asyncio.ensure_future(w) for w in writes]
    await asyncio.sleep(0)
    latch.open()
    await held
    results = await asyncio.wait_for(asyncio.gather(*pending, return_exceptions=True), BOUND_S)
    assert [type(r) for r in results] == [int, IntegrityError, KeyError, RuntimeError, int]
    assert await database.read(numbers) == [1, 2]


async def test_one_that_fails_alone(database: Database) -> None:
    def fails(conn: Connection) -> None:
        run(conn, "INSERT INTO t VALUES (1)")
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        await database.write(fails)
    assert await database.read(numbers) == []
    await database.write(insert(2))


async def test_the_order_is_kept_and_a_batch_is_one_commit(database: Database) -> None:
    latch = Latch()
    held = await latch.close(database)
    log: list[int] = []
    pending: list[asyncio.Future[int]] = []

    def logged(number: int) -> Callable[[Connection], int]:
        def fn(conn: Connection) -> int:
            log.append(number)
            return insert(number)(conn)

        return fn

    for number in range(50):
        pending.append(asyncio.ensure_future(database.write(logged(number))))
    await asyncio.sleep(0)
    latch.open()
    await held
    await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    assert len(await database.read(numbers)) == 50
    assert await asyncio.gather(*pending) == log == list(range(50))


async def test_what_many_do_at_once_is_one_call(database: Database) -> None:
    calls: list[list[int]] = []

    def together(conn: Connection, wanted: Sequence[int]) -> list[int | Exception]:
        calls.append(list(wanted))
        for number in wanted:
            if number > 0:
                insert(number)(conn)
        return [number if number > 0 else KeyError(number) for number in wanted]

    latch = Latch()
    held = await latch.close(database)
    writes = [database.write_together(together, number) for number in (1, 2, -3, 4)]
    writes.insert(2, database.write(insert(10)))
    pending = [asyncio.ensure_future(w) for w in writes]
    await asyncio.sleep(0)
    latch.open()
    await held
    results = await asyncio.wait_for(asyncio.gather(*pending, return_exceptions=True), BOUND_S)
    assert [type(r) if isinstance(r, Exception) else r for r in results] == [1, 2, 10, KeyError, 4]
    assert calls == [[1, 2, -3, 4]]
    assert await database.read(numbers) == [1, 2, 4, 10]


async def test_what_comes_turn_by_turn_is_one_call_and_none_waits_for_ever(database: Database) -> None:
    calls: list[int] = []

    def together(conn: Connection, wanted: Sequence[int]) -> list[int]:
        calls.append(len(wanted))
        return [insert(number)(conn) for number in wanted]

    async def after(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await database.write_together(together, turns)

    async with asyncio.timeout(BOUND_S):
        assert await asyncio.gather(*(after(turns) for turns in range(40))) == list(range(40))
        assert calls == [40]
        await asyncio.gather(*(after(turns) for turns in range(40, 540)))
    assert len(calls) > 2, "the writer waited until nobody came any more"
    assert await database.read(numbers) == list(range(540))


async def test_none_fails_by_the_fault_of_another(database: Database) -> None:
    def together(conn: Connection, wanted: Sequence[int]) -> list[int]:
        return [insert(number)(conn) for number in wanted]

    latch = Latch()
    held = await latch.close(database)
    pending = [asyncio.ensure_future(database.write_together(together, n)) for n in (1, 2, 2, 3)]
    await asyncio.sleep(0)
    latch.open()
    await held
    results = await asyncio.wait_for(asyncio.gather(*pending, return_exceptions=True), BOUND_S)
    assert [type(r) if isinstance(r, Exception) else r for r in results] == [1, 2, IntegrityError, 3]
    assert await database.read(numbers) == [1, 2, 3]
    with pytest.raises(IntegrityError):
        await database.write_together(together, 3)


async def test_an_answer_is_handed_on(database: Database) -> None:
    given: list[int] = []

    def together(conn: Connection, wanted: Sequence[int]) -> list[int]:
        return [insert(number)(conn) for number in wanted]

    def fail(number: int) -> None:
        raise KeyError(number)

    loop = asyncio.get_running_loop()
    later, failing, refused, gone = (loop.create_future() for _ in range(4))
    database.write_onward(together, 1, given.append, later)
    assert await database.write(insert(10)) == 10
    assert (given, later.done()) == ([1], False)
    database.write_onward(together, 2, fail, failing)
    with pytest.raises(KeyError):
        await failing
    database.write_onward(together, 2, given.append, refused)
    with pytest.raises(IntegrityError):
        await refused
    gone.cancel()
    database.write_onward(together, 3, given.append, gone)
    assert await database.write(insert(11)) == 11
    assert given == [1, 3]
    assert await database.read(numbers) == [1, 2, 3, 10, 11]


async def test_what_follows_a_commit_needs_no_caller(database: Database) -> None:
    followed: list[int] = []

    def then(number: int) -> str:
        followed.append(number)
        if number == 3:
            raise KeyError(number)
        return f"stored {number}"

    def together(conn: Connection, wanted: Sequence[int]) -> list[int]:
        return [insert(number)(conn) for number in wanted]

    latch = Latch()
    held = await latch.close(database)
    gone, stays, fails = (
        asyncio.ensure_future(database.write_together(together, number, then)) for number in (1, 2, 3)
    )
    await asyncio.sleep(0)
    gone.cancel()
    latch.open()
    await held
    assert await stays == "stored 2"
    with pytest.raises(KeyError):
        await fails
    assert gone.cancelled()
    assert followed == await database.read(numbers) == [1, 2, 3]
    with pytest.raises(IntegrityError):
        await database.write_together(together, 3, then)
    assert followed == [1, 2, 3]


async def test_answers_come_after_the_commit(database: Database) -> None:
    for number in range(20):
        await database.write(insert(number))
        assert number in await database.read(numbers)


async def test_a_caller_who_goes_away_has_written_all_the_same(database: Database) -> None:
    latch = Latch()
    held = await latch.close(database)
    writing = asyncio.create_task(database.write(insert(1)))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    latch.open()
    await held
    await database.write(insert(2))
    assert await database.read(numbers) == [1, 2]


async def test_a_database_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BUSY_TIMEOUT_S", 0.05)
    database = Database(tmp_path / "test.db")
    try:
        await database.write(lambda conn: run(conn, "CREATE TABLE t (n INTEGER PRIMARY KEY)"))
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as caught:
            await database.write(insert(1))
        assert (caught.value.code, caught.value.retry_after) == ("DATABASE_BUSY", 1)
        assert await database.read(numbers) == []
        other.execute("ROLLBACK")
        other.close()
        await database.write(insert(2))
        assert await database.read(numbers) == [2]
    finally:
        database.close()


async def test_other_errors_of_the_database_are_told_as_they_are(database: Database) -> None:
    for attempt in (database.write, database.read):
        with pytest.raises(OperationalError):
            await attempt(lambda conn: run(conn, "SELECT * FROM nothing"))
    await database.write(insert(1))


async def test_closing_finishes_what_is_queued(tmp_path: Path) -> None:
    database = Database(tmp_path / "test.db")
    await database.write(lambda conn: run(conn, "CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    latch = Latch()
    held = await latch.close(database)
    pending = [asyncio.ensure_future(database.write(insert(n))) for n in range(200)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(database.close))
    latch.open()
    await held
    assert await asyncio.gather(*pending) == list(range(200))
    await closing
    database.close()
    for attempt in (database.write, database.read):
        with pytest.raises(Unavailable) as caught:
            await attempt(numbers)
        assert caught.value.code == "SHUTTING_DOWN"
    again = Database(tmp_path / "test.db")
    assert len(await again.read(numbers)) == 200
    again.close()


def test_a_file_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OperationalError):
        Database(tmp_path / "missing" / "test.db")


async def test_the_log_is_moved_beside_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    database = Database(path)
    await database.write(lambda conn: run(conn, "CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    alone = path.stat().st_size
    for number in range(500):
        await database.write(insert(number))
    await until(lambda: path.stat().st_size > alone)
    database.close()
    assert not path.with_name("test.db-wal").exists(), "closed: nothing of the log is left"


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE big AS SELECT zeroblob(1000000)", "INSERT INTO blobs VALUES (zeroblob(1000000))"],
)
async def test_on_a_full_disk_those_that_fit_are_stored_and_the_others_told(
    database: Database, statement: str
) -> None:
    """Of the first SQLite undoes the statement alone, for the second all that was written with it."""

    def too_much(conn: Connection) -> None:
        run(conn, statement)

    await database.write(lambda conn: run(conn, "CREATE TABLE blobs (b BLOB)"))
    await database.write(lambda conn: conn.exec_driver_sql("PRAGMA max_page_count = 1").scalar_one())
    assert database.refusals == 0
    with pytest.raises(Unavailable, match="full"):
        await database.write(too_much)
    assert database.refusals == 1
    tried = [database.write(fn) for fn in (insert(1), too_much, insert(2), too_much)]
    one, first, two, second = await asyncio.gather(*tried, return_exceptions=True)
    assert (one, two) == (1, 2)
    for refused in (first, second):
        assert isinstance(refused, Unavailable)
        assert refused.code == "DISK_FULL"
    assert await database.read(numbers) == [1, 2]
    assert database.refusals == 3
