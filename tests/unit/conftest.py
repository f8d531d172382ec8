"""A migrated database for each test: made once, copied."""

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chamade_mcp.store.migrate import migrate
from tests.support.house import House, open_house


@pytest.fixture(scope="session")
def blank_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blank") / "chamade.db"
    migrate(path)
    return path


@pytest.fixture
def database_path(blank_database: Path, tmp_path: Path) -> Path:
    path = tmp_path / "chamade.db"
    shutil.copyfile(blank_database, path)
    return path


@pytest.fixture
async def house(database_path: Path) -> AsyncGenerator[House]:
    async with open_house(database_path) as house:
        yield house
