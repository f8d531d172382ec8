"""The documentation in a real browser: light and dark, desktop and phone, by keyboard, on paper."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, expect

from tests.support.desk import AXE, AXE_RUN, paints_within
from tests.support.visitors import House, open_browser, open_house
from tests.support.waiting import BOUND_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
WATCH = """document.addEventListener("securitypolicyviolation",
  ({ violatedDirective, blockedURI }) => console.error("CSP", violatedDirective, blockedURI));"""
PAINT_MS = 200
SOME = ("/docs", "/docs/clients", "/docs/errors", "/docs/running", "/docs/platforms", "/docs/api/calls")
"""All that there is on pages is on one of them: tables, code, lists, routes, long words."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    async with open_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncGenerator[Browser]:
    async with open_browser(None) as browser:
        yield browser


class Reader:
    """A browser at a gateway, and all that its pages complained about."""

    def __init__(self, context: BrowserContext, page: Page, url: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.set_default_timeout(BOUND_S * 1000)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def open(self, path: str = "/docs") -> Page:
        await self.page.goto(self.url + path)
        return self.page

    async def paths(self) -> list[str]:
        """Every page, as the list of them says."""
        page = await self.open()
        every = await page.eval_on_selector_all("#docs-chapters a", "(all) => all.map((a) => a.pathname)")
        return [path for path in every if path.startswith("/docs")]


async def reader_of(chromium: Browser, house: House, **options: Any) -> Reader:
    context = await chromium.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
    await context.add_init_script(WATCH)
    return Reader(context, await context.new_page(), house.url)


@pytest_asyncio.fixture(loop_scope="module")
async def reader(chromium: Browser, house: House) -> AsyncGenerator[Reader]:
    reader = await reader_of(chromium, house, viewport=DESKTOP)
    yield reader
    assert reader.complaints == []
    await reader.context.close()


@pytest.mark.parametrize(
    ("scheme", "viewport", "whole"),
    [("light", DESKTOP, True), ("dark", PHONE, True), ("dark", DESKTOP, False), ("light", PHONE, False)],
)
async def test_pages_are_accessible_and_fit(
    chromium: Browser, house: House, scheme: Any, viewport: ViewportSize, whole: bool
) -> None:
    reader = await reader_of(chromium, house, viewport=viewport, color_scheme=scheme)
    for path in await reader.paths() if whole else SOME:
        page = await reader.open(path)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width == viewport["width"], path
        if path in SOME or (viewport is DESKTOP and not path.startswith("/docs/api/")):
            await page.evaluate(AXE)
            assert await page.evaluate(AXE_RUN) == [], path
    assert reader.complaints == []
    await reader.context.close()


async def test_it_is_open_to_everybody_and_led_to_from_the_front(reader: Reader) -> None:
    page = await reader.open("/")
    await page.get_by_role("link", name="Documentation").click()
    await expect(page).to_have_url(f"{reader.url}/docs")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Chamade")
    await page.get_by_role("link", name="Next Your first agent").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Your first agent")
    await expect(page.locator("#docs-chapters [aria-current]")).to_have_text("Your first agent")


async def test_code_is_copied_as_it_stands_with_this_address(reader: Reader) -> None:
    page = await reader.open("/docs/clients")
    block = page.locator(".code").first
    await block.hover()
    await block.get_by_role("button").click()
    await expect(block.get_by_role("button")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == (
        f'claude mcp add --transport http chamade {reader.url}/mcp/ --header "Authorization: Bearer chmd_..."'
    )


async def test_search_by_keyboard(reader: Reader) -> None:
    page = await reader.open("/docs/files")
    await page.keyboard.press("/")
    await expect(page.locator("#docs-query")).to_be_focused()
    await page.keyboard.type("call_not")
    first = page.get_by_role("option").first
    await expect(first).to_contain_text("CALL_NOT_FOUND")
    await expect(first).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("ArrowDown")
    await expect(first).to_have_attribute("aria-selected", "false")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{reader.url}/docs/errors#CALL_NOT_FOUND")
    row = page.locator("tr:target")
    await expect(row).to_be_in_viewport()
    await expect(row).to_contain_text("no such call")

    await page.fill("#docs-query", "starter prompt")
    await page.get_by_role("option").first.click()
    await expect(page).to_have_url(f"{reader.url}/docs/polling#the-starter-prompt")
    await page.fill("#docs-query", "<img src=x onerror=alert(1)>")
    await expect(page.get_by_role("option")).to_have_text("Nothing has these words")
    await page.keyboard.press("Escape")
    await expect(page.locator("#docs-found")).to_be_hidden()


async def test_where_on_the_page_one_is(reader: Reader) -> None:
    page = await reader.open("/docs/inbox#sending-once")
    await expect(page.locator("#docs-toc .here")).to_have_text("Sending once")
    await page.evaluate("window.scrollTo(0, 0)")
    await expect(page.locator("#docs-toc .here")).to_have_count(0)


async def test_the_keyboard_comes_to_the_content_first(reader: Reader) -> None:
    page = await reader.open("/docs/errors")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#docs-main")).to_be_focused()


async def test_a_phone_has_the_contents_behind_a_button(chromium: Browser, house: House) -> None:
    reader = await reader_of(chromium, house, viewport=PHONE, has_touch=True)
    page = await reader.open("/docs/errors")
    chapters = page.locator("#docs-chapters")
    await expect(chapters).to_be_hidden()
    await page.get_by_role("button", name="Contents").tap()
    await expect(chapters).to_be_visible()
    box = await chapters.get_by_role("link", name="Webhooks", exact=True).first.bounding_box()
    assert box is not None
    assert box["height"] >= 40
    await chapters.get_by_role("link", name="Webhooks", exact=True).first.tap()
    await expect(page).to_have_url(f"{reader.url}/docs/webhooks")
    await expect(chapters).to_be_hidden()
    assert reader.complaints == []
    await reader.context.close()


async def test_it_reads_without_a_script(chromium: Browser, house: House) -> None:
    reader = await reader_of(chromium, house, viewport=DESKTOP, java_script_enabled=False)
    page = await reader.open("/docs/polling")
    await expect(page.get_by_role("heading", name="The starter prompt")).to_be_visible()
    await expect(page.get_by_role("link", name="Settings", exact=True)).to_be_visible()
    await expect(page.get_by_role("button")).to_have_count(0)
    await reader.context.close()


async def test_on_paper_there_is_the_text_alone(reader: Reader) -> None:
    page = await reader.open("/docs/webhooks")
    await page.emulate_media(media="print")
    await expect(page.locator(".doc h1")).to_be_visible()
    for gone in (".bar", "#docs-chapters", "#docs-toc", "footer"):
        await expect(page.locator(gone)).to_be_hidden()
    wrapped = await page.eval_on_selector(".code pre", "(pre) => getComputedStyle(pre).whiteSpace")
    assert wrapped == "pre-wrap"


async def test_it_is_there_at_once(reader: Reader) -> None:
    for path in ("/docs", "/docs/errors", "/docs/api/calls"):
        assert await paints_within(reader.page, partial(reader.open, path), PAINT_MS), path
