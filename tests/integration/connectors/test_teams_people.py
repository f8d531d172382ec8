"""How people come to the bot for everybody on Microsoft Teams: links, Microsoft's login, the app."""

import io
import json
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.connectors.teams.emulator import TENANT, TeamsEmulator
from tests.support.hosted import Hosted
from tests.support.oauth import Person, fields_of, parameters_of
from tests.support.requirement import requirement
from tests.support.teams import COMMON, Office, office
from tests.support.waiting import until

PACKAGE = "/download/teams-app"


@dataclass(frozen=True, slots=True)
class Hall:
    """A gateway with a bot for everybody, and the owner's browser."""

    teams: TeamsEmulator
    gateway: Hosted
    bot: str
    browser: Person

    async def sign_in_at_microsoft(self, aad: str, decision: str = "allow") -> str:
        """Where on the dashboard the browser ends."""
        origin = {"origin": self.gateway.url}
        asked = await self.browser.http.post("/api/oauth/start/microsoft", headers=origin)
        assert asked.status_code == 200, asked.text
        url = asked.json()["auth_url"]
        page = await self.browser.get(url)
        assert page.status_code == 200, page.text
        told = {**fields_of(page), "user": aad, "decision": decision}
        back = await self.browser.post(url.partition("?")[0], told)
        assert back.status_code == 302, back.text
        end = await self.browser.get(back.headers["location"])
        assert end.status_code == 303, end.text
        return end.headers["location"]


@pytest.fixture(params=["botframework.com", TENANT])
async def hall(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Hall]:
    teams, tenant = TeamsEmulator(), request.param
    bot = teams.new_bot("everybody", tenant=tenant)
    settings = {"app_id": bot, "tenant_id": tenant, "bot_token": "s3cret~value", "bot_name": "Every Body"}
    async with office(tmp_path, teams, **settings) as here:
        teams.set_endpoint(bot, here.gateway.url + COMMON)
        teams.login.redirect_uris.add(f"{here.gateway.url}/connect/teams/callback")
        async with httpx2.AsyncClient(base_url=here.gateway.url) as http:
            browser = Person(http, here.gateway.url)
            await browser.sign_in()
            yield Hall(teams, here.gateway, bot, browser)


@requirement("R-273")
async def test_who_signs_in_at_microsoft_is_heard(hall: Hall) -> None:
    teams, gateway = hall.teams, hall.gateway
    ann, bob = teams.person("Ann Lee"), teams.person("Bob")
    teams.write(hall.bot, ann, "too early")
    await until(lambda: teams.bot(hall.bot).answers)
    (platform,) = [p for p in (await gateway.get("/api/platforms"))["platforms"] if p["platform"] == "teams"]
    assert platform["oauth_provider"] == "microsoft"
    assert platform["status"] == "available (shared bot, user account not connected)"
    assert await hall.sign_in_at_microsoft(ann.aad) == "/dashboard/platforms?connected=teams"
    teams.write(hall.bot, ann, "hello")
    teams.write(hall.bot, bob, "me too")
    (message,) = await gateway.heard()
    assert (message["text"], message["sender"], message["sender_status"]) == ("hello", "Ann Lee", "paired")
    await gateway.answer(message, "Hi")
    assert teams.said(teams.direct(hall.bot, ann))[-1]["text"] == "Hi"
    await until(lambda: len(teams.bot(hall.bot).answers) == 3)
    assert len(await gateway.heard()) == 1
    assert "runs yours" in teams.said(teams.direct(hall.bot, bob))[0]["text"]


async def test_who_declines_or_is_of_another_organisation_is_not_connected(hall: Hall) -> None:
    teams = hall.teams
    ann = teams.person("Ann")
    eve = teams.person("Eve", tenant="00000000-dead-4000-8000-00000000beef")
    assert await hall.sign_in_at_microsoft(ann.aad, "deny") == "/dashboard/platforms?error=teams_denied"
    single = teams.bot(hall.bot).tenant == TENANT
    end = "error=teams_refused" if single else "connected=teams"
    assert await hall.sign_in_at_microsoft(eve.aad) == f"/dashboard/platforms?{end}"
    teams.renew_secret(hall.bot, "another~one")
    assert await hall.sign_in_at_microsoft(ann.aad) == "/dashboard/platforms?error=teams_refused"


