"""Every page: fit for everybody, light, and deaf to what strangers have put in.

In light and dark, on a desktop and on a phone: axe finds nothing, nothing is wider than the screen, no markup
of a stranger's has become an element.
"""

from collections.abc import AsyncGenerator
from typing import Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from chamade_mcp.web.navigation import NAVIGATION
from tests.support.desk import DESKTOP, LOADED, PHONE, Desk, desk_in
from tests.support.strangers import Besieged, besieged
from tests.support.visitors import open_browser, visit
from tests.support.waiting import BOUND_S

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=BOUND_S * 1000)

PAGE_LIMIT_BYTES = 100_000
WEIGHT = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter(({ name, initiatorType }) => initiatorType === "navigation" || name.includes("/static/"))
  .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)"""
HARM = (
    """() => [window.hacked, ...document.querySelectorAll("img[src='x'], [onerror], [onload]")].map(String)"""
)
LOOKS: tuple[tuple[Literal["light", "dark"], bool], ...] = (
    ("light", False),
    ("dark", False),
    ("dark", True),
    ("light", True),
)

DASHBOARD = [entry.path for group in NAVIGATION for entry in group]
OF_ONE = ("/platforms/botted", "/inbox/{talk}", "/inbox/{chat}", "/calls/{call}", "/webhooks/{webhook}")
OTHER = ("/account", "/nothing")
NO_STRANGERS = ("/connect", "/usage", *OTHER)
PUBLIC = (
    "/sign-in",
    "/sign-up",
    "/forgot-password",
    "/welcome/gone",
    "/status",
    "/docs",
    "/r/gone",
    "/c/gone",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Besieged]:
    async with besieged(tmp_path_factory.mktemp("house") / "data") as town:
        yield town


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncGenerator[Browser]:
    async with open_browser(None) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(chromium: Browser, town: Besieged) -> Desk:
    return await desk_in(chromium, town.house, viewport=DESKTOP, reduced_motion="reduce")


async def look(page: Page, url: str) -> list[str]:
    """At the page as it stands, from all sides."""
    seen, found = Desk(page, url, []), list[str]()
    for scheme, small in LOOKS:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.set_viewport_size(PHONE if small else DESKTOP)
        found += await seen.violations(f"{scheme}, {'phone' if small else 'desktop'}")
    weight = await page.evaluate(WEIGHT)
    assert 0 < weight < PAGE_LIMIT_BYTES
    assert await page.evaluate(HARM) == ["undefined"]
    return found


@pytest.mark.parametrize("path", [*DASHBOARD, *OF_ONE, *OTHER])
async def test_of_the_dashboard(desk: Desk, town: Besieged, path: str) -> None:
    talk, chat = town.conversations
    await desk.page.set_viewport_size(DESKTOP)
    whole = path.format(talk=talk, chat=chat, call=town.call, webhook=town.webhook)
    await desk.page.goto(f"{desk.url}/dashboard{whole}")
    await desk.page.wait_for_selector(LOADED)
    assert await desk.page.evaluate("window.shifted") < 0.01
    told = await desk.text_of("main")
    assert ("window.hacked=1" in told) is (path not in NO_STRANGERS)
    assert await look(desk.page, desk.url) == []
    # The browser itself says that there is nothing where nothing is.
    assert [one for one in desk.complaints if path != "/nothing" or "404" not in one] == []
    desk.complaints.clear()


@pytest.mark.parametrize("path", PUBLIC)
async def test_for_everybody(chromium: Browser, town: Besieged, path: str) -> None:
    page = await visit(chromium, f"{town.house.url}{path}", "Ann")
    assert await look(page, town.house.url) == []
    await page.context.close()


async def test_of_people_in_the_browser(chromium: Browser, town: Besieged) -> None:
    chat = await visit(chromium, town.chat, "Ann")
    await expect(chat.locator("#message")).to_be_visible()
    assert await look(chat, town.house.url) == []
    room = await visit(chromium, town.room, "Ann")
    await expect(room.locator("#join-quiet")).to_be_visible()
    assert await look(room, town.house.url) == []
    await room.click("#join-quiet")
    await expect(room.locator("#room .who")).to_have_count(3)
    assert await look(room, town.house.url) == []
    for page in (chat, room):
        await page.context.close()


async def test_of_consent(desk: Desk, town: Besieged) -> None:
    await desk.page.goto(town.question)
    await expect(desk.page.get_by_role("button", name="Allow")).to_be_enabled()
    assert await look(desk.page, desk.url) == []
