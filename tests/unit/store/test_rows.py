"""Many rows in one statement."""

from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from chamade_mcp.store.database import sqlite_engine
from chamade_mcp.store.rows import Rows, insertion

ADD = insertion("t", ("n", "word"), "ON CONFLICT (word) DO NOTHING RETURNING n")
WORDS = Rows("WITH given (place, n) AS ({rows}) SELECT place, word FROM given JOIN t USING (n)", 2)


@pytest.fixture
def conn(tmp_path: Path) -> Generator[Connection]:
    with sqlite_engine(tmp_path / "test.db").connect() as conn:
        conn.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)")
        yield conn


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 32, 33, 100])
def test_any_number_of_rows(conn: Connection, count: int) -> None:
    added = ADD.run(conn, [(number, f"word {number}") for number in range(count)])
    assert sorted(added) == [(number,) for number in range(count)]
    found = WORDS.run(conn, [(-number, number) for number in range(count + 5)])
    assert dict(found) == {-number: f"word {number}" for number in range(count)}


def test_what_is_there_already_is_left_out(conn: Connection) -> None:
    assert ADD.run(conn, [(1, "a"), (2, "b"), (3, "a")]) == [(1,), (2,)]
    assert ADD.run(conn, [(4, "b"), (5, "c")]) == [(5,)]


def test_an_error_does_not_tell_what_was_to_be_stored(conn: Connection) -> None:
    with pytest.raises(IntegrityError) as caught:
        ADD.run(conn, [(1, "a secret"), (1, "another secret")])
    assert "secret" not in str(caught.value)