async def test_a_link_opens_a_chat_and_pairs_once(hall: Hall) -> None:
    teams, gateway = hall.teams, hall.gateway
    ann = teams.person("Ann")
    direct = teams.direct(hall.bot, ann)
    teams.install(hall.bot, ann)
    teams.write(hall.bot, ann, "hello?")
    await until(lambda: len(teams.bot(hall.bot).answers) == 2)
    assert ["runs yours" in one["text"] for one in teams.said(direct)] == [True]
    assert await gateway.conversations() == []
    link = await gateway.post("/api/invite-link", platform="teams")
    asked = parameters_of(str(link["url"]))
    assert asked["users"] == f"28:{hall.bot}"
    teams.write(hall.bot, ann, asked["message"])
    await until(lambda: len(teams.said(direct)) == 2)
    teams.write(hall.bot, ann, "now")
    (message,) = await gateway.heard()
    await gateway.answer(message, "yes")
    assert (message["text"], teams.said(direct)[-1]["text"]) == ("now", "yes")
    bob, group = teams.person("Bob"), teams.group(hall.bot)
    teams.write(hall.bot, bob, asked["message"])
    teams.write(hall.bot, ann, "in a group", chat=group)
    await until(lambda: len(teams.bot(hall.bot).answers) == 6)
    assert len(await gateway.heard()) == 1
    assert "expired or was used" in teams.said(teams.direct(hall.bot, bob))[0]["text"]
    assert teams.said(group) == []


async def test_the_app_of_the_bot_for_everybody_is_anybodys(hall: Hall) -> None:
    async with httpx2.AsyncClient(base_url=hall.gateway.url) as anybody:
        given = await anybody.get(PACKAGE)
        assert (given.status_code, given.headers["content-type"]) == (200, "application/zip")
        assert "teams-app.zip" in given.headers["content-disposition"]
        assert (await anybody.get("/download/nothing")).status_code == 404
    with zipfile.ZipFile(io.BytesIO(given.content)) as package:
        assert sorted(package.namelist()) == ["color.png", "manifest.json", "outline.png"]
        manifest = json.loads(package.read("manifest.json"))
    assert (manifest["id"], manifest["bots"][0]["botId"]) == (hall.bot, hall.bot)
    assert manifest["name"] == {"short": "Every Body", "full": "Every Body"}
    assert manifest["developer"]["websiteUrl"] == hall.gateway.url
    assert manifest["bots"][0]["supportsFiles"] is False


async def test_the_app_of_a_bot_of_ones_own_takes_signing_in(tmp_path: Path) -> None:
    async with office(tmp_path, files_enable="true") as here:
        first, second = here.teams.new_bot("first"), here.teams.new_bot("second")
        one = await here.connect(first)
        await here.connect(second)
        assert await _packed(here, PACKAGE) == (303, "", False)
        async with httpx2.AsyncClient(base_url=here.gateway.url) as http:
            await Person(http, here.gateway.url).sign_in()
            assert await _packed(here, PACKAGE, http) == (200, second, True)
            assert await _packed(here, f"{PACKAGE}?connection={one}", http) == (200, first, True)
            assert await _packed(here, f"{PACKAGE}?connection=conn_nobodys", http) == (404, "", False)


async def _packed(
    here: Office, address: str, http: httpx2.AsyncClient | None = None
) -> tuple[int, str, bool]:
    """The status, and of the app its bot and whether it has files."""
    async with httpx2.AsyncClient(base_url=here.gateway.url) as anybody:
        given = await (http or anybody).get(address)
    if given.status_code != 200:
        return given.status_code, "", False
    with zipfile.ZipFile(io.BytesIO(given.content)) as package:
        bot = json.loads(package.read("manifest.json"))["bots"][0]
    return given.status_code, bot["botId"], bot["supportsFiles"]
