import logging
import multiprocessing
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.secret_key import load_secret_key
from chamade_mcp.app.settings import Settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def key_in(data_dir: Path) -> str:
    return load_secret_key(Settings(data_dir=data_dir))


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    key = key_in(data)
    assert len(key) == 43  # 32 bytes, base64
    assert mode(data) == 0o700
    assert mode(data / "secret.key") == 0o600
    assert key_in(data) == key
    assert [p.name for p in data.iterdir()] == ["secret.key"]
    assert key_in(tmp_path / "other") != key


def test_the_files_content_means_the_same_as_a_variable(tmp_path: Path) -> None:
    key = key_in(tmp_path)
    elsewhere = Settings(data_dir=tmp_path / "none", secret_key=SecretStr(key))
    assert load_secret_key(elsewhere) == key == (tmp_path / "secret.key").read_text().strip()
    assert not (tmp_path / "none").exists()


def _race(data_dir: Path, start: Path) -> str:
    while not start.exists():
        pass
    return key_in(data_dir)


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    data, start = tmp_path / "data", tmp_path / "start"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        running = [pool.apply_async(_race, (data, start)) for _ in range(4)]
        start.touch()
        keys = {one.get(timeout=60) for one in running}
    assert len(keys) == 1
    assert [p.name for p in data.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("open_mode", [0o640, 0o604, 0o666])
def test_a_file_open_to_others_is_closed_and_told(
    tmp_path: Path, open_mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    key = key_in(tmp_path)
    path = tmp_path / "secret.key"
    path.chmod(open_mode)
    with caplog.at_level(logging.WARNING):
        assert key_in(tmp_path) == key
    assert mode(path) == 0o600
    assert "its mode is now 600" in caplog.text


def test_a_damaged_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_text("half")
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"^CHAMADE_DATA_DIR: .*damaged") as refused:
        key_in(tmp_path)
    assert path.read_text() == "half"
    assert "half" not in str(refused.value)


def test_a_data_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"^CHAMADE_DATA_DIR: cannot make"):
        key_in(tmp_path / "file" / "data")


def test_a_folder_in_the_files_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "secret.key").mkdir(mode=0o700)
    with pytest.raises(SettingsError, match=r"^CHAMADE_DATA_DIR: cannot use"):
        key_in(tmp_path)
