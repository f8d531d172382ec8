"""Statements of the hot paths: built and compiled once, run as plain SQL.

SQLAlchemy takes 30 to 180 us to build, look up and run a statement that SQLite carries out in 5. What each
message and each event costs is spared that; everything else keeps the plain form.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

_Statement = Insert | Update | Delete | Select[*tuple[Any, ...]]
_Process = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one dialect has it."""

    sql: str
    binds: tuple[tuple[str, _Process], ...]
    """In the order of their places."""
    constants: dict[str, object]
    error: type[Exception]
    """The driver's, of which all its others are."""


class Prepared:
    """A statement whose values are `bindparam`s, or of an insert the columns named.

    What it returns is as the driver gives it: select numbers and strings only.
    """

    __slots__ = ("_columns", "_forms", "_statement")

    def __init__(self, statement: _Statement, *columns: str) -> None:
        self._statement: Final = statement
        self._columns: Final = columns
        self._forms: dict[str, _Form] = {}

    def run(self, conn: Connection, values: dict[str, object]) -> None:
        """Raises `KeyError` for a value that is not given, and what `Connection.execute` does."""
        self._executed(conn, values).close()

    def count(self, conn: Connection, values: dict[str, object]) -> int:
        """How many rows it changed."""
        cursor = self._executed(conn, values)
        changed = cursor.rowcount
        cursor.close()
        return changed

    def row(self, conn: Connection, values: dict[str, object]) -> tuple[Any, ...] | None:
        """The first row that it selects or returns; None without one."""
        cursor = self._executed(conn, values)
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else tuple(row)

    def value(self, conn: Connection, values: dict[str, object]) -> Any:
        """The first column of the first row that it selects or returns; None without one."""
        row = self.row(conn, values)
        return None if row is None else row[0]

    def _executed(self, conn: Connection, values: dict[str, object]) -> DBAPICursor:
        form = self._forms.get(conn.dialect.name)
        if form is None:
            form = self._forms[conn.dialect.name] = _compiled(self._statement, self._columns, conn.dialect)
        values = values | form.constants if form.constants else values
        given = [values[key] if process is None else process(values[key]) for key, process in form.binds]
        driver = conn.connection.driver_connection
        assert driver is not None, "the connection is closed"
        cursor = driver.cursor()
        try:
            cursor.execute(form.sql, given)
        except form.error as error:
            # Without the values: they are what people write, and errors are logged.
            raise DBAPIError.instance(form.sql, None, error, form.error) from error
        return cursor


def _compiled(statement: _Statement, columns: Sequence[str], dialect: Dialect) -> _Form:
    compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
    assert compiled.positional, "the driver takes no positions"
    names = compiled.positiontup or ()
    found = {name: compiled.binds[name] for name in names}
    return _Form(
        str(compiled),
        tuple((name, found[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names),
        {name: bind.effective_value for name, bind in found.items() if not bind.required},
        dialect.loaded_dbapi.Error,
    )
