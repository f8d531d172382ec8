"""Whoever writes wakes whoever watches, from another connection as from another process."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from chamade_mcp.store import watch
from chamade_mcp.store.database import Database
from tests.support.waiting import until


def write(database_path: Path) -> Callable[[], None]:
    database = Database(database_path)

    def one(conn: Connection) -> None:
        conn.execute(text("CREATE TABLE IF NOT EXISTS t (n INTEGER)"))
        conn.execute(text("INSERT INTO t VALUES (1)"))

    async def go() -> None:
        await database.write(one)
        database.close()

    import asyncio

    return lambda: asyncio.run(go())


async def elsewhere(database_path: Path) -> None:
    writing = threading.Thread(target=write(database_path))
    writing.start()
    await until(lambda: not writing.is_alive())


def count(conn: Connection) -> int:
    there = conn.execute(text("SELECT 1 FROM sqlite_master WHERE name = 't'")).one_or_none()
    return 0 if there is None else conn.execute(text("SELECT count(*) FROM t")).scalar_one()


async def test_each_change_is_looked_at_and_nothing_else(database_path: Path) -> None:
    database, found, looks = Database(database_path), list[int](), list[bool]()

    def look(conn: Connection) -> tuple[int, bool]:
        looks.append(True)
        return count(conn), False

    watching = database.watch(look, found.append, 0.001)
    await until(lambda: found == [0])
    await elsewhere(database_path)
    await until(lambda: found[-1] == 1)
    settled = len(looks)
    await elsewhere(database_path)
    await until(lambda: found[-1] == 2)
    assert settled <= 4, "a look at the start and at each commit, none at the polls between"
    watching.close()
    await elsewhere(database_path)
    database.close()
    assert found[-1] == 2


async def test_it_looks_on_while_there_is_more(database_path: Path) -> None:
    database, found = Database(database_path), list[int]()

    def look(_: Connection) -> tuple[int, bool]:
        return len(found), len(found) < 5

    watching = database.watch(look, found.append, 60)
    await until(lambda: len(found) > 5)
    watching.close()
    database.close()


async def test_a_failed_look_is_made_again(database_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_AFTER_FAILURE_S", 0.001)
    database, found, tries = Database(database_path), list[int](), list[bool]()

    def look(conn: Connection) -> tuple[int, bool]:
        tries.append(True)
        if len(tries) < 3:
            conn.execute(text("SELECT * FROM no_such_table"))
        return len(tries), False

    watching = database.watch(look, found.append, 60)
    await until(lambda: found == [3])
    watching.close()
    database.close()
