"""Two agents of one account, from the first page to the end of the second one, as their owner sees it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlencode

import httpx2
import pytest
from playwright.async_api import Browser, Page, expect

from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing_bots import BOTS, ScriptedBots
from chamade_mcp.model.ids import ConnectionId
from tests.support.callback import Callback
from tests.support.desk import DESKTOP, LOADED, PHONE, PROBE, Desk, desk_in
from tests.support.oauth import Program
from tests.support.requirement import requirement
from tests.support.visitors import House, open_house
from tests.support.waiting import until

NAME = PROBE[:90]
"""Of the second agent."""


@dataclass(frozen=True, slots=True)
class Office:
    desk: Desk
    house: House
    bots: ScriptedBots

    @property
    def page(self) -> Page:
        return self.desk.page

    async def connect(self, name: str) -> ConnectionId:
        """By the key of the first agent."""
        async with self.house.agent() as agent:
            asked = {"platform": BOTS, "bot_token": self.bots.accept(name), "access": "open"}
            made = ConnectionId((await agent.post("/api/bot-tokens", json=asked)).json()["id"])
        await until(lambda: made in self.bots.links)
        return made

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()


@pytest.fixture
async def office(tmp_path: Path, mute_browser: Browser) -> AsyncGenerator[Office]:
    found, bots = discover(), ScriptedBots()
    registry = Registry(
        MappingProxyType({**found.manifests, BOTS: bots.manifest}),
        MappingProxyType({**found.connectors, BOTS: bots}),
        {},
    )
    async with open_house(tmp_path / "data", registry=registry) as house:
        desk = await desk_in(mute_browser, house, viewport=DESKTOP)
        yield Office(desk, house, bots)
        assert desk.complaints == []
        assert await desk.page.evaluate("window.hacked") is None


async def a_second_agent(office: Office) -> str:
    """Made on the page, with a key of its own, which is returned."""
    page, desk = office.page, office.desk
    await desk.open("/agents")
    await expect(page.locator("#whose")).to_have_count(0)
    await expect(page.locator("#agents-one")).to_be_visible()
    await office.press("Add an agent")
    await page.press("#agent-name", "Enter")
    await expect(page.locator("#agent-name-error")).to_have_text("Give it a name.")
    await page.fill("#agent-name", NAME)
    await page.press("#agent-name", "Enter")
    await expect(page.locator(".agent-card")).to_have_count(2)
    await expect(page.locator("#whose option")).to_have_text(["AI Agent", NAME])

    await desk.open("/keys")
    await office.press("Create a key")
    await page.fill("#key-name", "of the second")
    await page.select_option("#key-agent", label=NAME)
    await page.select_option("#key-life", "7")
    await page.click("#key-form [type=submit]")
    await expect(page.locator("#fresh")).to_be_visible()
    await expect(page.locator("#keys li").first).to_contain_text(f"For {NAME}")
    return await page.input_value("#fresh-key")


@requirement("R-329", "R-331")
async def test_a_connection_moves_and_the_dashboard_shows_one_agent_at_a_time(office: Office) -> None:
    page, desk = office.page, office.desk
    connection = await office.connect("helper")
    key = await a_second_agent(office)

    await desk.open("/agents")
    await page.locator(".agent-card").first.get_by_role("button", name="Move @helper").click()
    assert await desk.violations("move") == []
    await page.click("#move-form [type=submit]")
    await expect(page.locator(".agent-card").nth(1)).to_contain_text("helper")
    await until(lambda: connection in office.bots.links)
    await office.bots.write(connection, "for the second alone", sender="ann", name="Ann")
    async with httpx2.AsyncClient(base_url=office.house.url, headers={"x-api-key": key}) as second:
        (found,) = (await second.get("/api/inbox")).json()["conversations"]
    assert found["last_message"]["text"] == "for the second alone"

    await desk.open("")
    others = page.locator("#others li")
    await expect(others).to_have_count(1)
    await expect(others.locator("b")).to_have_text(NAME)
    await expect(others).to_contain_text("1 conversation waits for an answer")
    assert await desk.violations("others") == []
    await desk.open("/inbox")
    await expect(page.locator("#inbox li")).to_have_count(0)
    other_tab = await page.context.new_page()
    await other_tab.goto(f"{office.house.url}/dashboard/keys")
    await other_tab.wait_for_selector(LOADED)
    await page.select_option("#whose", label=NAME)
    await expect(page.locator("#inbox li")).to_contain_text("for the second alone")
    assert page.url == f"{office.house.url}/dashboard/inbox"
    # The other tab shows the first agent, and does nothing for the second.
    await other_tab.click("#create")
    await other_tab.fill("#key-name", "late")
    await other_tab.click("#key-form [type=submit]")
    await expect(other_tab.locator("#trouble")).to_contain_text("Another agent is shown in this browser now")
    assert await other_tab.input_value("#key-name") == "late"
    await other_tab.close()
    await desk.open("")
    await expect(page.locator("#summary")).to_contain_text("1 conversation waits for an answer")
    await office.press("Show AI Agent")
    await expect(others).to_contain_text(NAME)
    await expect(page.locator("#inbox li")).to_have_count(0)
    await office.press(f"Show {NAME}")
    await expect(page.locator("#inbox li")).to_contain_text("for the second alone")
    assert page.url == f"{office.house.url}/dashboard/inbox"

    await desk.open("/agents")
    await page.locator(".agent-card").nth(1).get_by_role("button", name="Delete").click()
    await page.fill("#sure-name", NAME)
    assert await desk.violations("delete") == []
    await page.click("#sure-go")
    await expect(page.locator("#sure-error")).to_contain_text("This agent has connections")
    await page.keyboard.press("Escape")
    await page.locator(".agent-card").nth(1).get_by_role("button", name="Move @helper").click()
    await page.click("#move-form [type=submit]")
    await expect(page.locator(".agent-card").first).to_contain_text("helper")
    await page.locator(".agent-card").nth(1).get_by_role("button", name="Delete").click()
    await page.fill("#sure-name", NAME)
    await page.click("#sure-go")
    await expect(page.locator("#whose")).to_have_count(0)
    await expect(page.locator(".agent-card")).to_have_count(1)
    async with httpx2.AsyncClient(base_url=office.house.url, headers={"x-api-key": key}) as second:
        assert (await second.get("/api/account")).status_code == 401
    desk.complaints[:] = [one for one in desk.complaints if "status of 409" not in one]


@requirement("R-256")
async def test_an_app_is_let_in_as_the_agent_that_is_chosen_and_taken_back(
    office: Office, mute_browser: Browser
) -> None:
    page, desk = office.page, office.desk
    await a_second_agent(office)
    callback = Callback()
    async with httpx2.AsyncClient() as http, callback.serving() as address:
        program = Program(http, office.house.url, redirect_uri=address)
        await program.register([address], client_name="A test editor")
        await page.goto(program.address())
        await expect(page.get_by_role("heading")).to_contain_text("act as your agent?")
        for words in ("A test editor", "127.0.0.1", "Read", "Write", "Call"):
            await expect(page.locator("main")).to_contain_text(words)
        await expect(page.get_by_role("button", name="Allow")).to_be_enabled()
        assert await desk.violations("consent") == []
        await page.get_by_label("It acts as").select_option(label=NAME)
        await office.press("Allow")
        told = await callback.next()
        await expect(page.get_by_role("heading")).to_have_text("You can close this")
        tokens = await program.redeem(f"{address}?{urlencode(told)}")
        bearer = {"authorization": f"Bearer {tokens.json()['access_token']}"}
        account = f"{office.house.url}/api/account"
        assert (await http.get(account, headers=bearer)).status_code == 200

        await desk.open("/apps")
        row = page.locator(".app-card")
        await expect(row).to_contain_text("A test editor")
        await expect(row.locator("dd", has_text=NAME)).to_be_visible()
        phone = await desk_in(mute_browser, office.house, viewport=PHONE, color_scheme="dark")
        for path in ("/apps", "/agents", "/keys"):
            await phone.open(path)
            assert await phone.violations(path) == []
        assert phone.complaints == []
        assert await desk.violations("apps") == []
        await office.press("Take access back from A test editor")
        await office.press("Take it back")
        await expect(page.locator("#apps-empty")).to_be_visible()
        assert (await http.get(account, headers=bearer)).status_code == 401
