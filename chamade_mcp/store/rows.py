"""Statements that carry out many rows at once.

The driver lets go of the interpreter for each row that it steps through, and then contends with the event
loop for it: that takes longer than the row. Here a batch of rows is one step, and so is what they find.
"""

import json
import sqlite3
from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

_SIZES: Final = (*range(1, 17), 32, 64)
"""So many rows a statement can have. Each is one of its own, which the driver keeps: hence not any number."""


class Rows:
    """A statement of SQLite with rows of `width` values in it, at ``{rows}``: as the driver takes them, so
    moments and JSON as text. Names in it are checked by the first use alone."""

    __slots__ = ("_statements",)

    def __init__(self, statement: str, width: int) -> None:
        row = f"({', '.join('?' * width)})"
        self._statements: Final = {
            size: statement.format(rows=f"VALUES {', '.join([row] * size)}") for size in _SIZES
        }

    def count(self, conn: Connection, rows: Sequence[Sequence[object]]) -> int:
        """How many rows it changed, where it begins with what it does: of `WITH` the driver does not tell.

        Raises what `Connection.execute` does.
        """
        return sum(cursor.rowcount for cursor in self._executed(conn, rows))

    def found(self, conn: Connection, rows: Sequence[Sequence[object]]) -> list[list[Any]]:
        """What it selects, in no order: a statement that makes one JSON array of arrays of it."""
        return [row for cursor in self._executed(conn, rows) for row in json.loads(cursor.fetchone()[0])]

    def _executed(self, conn: Connection, rows: Sequence[Sequence[object]]) -> Iterator[sqlite3.Cursor]:
        driver = conn.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        while rows:
            size = _SIZES[bisect(_SIZES, len(rows)) - 1]
            page, rows, statement = rows[:size], rows[size:], self._statements[size]
            try:
                yield driver.execute(statement, list(chain.from_iterable(page)))
            except sqlite3.Error as error:
                # Without the values: they are what people write, and errors are logged.
                raise DBAPIError.instance(statement, None, error, sqlite3.Error) from error


def insertion(table: str, columns: Sequence[str], ending: str = "") -> Rows:
    """Rows of a table, with the values of `columns`."""
    return Rows(f"INSERT INTO {table} ({', '.join(columns)}) {{rows}} {ending}", len(columns))
