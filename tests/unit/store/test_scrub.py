"""What is deleted is gone from the file, and from the write-ahead log beside it."""

import sqlite3
from pathlib import Path

from chamade_mcp.store.database import Database


def kept(path: Path) -> int:
    return sum(p.read_bytes().count(b"quokka") for p in path.parent.iterdir())


async def test_nothing_deleted_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    database = Database(path)
    await database.write(lambda conn: conn.exec_driver_sql("CREATE TABLE t (word TEXT)") and None)
    words = ", ".join(["('quokka' || printf('%5000s', ''))"] * 50)
    await database.write(lambda conn: conn.exec_driver_sql(f"INSERT INTO t VALUES {words}") and None)
    assert await database.scrub()
    assert kept(path) == 50
    await database.write(lambda conn: conn.exec_driver_sql("DELETE FROM t") and None)
    assert await database.scrub()
    assert kept(path) == 0
    database.close()


async def test_a_long_reader_holds_it_up_and_nothing_fails(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    database = Database(path)
    await database.write(lambda conn: conn.exec_driver_sql("CREATE TABLE t (word TEXT)") and None)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t").fetchall()
    await database.write(lambda conn: conn.exec_driver_sql("INSERT INTO t VALUES ('x')") and None)
    assert not await database.scrub()
    reader.execute("COMMIT")
    reader.close()
    assert await database.scrub()
    database.close()
