"""Statements that carry out many rows at once.

The driver lets go of the interpreter for each row that it steps through, and then contends with the event
loop for it. As one statement, a batch of rows costs that once.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

_MOST: Final = 16
"""Rows in one statement. Each number of them is one of its own, which the driver keeps."""


class Rows:
    """A statement of SQLite with rows of `width` values in it, at ``{rows}``: as the driver takes them, so
    moments and JSON as text. Names in it are checked by the first use alone."""

    __slots__ = ("_statements",)

    def __init__(self, statement: str, width: int) -> None:
        row = f"({', '.join('?' * width)})"
        self._statements: Final = [
            statement.format(rows=f"VALUES {', '.join([row] * count)}") for count in range(1, _MOST + 1)
        ]

    def run(self, conn: Connection, rows: Sequence[Sequence[object]]) -> list[tuple[Any, ...]]:
        """All that it selects or returns, in no order. Raises what `Connection.execute` does."""
        if len(rows) <= _MOST:
            return self._execute(conn, rows) if rows else []
        pages = (rows[first : first + _MOST] for first in range(0, len(rows), _MOST))
        return [found for page in pages for found in self._execute(conn, page)]

    def _execute(self, conn: Connection, rows: Sequence[Sequence[object]]) -> list[tuple[Any, ...]]:
        driver = conn.connection.driver_connection
        assert driver is not None, "the connection is closed"
        statement = self._statements[len(rows) - 1]
        try:
            return driver.execute(statement, list(chain.from_iterable(rows))).fetchall()
        except conn.dialect.loaded_dbapi.Error as error:
            # Without the values: they are what people write, and errors are logged.
            raise DBAPIError.instance(statement, None, error, conn.dialect.loaded_dbapi.Error) from error


def insertion(table: str, columns: Sequence[str], ending: str = "") -> Rows:
    """Rows of a table, with the values of `columns`."""
    return Rows(f"INSERT INTO {table} ({', '.join(columns)}) {{rows}} {ending}", len(columns))
