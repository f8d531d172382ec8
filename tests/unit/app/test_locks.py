"""Who may serve from a data folder at the same time."""

from pathlib import Path

import pytest

from chamade_mcp.app.locks import alone, among_workers, without_workers, workers_serve
from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def test_one_gateway(settings: Settings) -> None:
    with alone(settings), pytest.raises(SettingsError, match="another gateway"), alone(settings):
        pass
    with alone(settings):
        pass


def test_any_number_of_workers_beside_it(settings: Settings) -> None:
    with alone(settings), among_workers(settings), among_workers(settings):
        assert workers_serve(settings)
    assert not workers_serve(settings)


def test_no_upgrade_under_workers(settings: Settings) -> None:
    with among_workers(settings), pytest.raises(SettingsError, match="stop them"), without_workers(settings):
        pass


def test_no_worker_under_an_upgrade(settings: Settings) -> None:
    with without_workers(settings), pytest.raises(SettingsError, match="again"), among_workers(settings):
        pass


def test_looking_makes_no_file(settings: Settings) -> None:
    assert not workers_serve(settings)
    assert list(settings.data_dir.iterdir()) == []
