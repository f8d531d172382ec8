"""Migrations: once, twice, by two processes at once; and they make what the schema says."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from chamade_mcp.store import schema
from chamade_mcp.store.database import sqlite_engine
from chamade_mcp.store.migrate import HEAD, current, migrate


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "chamade.db"
    migrate(path)
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before
    engine = sqlite_engine(path)
    with engine.connect() as conn:
        assert current(conn) == HEAD
    engine.dispose()


def test_two_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "chamade.db"
    code = (
        "import sys; from pathlib import Path; from chamade_mcp.store.migrate import migrate;"
        " sys.stdin.read(1); migrate(Path(sys.argv[1]))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("g")
        process.stdin.flush()
    failed = [p.communicate(timeout=60)[1] for p in processes]
    assert [p.returncode for p in processes] == [0, 0, 0], failed
    engine = sqlite_engine(path)
    with engine.connect() as conn:
        assert current(conn) == HEAD
        assert set(inspect(conn).get_table_names()) == {*schema.metadata.tables, "alembic_version"}
    engine.dispose()


def test_the_migrations_make_what_the_schema_says(blank_database: Path) -> None:
    engine = sqlite_engine(blank_database)
    with engine.connect() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True, "render_as_batch": True}
        )
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", "chamade_mcp.store:migrations")
    return config


def upgrade(conn: Connection, revision: str) -> None:
    config = migrations()
    config.attributes["connection"] = conn
    command.upgrade(config, revision)


def test_an_older_database_is_brought_to_the_same(tmp_path: Path) -> None:
    """Step by step from the first version, as the tables of a new one are made at once."""
    engine = sqlite_engine(tmp_path / "old.db")
    with engine.connect() as conn:
        upgrade(conn, "0001")
        conn.commit()
    migrate(tmp_path / "old.db")
    with engine.connect() as conn:
        assert current(conn) == HEAD
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True, "render_as_batch": True}
        )
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_what_refers_to_a_table_that_is_made_anew_stays(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    engine = sqlite_engine(path)
    with engine.connect() as conn:
        upgrade(conn, "0006")
        conn.exec_driver_sql(
            "INSERT INTO accounts (id, email, name, password_hash, created_at)"
            " VALUES ('a', 'e', 'n', '-', '')"
        )
        conn.exec_driver_sql(
            "INSERT INTO conversations VALUES ('c','a','g','web','r','Al','active','','',''),"
            " ('d','a','g','web','s','Bo','active','','',''), ('e','a','g','web','t','Cy','active','','','')"
        )
        conn.exec_driver_sql(
            "INSERT INTO messages (id, account_id, conversation_id, seq, direction, ref, sender_name, text,"
            " attachments, status, created_at)"
            " VALUES ('m','a','c',1,'inbound','r','Al','hello','[]','received',''),"
            " ('n','a','d',2,'inbound','r','Bo','elsewhere','[]','received',''),"
            " ('o','a','c',3,'outbound','o','','answer','[]','sent','')"
        )
        conn.commit()
    migrate(path)
    with engine.connect() as conn:
        row = conn.exec_driver_sql(
            "SELECT text, sender_ref, connection_id, folded_name FROM messages"
            " JOIN conversations ON conversations.id = conversation_id WHERE seq = 1"
        ).one()
        assert tuple(row) == ("hello", "", "", "al")
        links = conn.exec_driver_sql("SELECT seq, before_seq FROM messages ORDER BY seq").all()
        assert [tuple(link) for link in links] == [(1, None), (2, None), (3, 1)]
        newest = conn.exec_driver_sql("SELECT id, last_seq FROM conversations ORDER BY id").all()
        assert [tuple(one) for one in newest] == [("c", 3), ("d", 2), ("e", None)]
    engine.dispose()


def test_events_of_an_older_version_know_their_call(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    engine = sqlite_engine(path)
    with engine.connect() as conn:
        upgrade(conn, "0006")
        conn.exec_driver_sql(
            "INSERT INTO accounts (id, email, name, password_hash, created_at)"
            " VALUES ('acc', 'a@b', '', '', '')",
        )
        for seq, payload in enumerate(['{"call_id":"call_a"}', '{"type":"dm_chat"}'], start=1):
            conn.exec_driver_sql(
                "INSERT INTO events VALUES ('acc', ?, 'agent', 'x', ?, '')",
                (seq, payload),
            )
        conn.commit()
    migrate(path)
    with engine.connect() as conn:
        rows = conn.exec_driver_sql("SELECT seq, call_id FROM events ORDER BY seq").all()
    assert [tuple(row) for row in rows] == [(1, "call_a"), (2, None)]
    engine.dispose()


def test_head_is_the_newest_revision() -> None:
    script = ScriptDirectory.from_config(migrations())
    assert script.get_heads() == [HEAD]


def test_a_database_of_a_newer_gateway_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chamade.db"
    migrate(path)
    engine = sqlite_engine(path)
    with engine.connect() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        conn.commit()
    with pytest.raises(RuntimeError, match="newer version"):
        migrate(path)
    engine.dispose()
