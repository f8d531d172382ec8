"""From the page of platforms to a bot that answers: a newcomer at Telegram, and every platform's guide."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, expect
from starlette.types import ASGIApp

from chamade_mcp.connectors.telegram.emulator import TelegramEmulator
from tests.support.desk import DESKTOP, PHONE, Desk, desk_in
from tests.support.hosted import Hosted, hosted
from tests.support.server import serve
from tests.support.visitors import House

PLATFORMS = ("discord", "nctalk", "slack", "teams", "telegram", "web", "whatsapp")


@dataclass(frozen=True, slots=True)
class Desktop:
    telegram: TelegramEmulator
    gateway: Hosted
    desk: Desk

    @property
    def form(self) -> Locator:
        return self.desk.page.locator(".guide form")

    @property
    def card(self) -> Locator:
        return self.desk.page.locator(".bot-card")

    async def give(self, token: str) -> None:
        await self.form.get_by_label("Token", exact=True).fill(token)
        await self.form.get_by_role("button", name="Connect").click()


@pytest.fixture
async def desktop(tmp_path: Path, mute_browser: Browser) -> AsyncGenerator[Desktop]:
    telegram = TelegramEmulator()

    @asynccontextmanager
    async def running(url: str) -> AsyncGenerator[ASGIApp]:
        del url
        async with telegram.running():
            yield telegram.app

    async with (
        serve(running) as url,
        hosted(tmp_path / "data", {"telegram": {"api_url": url}}) as gateway,
    ):
        desk = await desk_in(mute_browser, House(gateway.url, ""), viewport=DESKTOP)
        yield Desktop(telegram, gateway, desk)
        assert desk.complaints == []


async def test_a_telegram_bot_is_connected_tried_and_disconnected(desktop: Desktop) -> None:
    desk, page, telegram = desktop.desk, desktop.desk.page, desktop.telegram
    await desk.open("/platforms")
    await expect(page.locator("#bots-empty")).to_be_visible()
    await page.get_by_role("link", name="Connect: Telegram").click()
    await desktop.form.get_by_role("button", name="Connect").click()
    await expect(desktop.form.locator(".error").first).to_have_text("Token is missing.")
    await desktop.give("mistaken")
    await expect(desktop.form.locator(".error").first).to_contain_text("is no token of BotFather's")
    token = telegram.new_bot("helper_bot")
    stale = f"{token}X"
    await desktop.give(stale)
    await expect(desktop.form.locator("> .error")).to_have_text(
        "Telegram refuses these credentials: Unauthorized."
    )
    await expect(desktop.form.get_by_label("Token", exact=True)).to_have_value(stale)
    await desktop.give(token)
    await expect(page.locator(".here .note")).to_contain_text("@helper_bot is connected.")
    await page.get_by_role("button", name="Test it").click()
    await expect(page.locator(".here [role=status]")).to_contain_text("It works.")
    await expect(page.locator("#platform-state")).to_have_text("Connected as @helper_bot")
    await expect(desktop.card.locator(".state-line")).to_have_text("Connected")
    await page.get_by_role("button", name="Test: @helper_bot").click()
    await expect(desktop.card.locator("> .note")).to_contain_text("It works.")
    await _answer_waits_out_an_outage(desktop, token)
    await _a_token_is_replaced(desktop, token)
    await desktop.card.get_by_label("Heard are").select_option("allowlist")
    (connection,) = (await desktop.gateway.get("/api/connections"))["connections"]
    await expect(page.locator("#said")).to_contain_text("strangers are ignored: that holds from now on")
    found = await desktop.gateway.get(f"/api/connections/{connection['id']}")
    assert found["access"] == "allowlist"
    await page.get_by_role("button", name="Disconnect: @helper_bot").click()
    await expect(page.locator("#sure-go")).to_be_disabled()
    await page.fill("#sure-name", "@helper_bot")
    await page.click("#sure-go")
    await expect(desktop.card).to_have_count(0)
    assert (await desktop.gateway.get("/api/connections"))["connections"] == []
    texts = [text for text in desk.complaints if "status of 4" not in text]
    desk.complaints[:] = texts


async def _answer_waits_out_an_outage(desktop: Desktop, token: str) -> None:
    """What an agent says meanwhile is counted."""
    gateway, telegram, page = desktop.gateway, desktop.telegram, desktop.desk.page
    await desktop.card.get_by_label("Heard are").select_option("open")
    await page.click("#sure-go")
    await expect(page.locator("#sure")).to_be_hidden()
    telegram.say(token, telegram.person("Ann"), "hello")
    (message,) = await gateway.heard()
    telegram.down = True
    await gateway.api.post(
        "/api/dm/chat",
        json={"platform": "telegram", "conversation_id": message["conversation_id"], "text": "hi"},
    )
    await expect(desktop.card).to_contain_text("1 message waits to go out")
    telegram.down = False
    await expect(desktop.card).to_contain_text("nothing waits to go out", timeout=30_000)
    await expect(desktop.card.locator(".state-line")).to_have_text("Connected")


async def _a_token_is_replaced(desktop: Desktop, token: str) -> None:
    fresh = desktop.telegram.revoke(token)
    await expect(desktop.card.locator(".state-line")).to_have_text("Signed out")
    await desktop.card.get_by_role("button", name="New credentials").click()
    await desktop.card.get_by_label("Token", exact=True).fill(fresh)
    await desktop.card.get_by_role("button", name="Save").click()
    await expect(desktop.card.locator("> .note")).to_have_text("The platform takes the new credentials.")
    await expect(desktop.card.locator(".state-line")).to_have_text("Connected")


async def test_every_platform_has_a_guide_that_anybody_can_read(desktop: Desktop) -> None:
    desk, page = desktop.desk, desktop.desk.page
    found: list[str] = []
    for platform in PLATFORMS:
        await desk.open(f"/platforms/{platform}")
        await page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert await page.locator(".guide").count() > 0
        for view in (DESKTOP, PHONE):
            await page.set_viewport_size(view)
            found += await desk.violations(f"{platform} {view['width']}")
    assert found == []
    # This gateway's own addresses stand there, and what is typed fills in the rest.
    await desk.open("/platforms/discord")
    await page.get_by_label("Application ID").fill("112233445566778899")
    await expect(page.locator(".guide .code")).to_contain_text("client_id=112233445566778899&")
    await desk.open("/platforms/teams")
    await expect(page.locator(".guide .note.warn")).to_contain_text("which Microsoft Teams cannot call")
    await expect(page.locator(".guide .code").first).to_contain_text(f"{desk.url}/api/hooks/teams")
    await page.locator(".guide").get_by_role("button", name="Copy").first.click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == f"{desk.url}/api/hooks/teams"
    # A wrong address of somebody's own Nextcloud is told where it was typed, and stays there.
    await desk.open("/platforms/nctalk")
    place = page.get_by_label("Its address")
    await place.fill("https://ann:secret@cloud.example.org")
    await page.get_by_role("button", name="Go to Nextcloud Talk").click()
    await expect(page.locator(".guide [role=alert]", has_text="address of a Nextcloud")).to_be_visible()
    await expect(place).to_have_value("https://ann:secret@cloud.example.org")
    desk.complaints[:] = [text for text in desk.complaints if "status of 422" not in text]
    await desk.open("/platforms/web")
    await page.get_by_role("button", name="Make a link").click()
    await expect(page.get_by_role("textbox", name="Link")).to_have_value(re.compile(f"{desk.url}/c/.+"))
    await expect(page.get_by_role("img", name="The link as a QR code").locator("path")).to_have_count(2)
    assert await desk.violations("a link") == []
