"""Many rows in one statement."""

from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from chamade_mcp.store.database import sqlite_engine
from chamade_mcp.store.rows import Rows, insertion

ADD = insertion("t", ("n", "word"), "ON CONFLICT (word) DO NOTHING")
WORDS = Rows(
    "WITH given (place, n) AS ({rows}) "
    "SELECT json_group_array(json_array(place, word)) FROM given JOIN t USING (n)",
    2,
)


@pytest.fixture
def conn(tmp_path: Path) -> Generator[Connection]:
    with sqlite_engine(tmp_path / "test.db").connect() as conn:
        conn.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)")
        yield conn


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 31, 32, 33, 64, 65, 200])
def test_any_number_of_rows(conn: Connection, count: int) -> None:
    assert ADD.count(conn, [(number, f"word {number}") for number in range(count)]) == count
    found = WORDS.found(conn, [(-number, number) for number in range(count + 5)])
    assert dict(found) == {-number: f"word {number}" for number in range(count)}


def test_what_is_there_already_is_left_out(conn: Connection) -> None:
    assert ADD.count(conn, [(1, "a"), (2, "b"), (3, "a")]) == 2
    assert ADD.count(conn, [(4, "b"), (5, "c")]) == 1
    assert sorted(WORDS.found(conn, [(n, n) for n in range(9)])) == [[1, "a"], [2, "b"], [5, "c"]]


def test_an_error_does_not_tell_what_was_to_be_stored(conn: Connection) -> None:
    with pytest.raises(IntegrityError) as caught:
        ADD.count(conn, [(1, "a secret"), (1, "another secret")])
    assert "secret" not in str(caught.value)
