"""The emulated Discord, driven by discord.py: what bots in the wild take for Discord."""

import json
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.connectors.discord.emulated_world import Person
from chamade_mcp.connectors.discord.emulator import DiscordEmulator
from tests.integration.connectors.discord_hall import emulated
from tests.support.pip import pip_installed
from tests.support.script import line, result, script
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("discord_client.py")
PACKAGES = ("discord.py==2.7.1", "aiohttp==3.14.3", "Authlib==1.9.8", "httpx2==2.16.2")


@dataclass(frozen=True, slots=True)
class Driven:
    discord: DiscordEmulator
    url: str
    python: Path
    token: str
    ann: Person
    direct: str
    ref: str
    """Of the first message there, by Ann."""
    general: str

    def script(self, what: str, token: str = "") -> AbstractAsyncContextManager[Process]:
        bot = self.discord.bot(self.token)
        place = (self.direct, self.ref, self.ann.id, self.general)
        given = (self.url, token or self.token, *place, bot.app_id, bot.secret)
        return script(self.python, SCRIPT, what, *given)

    async def run(self, what: str, token: str = "") -> dict[str, Any]:
        async with self.script(what, token) as process:
            return await result(process)


async def heard_by(process: Process) -> list[str]:
    return json.loads(await line(process))


@pytest.fixture(scope="session")
def python() -> Path:
    return pip_installed(ROOT / "build" / "discord.py", PACKAGES)


@pytest.fixture
async def driven(python: Path) -> AsyncGenerator[Driven]:
    async with emulated() as (discord, url):
        token, ann = discord.new_bot("helper"), discord.person("Ann")
        general = discord.new_channel(discord.new_guild(token, "Acme", ann), "general")
        direct = discord.direct(token, ann)
        ref = discord.say(ann, direct, "first")
        yield Driven(discord, url.removesuffix("/api/v10"), python, token, ann, direct, ref, general)


async def test_discord_py_finds_what_it_knows(driven: Driven) -> None:
    assert await driven.run("drive") == {
        "channel": "private",
        "read": "first",
        "opened": True,
        "said": ["plain", True, "n1"],
        "again": True,
        "edited": "changed",
        "files": [["a.txt", 10], ["b.txt", 4]],
        "downloaded": "body of it",
        "everyone": False,
        "place": ["general", "Acme"],
        "commands": ["ping"],
        "refusals": [
            "404 10003",
            "400 50006",
            "400 50035",
            "400 50035",
            "404 10008",
            "403 50005",
            "403 50003",
            "400 10014",
            "404 10013",
        ],
    }
    said = driven.discord.said(driven.token, driven.direct)
    assert [m["content"] for m in said] == ["changed", "two"]
    assert driven.discord.content(said[1]) == [b"body of it", b"more"]
    assert driven.discord.reactions(driven.direct, driven.ref) == ["\U0001f44d"]


async def test_discord_py_keeps_to_the_limits_it_is_told(driven: Driven) -> None:
    assert await driven.run("flood") == {"sent": 7}
    assert [m["content"] for m in driven.discord.said(driven.token, driven.direct)] == list("0123456")
    assert driven.discord.too_fast == 0


async def test_discord_py_hears_over_the_gateway(driven: Driven) -> None:
    discord, ann, direct = driven.discord, driven.ann, driven.direct
    discord.bot(driven.token).commands["connect"] = {"id": "5"}
    async with driven.script("listen") as process:
        assert await heard_by(process) == ["ready", "helper", "Acme", "general"]
        ref = discord.say(ann, driven.general, "on a server")
        assert await heard_by(process) == ["message", "Ann", "on a server"]
        discord.edit(driven.general, ref, "corrected")
        assert await heard_by(process) == ["edit", "corrected"]
        discord.react(ann, driven.general, ref, "\U0001f389")
        assert await heard_by(process) == ["reaction", "\U0001f389"]
        discord.delete(driven.general, ref)
        assert await heard_by(process) == ["delete", ref]
        discord.command(driven.token, ann, "connect", driven.general, link="abc")
        assert await heard_by(process) == ["command", "connect", "abc"]
        assert discord.bot(driven.token).replies[0]["content"] == "taken"
        await discord.gateway.close(driven.token, 4000)
        discord.say(ann, direct, "meanwhile")
        heard = [await heard_by(process), await heard_by(process)]
        assert sorted(heard) == [["message", "Ann", "meanwhile"], ["resumed"]]
        await discord.gateway.say(driven.token, 7)
        assert await heard_by(process) == ["resumed"]
        discord.say(ann, direct, "end")
        assert await result(process) == {"heard": 8}
    assert discord.gateway.resumed == 2
    await until(lambda: discord.gateway.open_sockets(driven.token) == 0)


async def test_authlib_signs_somebody_in(driven: Driven) -> None:
    driven.discord.publish(driven.token, "https://gateway.example/connect/discord/callback")
    assert await driven.run("sign_in") == {
        "elsewhere": 400,
        "refusals": ["invalid_grant", "invalid_grant"],
        "token": ["Bearer", 604800, "identify"],
        "me": "Ann",
    }


async def test_discord_py_is_turned_away(driven: Driven) -> None:
    assert await driven.run("drive", "no-token") == {"refused": "LoginFailure"}
    driven.discord.bot(driven.token).flags = 0
    assert await driven.run("drive") == {"refused": "PrivilegedIntentsRequired"}
