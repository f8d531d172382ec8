"""Discord's bot for everybody: people sign in at Discord in their browsers, over the emulated pages."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.integration.connectors.discord_hall import Hall, emulated, opened
from tests.support.oauth import Person, fields_of
from tests.support.requirement import requirement
from tests.support.waiting import until

FILE = {"bytes_b64": "aGk=", "name": "a.txt", "mime": "text/plain"}


@dataclass(frozen=True, slots=True)
class Porch:
    """A gateway with a bot for everybody, and the owner's browser."""

    hall: Hall
    token: str
    browser: Person

    async def begin(self) -> str:
        """As the dashboard does: from the browser."""
        asked = await self.browser.http.post(
            "/api/oauth/start/discord", headers={"origin": self.hall.gateway.url}
        )
        assert asked.status_code == 200, asked.text
        return asked.json()["auth_url"]

    async def agree(self, url: str, who: str, decision: str = "allow", **more: str) -> httpx2.Response:
        """At Discord."""
        page = await self.browser.get(url)
        assert page.status_code == 200, page.text
        told = {**fields_of(page), "user": who, "decision": decision, **more}
        return await self.browser.post(url.partition("?")[0], told)

    async def come_back(self, answer: httpx2.Response) -> str:
        """Where on the dashboard the browser ends."""
        assert answer.status_code == 302, answer.text
        back = await self.browser.get(answer.headers["location"])
        assert back.status_code == 303, back.text
        return back.headers["location"]

    async def sign_in(self, who: str) -> None:
        end = await self.come_back(await self.agree(await self.begin(), who))
        assert end == "/dashboard/platforms?connected=discord"


@pytest.fixture
async def porch(tmp_path: Path) -> AsyncGenerator[Porch]:
    async with opened_porch(tmp_path) as it:
        yield it


@asynccontextmanager
async def opened_porch(folder: Path) -> AsyncGenerator[Porch]:
    async with emulated() as (discord, url):
        token = discord.new_bot("chamade", content=False)
        app = {"bot_token": token, "app_id": discord.bot(token).app_id}
        secret = discord.publish(token)
        async with (
            opened(folder, discord, url, client_secret=secret, **app) as hall,
            httpx2.AsyncClient(base_url=hall.gateway.url) as http,
        ):
            discord.bot(token).redirects = (f"{hall.gateway.url}/connect/discord/callback",)
            browser = Person(http, hall.gateway.url)
            await browser.sign_in()
            yield Porch(hall, token, browser)


@requirement("R-271")
async def test_who_signs_in_writes_to_the_agent(porch: Porch) -> None:
    """In a direct message, though the bot is on no server at all."""
    discord, gateway = porch.hall.discord, porch.hall.gateway
    ann, bob = discord.person("Ann Lee"), discord.person("Bob")
    about = {p["platform"]: p for p in (await gateway.get("/api/platforms"))["platforms"]}["discord"]
    assert (about["oauth_provider"], about["available"]) == ("discord", True)
    await porch.sign_in(ann.id)
    direct = discord.direct(porch.token, ann)
    (hello,) = discord.said(porch.token, direct)
    assert "what you write here goes to it" in hello["content"]
    discord.say(bob, discord.direct(porch.token, bob), "me too")
    discord.say(ann, direct, "hello")
    (message,) = await gateway.heard()
    assert (message["text"], message["sender"], message["sender_status"]) == ("hello", "Ann Lee", "paired")
    await gateway.answer(message, "Hi", attachments=[FILE])
    await until(lambda: len(discord.said(porch.token, direct)) == 2)
    assert (await gateway.get("/api/account"))["platforms"]["discord"]["status"] == "ok"
    (connection,) = [
        one for one in (await gateway.get("/api/platforms"))["connections"] if one["platform"] == "discord"
    ]
    assert connection["kind"] == "shared"
    assert discord.bot(porch.token).secret not in json.dumps(connection)


async def test_the_bot_is_added_to_a_server_by_its_link(porch: Porch) -> None:
    discord, gateway = porch.hall.discord, porch.hall.gateway
    ann, helper = discord.person("Ann"), discord.new_bot("helper")
    guild = discord.new_guild(helper, "Acme", ann)
    general = discord.new_channel(guild, "general")
    me = discord.bot(porch.token)
    assert me.id not in guild.members
    link = (await gateway.get("/api/platforms"))["discord_invite_url"]
    assert (await porch.agree(link, ann.id, guild=guild.id)).status_code == 200
    assert me.id in guild.members
    await porch.sign_in(ann.id)
    discord.say(ann, general, f"<@{me.id}> hello")
    (message,) = await gateway.heard()
    assert message["text"] == "@chamade hello"


async def test_who_says_no_is_not_connected(porch: Porch) -> None:
    ann = porch.hall.discord.person("Ann")
    denied = await porch.agree(await porch.begin(), ann.id, "deny")
    assert await porch.come_back(denied) == "/dashboard/platforms?error=discord_denied"
    agreed = await porch.agree(await porch.begin(), ann.id)
    porch.hall.discord.bot(porch.token).secret = "changed"
    assert await porch.come_back(agreed) == "/dashboard/platforms?error=discord_refused"
    # A code and a state work once.
    assert await porch.come_back(agreed) == "/dashboard/platforms?error=discord_expired"


async def test_what_is_asked_at_discord(porch: Porch) -> None:
    asked = parse_qs(urlsplit(await porch.begin()).query)
    assert asked["scope"] == ["identify applications.commands"]
    assert (asked["integration_type"], asked["code_challenge_method"]) == (["1"], ["S256"])
    assert asked["redirect_uri"] == [f"{porch.hall.gateway.url}/connect/discord/callback"]


async def test_without_a_secret_nobody_signs_in(hall: Hall) -> None:
    told = await hall.gateway.post("/api/oauth/start/discord", 501)
    assert told["platform"] == "discord"
