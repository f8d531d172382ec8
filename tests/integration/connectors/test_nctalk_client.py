"""The emulated Nextcloud, driven by nc-py-api: what programs in the wild take for one."""

from pathlib import Path

import pytest

from tests.support.nextcloud import emulated
from tests.support.pip import pip_installed
from tests.support.script import run

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("nctalk_client.py")
PACKAGES = ("nc-py-api==0.30.3",)


@pytest.fixture(scope="session")
def python() -> Path:
    return pip_installed(ROOT / "build" / "nc_py_api", PACKAGES)


async def test_nc_py_api_finds_what_it_knows(python: Path) -> None:
    async with emulated() as cloud:
        settings = cloud.settings("ann")
        bot = settings["bot_login"]
        room = cloud.alone("ann", bot)
        cloud.say("ann", room, "hello")
        given = (cloud.addon.url, bot, settings["bot_token"], room.token)
        assert await run(python, SCRIPT, *given) == {
            "me": [bot, 31, True],
            "rooms": [[room.token, "ONE_TO_ONE"]],
            "people": sorted([bot, "ann"]),
            "heard": ["hello", "ann", "Ann"],
            "said": ["an answer", bot],
            "newest": "an answer",
            "reactions": {"\U0001f44d": [bot]},
            "taken back": {},
            "deleted": "message_deleted",
            "made": ["Garden", True],
            "again": True,
            "downloaded": "what is in it",
            "shared": ["TYPE_ROOM", True, "Talk/letters/a b.txt"],
            "file": "a b.txt",
            "refusals": [404, 400, 413, 400, 404, 404, 404, 404, 409, 404, 401],
        }
        assert cloud.world.users["ann"].files["Talk/a b.txt"] == b"what is in it"
