"""Statements that carry out many rows at once.

The driver lets go of the interpreter for each row that it steps through, and then contends with the event
loop for it. As one statement, a batch of rows costs that once.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

_MOST: Final = 16
"""Rows in one statement. Each number of them is one of its own, which the driver keeps."""


class Rows:
    """A statement of SQLite with a list of `VALUES` in it, at ``{rows}``; each row's values have `types`."""

    __slots__ = ("_processes", "_statements", "_types")

    def __init__(self, statement: str, *types: TypeEngine[Any]) -> None:
        row = f"({', '.join('?' * len(types))})"
        self._statements: Final = [
            statement.format(rows=f"VALUES {', '.join([row] * count)}") for count in range(1, _MOST + 1)
        ]
        self._types: Final = types
        self._processes: list[tuple[int, Callable[[Any], Any]]] | None = None

    def run(self, conn: Connection, rows: Sequence[Sequence[object]]) -> list[tuple[Any, ...]]:
        """All that it selects or returns, in no order. Raises what `Connection.execute` does."""
        return list(
            chain.from_iterable(
                self._executed(conn, rows[first : first + _MOST]) for first in range(0, len(rows), _MOST)
            )
        )

    def _executed(self, conn: Connection, rows: Sequence[Sequence[object]]) -> Iterator[tuple[Any, ...]]:
        processes = self._processes
        if processes is None:
            processes = self._processes = list(self._find_processes(conn))
        values = list(chain.from_iterable(rows))
        for place, process in processes:
            for at in range(place, len(values), len(self._types)):
                values[at] = process(values[at])
        statement = self._statements[len(rows) - 1]
        driver = conn.connection.driver_connection
        assert driver is not None, "the connection is closed"
        cursor = driver.cursor()
        try:
            cursor.execute(statement, values)
            return iter(cursor.fetchall())
        except conn.dialect.loaded_dbapi.Error as error:
            # Without the values: they are what people write, and errors are logged.
            raise DBAPIError.instance(
                self._statements[0], None, error, conn.dialect.loaded_dbapi.Error
            ) from error
        finally:
            cursor.close()

    def _find_processes(self, conn: Connection) -> Iterator[tuple[int, Callable[[Any], Any]]]:
        for at, type_ in enumerate(self._types):
            process = type_.dialect_impl(conn.dialect).bind_processor(conn.dialect)
            if process is not None:
                yield at, process


def insertion(table: Table, columns: Sequence[str], ending: str = "") -> Rows:
    """Rows of a table, with the values of `columns`."""
    types = (table.c[name].type for name in columns)
    return Rows(f"INSERT INTO {table.name} ({', '.join(columns)}) {{rows}} {ending}", *types)
