"""Brings a database to the schema of this version."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from chamade_mcp.store.database import immediate, sqlite_engine
from chamade_mcp.store.schema import metadata

HEAD = "0027"
"""The newest revision in ``migrations/versions``; a test compares the two."""


def current(conn: Connection) -> str | None:
    """The revision a database is at; None for an empty one."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def revision(path: Path) -> str | None:
    """The revision of the file at `path`; None when there is none, or nothing in it. Makes no file."""
    if not path.is_file():
        return None
    engine = sqlite_engine(path)
    try:
        with engine.connect() as conn:
            return current(conn)
    finally:
        engine.dispose()


def migrate(path: Path) -> None:
    """Upgrades the file at `path` to `HEAD`, creating it when missing. Two processes at once are safe.

    Raises `RuntimeError` for a database that a newer version of the gateway has upgraded.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sqlite_engine(path)
    try:
        with engine.connect() as conn:
            found = current(conn)
            if found == HEAD:
                return
            if found is not None and found > HEAD:
                raise RuntimeError(f"{path} was made by a newer version of the gateway (revision {found})")
            conn.rollback()
            # SQLite changes a table by making it anew, and must not take that for the deletion of its rows;
            # inside a transaction this cannot be said any more.
            conn.exec_driver_sql("PRAGMA foreign_keys=OFF")
            with immediate(conn):
                if current(conn) is None:
                    _create(conn)
                else:
                    _upgrade(conn)
                    _check_references(conn)
    finally:
        engine.dispose()


def _create(conn: Connection) -> None:
    """An empty database gets today's tables at once: the first start spares Alembic's second and 40 MB."""
    metadata.create_all(conn)
    conn.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    conn.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _upgrade(conn: Connection) -> None:
    # Alembic is needed only for an older database, and takes a while to import.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "chamade_mcp.store:migrations")
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def _check_references(conn: Connection) -> None:
    broken = conn.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise RuntimeError(f"upgrading left {len(broken)} rows that refer to nothing")
