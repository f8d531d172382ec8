"""Who may write to the agent, as its owner sees and changes it; and what the home page is told at once."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx2
import pytest
from playwright.async_api import Browser, Locator, ViewportSize, expect

from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing_bots import BOTS, ScriptedBots
from chamade_mcp.model.ids import ConnectionId
from tests.support.desk import AXE, AXE_RUN, DESKTOP, PHONE, PROBE, Desk, desk_in
from tests.support.visitors import House, open_house
from tests.support.waiting import until


@dataclass(frozen=True, slots=True)
class World:
    bots: ScriptedBots
    connection: ConnectionId
    agent: httpx2.AsyncClient
    house: House

    async def heard(self) -> list[str]:
        """What the agent has been told."""
        inbox = (await self.agent.get("/api/inbox")).raise_for_status().json()
        return sorted(one["last_message"]["text"] for one in inbox["conversations"])

    async def access(self) -> str:
        got = (await self.agent.get(f"/api/connections/{self.connection}")).raise_for_status().json()
        access: str = got["access"]
        return access


@asynccontextmanager
async def world_in(folder: Path) -> AsyncGenerator[World]:
    bots, found = ScriptedBots(), discover()
    registry = Registry(
        MappingProxyType({**found.manifests, BOTS: bots.manifest}),
        MappingProxyType({**found.connectors, BOTS: bots}),
    )
    async with open_house(folder, registry=registry) as house, house.agent() as agent:
        body = {"platform": BOTS, "bot_token": bots.accept("helper")}
        connection = ConnectionId((await agent.post("/api/bot-tokens", json=body)).json()["id"])
        await until(lambda: connection in bots.links)
        yield World(bots, connection, agent, house)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    async with world_in(tmp_path / "data") as world:
        yield world


def person(desk: Desk, name: str) -> Locator:
    return desk.page.locator(".person", has=desk.page.get_by_text(name, exact=True))


async def add(desk: Desk, sender: str, name: str) -> None:
    await desk.page.get_by_role("button", name="Let somebody in").click()
    await desk.page.fill("#add-sender", sender)
    await desk.page.fill("#add-name", name)
    await desk.page.click("#add-form [type=submit]")
    await expect(person(desk, name)).to_be_visible()


async def test_people_are_let_in_taken_back_and_kept_out(world: World, mute_browser: Browser) -> None:
    desk = await desk_in(mute_browser, world.house, viewport=DESKTOP)
    await desk.open("/people")
    await expect(desk.page.locator(".bot-card .empty")).to_have_text("Nobody is let in yet.")
    await desk.page.get_by_role("button", name="Let somebody in").click()
    await desk.page.click("#add-form [type=submit]")
    await expect(desk.page.locator("#add-error")).to_have_text("Type their id.")
    await desk.page.keyboard.press("Escape")
    await add(desk, "u-1", PROBE)
    await add(desk, "u-2", "Mallory")
    await world.bots.write(world.connection, "one", sender="u-1", name="Mira")
    assert await world.heard() == ["one"]

    await person(desk, "Mallory").get_by_role("button", name="Keep out").click()
    await expect(desk.page.locator("#ask-title")).to_have_text("Keep Mallory out")
    await desk.page.click("#ask-go")
    await expect(person(desk, "Mallory")).to_contain_text("Kept out")
    await person(desk, PROBE).get_by_role("button", name="Take back").click()
    await desk.page.click("#ask-go")
    await expect(person(desk, PROBE)).to_have_count(0)
    for sender in ("u-1", "u-2"):
        await world.bots.write(world.connection, f"again from {sender}", sender=sender)
    assert "again from u-1" not in await world.heard()
    await expect(desk.page.locator("#people-waiting")).to_contain_text("1 stranger asks to be let in.")

    await person(desk, "Mallory").get_by_role("button", name="Let in").click()
    await expect(person(desk, "Mallory").get_by_role("button", name="Keep out")).to_be_visible()
    await world.bots.write(world.connection, "hello", sender="u-2")
    assert "hello" in await world.heard()
    assert await desk.page.evaluate("window.hacked") is None
    assert desk.complaints == []


async def test_who_is_heard_is_changed(world: World, mute_browser: Browser) -> None:
    desk = await desk_in(mute_browser, world.house, viewport=DESKTOP)
    await desk.open("/people")
    heard = desk.page.get_by_label("Heard are")
    await expect(heard).to_have_value("pairing")
    await heard.select_option("allowlist")
    await expect(desk.page.locator("#said")).to_contain_text("strangers are ignored")
    assert await world.access() == "allowlist"

    await heard.select_option("open")
    await expect(desk.page.locator("#ask-title")).to_have_text("Open @helper to anybody")
    await desk.page.keyboard.press("Escape")
    await expect(heard).to_have_value("allowlist")
    assert await world.access() == "allowlist"
    await heard.select_option("open")
    await desk.page.click("#ask-go")
    await expect(desk.page.locator("#said")).to_contain_text("Anybody who finds it")
    assert await world.access() == "open"
    await world.bots.write(world.connection, "from a stranger", sender="u-9")
    assert await world.heard() == ["from a stranger"]
    await desk.page.reload()
    await expect(heard).to_have_value("open")
    assert desk.complaints == []


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_everybody_can_use_it(world: World, mute_browser: Browser, viewport: ViewportSize) -> None:
    for scheme in ("light", "dark"):
        desk = await desk_in(mute_browser, world.house, viewport=viewport, color_scheme=scheme)
        await desk.open("/people")
        await add(desk, f"u-{scheme}", f"Konstantinos Papadopoulos-Vandenberghe {scheme}")
        await desk.page.evaluate(AXE)
        assert await desk.page.evaluate(AXE_RUN) == []
        await desk.page.get_by_role("button", name="Keep out").first.click()
        assert await desk.page.evaluate(AXE_RUN) == []
        assert not await desk.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        await desk.page.context.close()


async def test_the_home_page_is_told_of_a_message_and_does_not_ask_for_it(
    world: World, mute_browser: Browser
) -> None:
    await world.agent.patch(f"/api/connections/{world.connection}", json={"access": "open"})
    desk = await desk_in(mute_browser, world.house, viewport=DESKTOP)
    # No timer of the page ends any more: what appears now the stream has brought.
    await desk.page.evaluate(
        "() => { const real = setTimeout; window.setTimeout = (act, ms) => real(act, ms > 1000 ? 1e9 : ms) }"
    )
    await world.bots.write(world.connection, "first", sender="u-1", name="Mira")
    await expect(desk.page.locator("#inbox")).to_contain_text("first")
    await world.bots.write(world.connection, "second", sender="u-1", name="Mira")
    await expect(desk.page.locator("#inbox")).to_contain_text("second")
    assert desk.complaints == []
