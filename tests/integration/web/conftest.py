from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.visitors import House, open_browser, open_house, write_tone


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with open_house(tmp_path / "data") as house:
        yield house


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncGenerator[Browser]:
    """Its microphone hears a tone of 1,000 Hz at half of full scale."""
    microphone = tmp_path / "tone.wav"
    write_tone(microphone)
    async with open_browser(microphone) as browser:
        yield browser


@pytest.fixture
async def mute_browser() -> AsyncGenerator[Browser]:
    """It refuses the microphone."""
    async with open_browser(None) as browser:
        yield browser
