"""The real gateway in this process, with one account and one key."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.model.access import Principal

EMAIL = "owner@example.org"
PASSWORD = "correct horse battery"
BASE_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    owner: Principal
    key: str


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    settings = Settings(data_dir=tmp_path / "data", files_max_size_mb=1)
    async with build(settings) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True)
        owner = await gateway.core.accounts.find_by_email(EMAIL)
        assert owner is not None
        key = await gateway.core.accounts.create_key(owner.scope, "test")
        yield House(gateway, owner, key.value)


def client_of(house: House, **headers: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(house.gateway.app)
    return httpx2.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


@pytest.fixture
async def api(house: House) -> AsyncGenerator[httpx2.AsyncClient]:
    """Calls with the key."""
    async with client_of(house, **{"x-api-key": house.key}) as client:
        yield client


@pytest.fixture
async def nobody(house: House) -> AsyncGenerator[httpx2.AsyncClient]:
    """Calls without one."""
    async with client_of(house) as client:
        yield client
