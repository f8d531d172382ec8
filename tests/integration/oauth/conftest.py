from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Browser

from tests.support.oauth import Person, Program
from tests.support.visitors import House, open_browser, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with open_house(tmp_path / "data") as house:
        yield house


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    async with open_browser(None) as browser:
        yield browser


@pytest.fixture
async def person(house: House) -> AsyncGenerator[Person]:
    async with httpx2.AsyncClient() as http:
        yield Person(http, house.url)


@pytest.fixture
async def program(house: House) -> AsyncGenerator[Program]:
    async with httpx2.AsyncClient() as http:
        program = Program(http, house.url)
        await program.register(client_name="A test editor")
        yield program
