"""Emulated platforms, and a real gateway that is tied to them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from chamade_mcp.connectors.telegram.emulator import TelegramEmulator
from chamade_mcp.connectors.whatsapp.emulator import VERSION, WhatsAppEmulator
from tests.integration.connectors.discord_hall import Hall, opened
from tests.integration.connectors.discord_hall import emulated as emulated_discord
from tests.support.hosted import Hosted, hosted
from tests.support.server import serve


@asynccontextmanager
async def emulated() -> AsyncGenerator[tuple[TelegramEmulator, str]]:
    telegram = TelegramEmulator()

    @asynccontextmanager
    async def app(url: str) -> AsyncGenerator[ASGIApp]:
        async with telegram.running():
            yield telegram.app

    async with serve(app) as url:
        yield telegram, url


@pytest.fixture
async def telegram() -> AsyncGenerator[tuple[TelegramEmulator, str]]:
    async with emulated() as it:
        yield it


@pytest.fixture
async def whatsapp() -> AsyncGenerator[tuple[WhatsAppEmulator, str]]:
    emulator = WhatsAppEmulator()

    @asynccontextmanager
    async def app(url: str) -> AsyncGenerator[ASGIApp]:
        async with emulator.running():
            yield emulator.app

    async with serve(app) as url:
        yield emulator, f"{url}/{VERSION}"


@pytest.fixture
async def gateway(telegram: tuple[TelegramEmulator, str], tmp_path: Path) -> AsyncGenerator[Hosted]:
    async with hosted(tmp_path / "data", {"telegram": {"api_url": telegram[1]}}) as it:
        yield it


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncGenerator[Hall]:
    async with emulated_discord() as (discord, url), opened(tmp_path, discord, url) as it:
        yield it
