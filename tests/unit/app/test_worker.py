"""What a worker asks of the store before it serves. The rest is proved with processes."""

import sqlite3
from pathlib import Path

import pytest

from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.worker import require_store
from chamade_mcp.store.migrate import migrate


def test_a_worker_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="start `chamade serve` first"):
        require_store(Settings(data_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_worker_needs_the_gateways_version(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    migrate(settings.database_path)
    require_store(settings)
    with sqlite3.connect(settings.database_path) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '0001'")
    conn.close()
    with pytest.raises(SettingsError, match="has schema 0001"):
        require_store(settings)
