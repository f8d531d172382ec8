import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chamade_mcp.app.doctor import (
    Verdict,
    check_clock,
    check_connectors,
    check_data_dir,
    check_database,
    check_public_url,
    check_secret_key,
    check_workers,
)
from chamade_mcp.app.locks import among_workers
from chamade_mcp.app.secret_key import load_secret_key
from chamade_mcp.app.settings import Settings
from chamade_mcp.store.migrate import migrate

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert check_data_dir(data).verdict is Verdict.OK
    assert check_secret_key(Settings(data_dir=data)).verdict is Verdict.OK
    assert check_database(data / "chamade.db").verdict is Verdict.OK
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_data_folders_place_fails(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    finding = check_data_dir(tmp_path / "data")
    assert finding.verdict is Verdict.FAILED
    assert "CHAMADE_DATA_DIR" in finding.fix


def test_a_key_open_to_others_fails_with_the_command_that_closes_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    load_secret_key(settings)
    assert check_secret_key(settings).verdict is Verdict.OK
    (tmp_path / "secret.key").chmod(0o644)
    finding = check_secret_key(settings)
    assert finding.verdict is Verdict.FAILED
    assert finding.fix == f"chmod 600 {tmp_path / 'secret.key'}"


def test_a_database_of_this_version_is_well(tmp_path: Path) -> None:
    path = tmp_path / "chamade.db"
    migrate(path)
    assert check_database(path).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("revision", "verdict"), [("0000", Verdict.NOTE), ("9999", Verdict.FAILED), (None, Verdict.NOTE)]
)
def test_a_database_of_another_version_is_told(
    tmp_path: Path, revision: str | None, verdict: Verdict
) -> None:
    path = tmp_path / "chamade.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
    if revision is not None:
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    connection.commit()
    connection.close()
    assert check_database(path).verdict is verdict


def test_a_file_that_is_no_database_fails(tmp_path: Path) -> None:
    path = tmp_path / "chamade.db"
    path.write_bytes(b"not a database, and long enough to be looked at" * 40)
    assert check_database(path).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("http://127.0.0.1:8000", Verdict.OK),
        ("http://localhost", Verdict.OK),
        ("https://voice.example.org", Verdict.OK),
        ("http://voice.example.org", Verdict.FAILED),
    ],
)
def test_people_need_https_unless_they_sit_at_this_machine(url: str, verdict: Verdict) -> None:
    assert check_public_url(Settings(public_url=url), running=False).verdict is verdict


def test_a_clock_in_the_past_fails(tmp_path: Path) -> None:
    assert check_clock(tmp_path, NOW).verdict is Verdict.OK
    assert check_clock(tmp_path, datetime(1970, 1, 2, tzinfo=UTC)).verdict is Verdict.FAILED
    later = (NOW + timedelta(hours=1)).timestamp()
    (tmp_path / "file").touch()
    os.utime(tmp_path / "file", (later, later))
    assert check_clock(tmp_path, NOW).verdict is Verdict.FAILED


def test_every_installed_connector_is_listed() -> None:
    findings = {finding.check: finding for finding in check_connectors()}
    assert findings["connector web"].verdict is Verdict.OK


def test_workers_without_a_gateway_fail(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=1)
    assert check_workers(settings).verdict is Verdict.OK
    with among_workers(settings):
        finding = check_workers(settings)
    assert finding.verdict is Verdict.FAILED
    assert "CHAMADE_CORE_URL" in finding.fix
    assert check_workers(settings).verdict is Verdict.OK
