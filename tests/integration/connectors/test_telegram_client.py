"""The emulated Bot API, driven by aiogram: what bots in the wild take for Telegram."""

from pathlib import Path

import pytest

from chamade_mcp.connectors.telegram.emulator import TelegramEmulator
from tests.support.pip import pip_installed
from tests.support.script import run

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("telegram_client.py")
PACKAGES = ("aiogram==3.31.0",)


@pytest.fixture(scope="session")
def python() -> Path:
    return pip_installed(ROOT / "build" / "aiogram", PACKAGES)


async def test_aiogram_finds_what_it_knows(python: Path, telegram: tuple[TelegramEmulator, str]) -> None:
    emulator, url = telegram
    token = emulator.new_bot("helper_bot")
    ann = emulator.person("Ann")
    emulator.say(token, ann, "hello")
    told = await run(python, SCRIPT, "drive", url, token, ann.id)
    assert told == {
        "me": [int(token.partition(":")[0]), "helper_bot", True],
        "heard": [["hello", "Ann", "private"]],
        "said": ["plain", "hello"],
        "edited": "changed",
        "reacted": True,
        "document": ["a.txt", "see"],
        "downloaded": "body of it",
        "deleted": True,
        "typing": True,
        "refusals": [
            "TelegramBadRequest: Bad Request: chat not found",
            "TelegramBadRequest: Bad Request: can't parse entities: "
            'Can\'t find end tag corresponding to start tag "b"',
            "TelegramBadRequest: Bad Request: message is too long",
            "TelegramBadRequest: Bad Request: message is not modified: specified new message content and "
            "reply markup are exactly the same as a current content and reply markup of the message",
            "TelegramBadRequest: Bad Request: wrong parameter action in request",
            "TelegramBadRequest: Bad Request: message to delete not found",
            "TelegramUnauthorizedError: Unauthorized",
        ],
        "webhook": [True, "https://example.org/hook", True],
    }
    assert [m["text"] for m in emulator.said(token, ann.id)] == ["got it & thanks", "changed"]


async def test_aiogram_is_told_when_it_is_too_fast(
    python: Path, telegram: tuple[TelegramEmulator, str]
) -> None:
    emulator, url = telegram
    token = emulator.new_bot("helper_bot")
    ann = emulator.person("Ann")
    emulator.say(token, ann, "hello")
    emulator.flood(token, ann.id, 29)
    told = await run(python, SCRIPT, "flood", url, token, ann.id)
    assert 0 < told["retry_after"] <= 30
