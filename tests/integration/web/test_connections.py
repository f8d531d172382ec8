"""A platform's page: signing in at one, trying a connection, mending one, ending one."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.desk import DESKTOP, LOADED, PHONE, PROBE, Desk, desk_in
from tests.support.requirement import requirement
from tests.support.slack_app import Shop, shop
from tests.support.visitors import House

INSTALLED = "@chamade (Acme)"


@dataclass(frozen=True, slots=True)
class Office:
    shop: Shop
    desk: Desk

    @property
    def page(self) -> Page:
        return self.desk.page

    @property
    def note(self) -> Locator:
        """What a test of the only connection has shown."""
        return self.page.locator(".bot-card > .note")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def go_to_slack(self, decision: str = "Allow") -> None:
        """By the first way of Slack's page, and back."""
        await self.desk.open("/platforms/slack")
        guide = self.page.locator(".guide").first
        if await guide.get_attribute("open") is None:
            await guide.locator("summary").click()
        await self.button("Go to Slack").click()
        await self.agree(decision)

    async def agree(self, decision: str = "Allow") -> None:
        """On Slack's page, which the browser is on its way to."""
        await self.page.get_by_role("button", name=decision).click()
        await self.page.wait_for_url(f"{self.desk.url}/dashboard/platforms**")
        await self.page.wait_for_selector(LOADED)

    def forgive(self, status: int) -> None:
        """The browser itself notes that the gateway answered with an error."""
        rest = [text for text in self.desk.complaints if f"status of {status}" not in text]
        self.desk.complaints[:] = rest


@pytest.fixture
async def office(tmp_path: Path, mute_browser: Browser) -> AsyncGenerator[Office]:
    async with shop(tmp_path) as open_shop:
        desk = await desk_in(mute_browser, House(open_shop.gateway.url, ""), viewport=DESKTOP)
        yield Office(open_shop, desk)
        assert desk.complaints == []


async def test_slack_is_connected_and_connected_again(office: Office) -> None:
    page, slack = office.page, office.shop.slack
    slack.person("Ann Lee")
    await office.go_to_slack("Cancel")
    await expect(page.locator("#returned")).to_have_text("Slack was not connected. You said no there.")
    await office.go_to_slack()
    await expect(page.locator("#returned")).to_have_text("Slack is connected.")
    await expect(page.locator("#bots")).to_contain_text(INSTALLED)
    await expect(page.locator("#platforms")).to_contain_text(f"Connected as {INSTALLED}")
    await office.desk.open("/platforms/slack")
    (token,) = slack.installed(office.shop.app)
    slack.uninstall(token)
    await expect(page.locator(".bot-card")).to_contain_text("Signed out")  # without a reload
    (connection,) = await office.shop.connections()
    await office.desk.open("")
    await expect(page.locator("#needs-list")).to_contain_text("Slack no longer lets it in")
    await office.desk.open("/platforms/slack")
    await office.button(f"Sign in again: {INSTALLED}").click()
    await office.agree()
    await office.shop.gateway.state(connection["id"], "ok")
    await office.desk.open("")
    await expect(page.locator("#needs-card")).to_be_hidden()


@requirement("R-247")
async def test_a_connection_is_tried(office: Office) -> None:
    slack = office.shop.slack
    ann = slack.person("Ann Lee")
    await office.shop.install(ann.id)
    (token,) = slack.installed(office.shop.app)
    direct = slack.direct(token, ann)
    await office.desk.open("/platforms/slack")
    await office.button(f"Test: {INSTALLED}").click()
    await expect(office.note).to_contain_text("It works. Nobody was written to")
    slack.say(token, ann, "hello")
    (message,) = await office.shop.gateway.heard()
    await office.shop.gateway.post("/api/operator", conversation_id=message["conversation_id"])
    await office.button(f"Test: {INSTALLED}").click()
    await expect(office.note).to_contain_text("A message is on its way to you")
    assert slack.said(token, direct)[-1]["text"].startswith("This is a test message")
    slack.archive(direct)
    await office.button(f"Test: {INSTALLED}").click()
    await expect(office.note).to_contain_text("The channel is archived (is_archived).")
    office.forgive(502)


async def test_a_bot_of_ones_own_is_mended_and_its_name_does_nothing(office: Office) -> None:
    page, slack, gateway = office.page, office.shop.slack, office.shop.gateway
    connection, token = await office.shop.bring(PROBE)
    slack.uninstall(token)
    await gateway.state(connection, "auth_needed")
    await office.desk.open("")
    await page.get_by_role("link", name="Mend").click()
    await page.wait_for_selector(LOADED)
    await office.page.get_by_role("button", name="New credentials").click()
    form = page.locator(".renewal form")
    await form.get_by_role("button", name="Save").click()
    await expect(form.locator("> .error")).to_have_text("Nothing was typed.")
    await form.get_by_label("Bot User OAuth Token", exact=True).fill("mistaken")
    await form.get_by_role("button", name="Save").click()
    words = "Bot User OAuth Token is no Bot User OAuth Token: xoxb-..."
    await expect(form.locator(".field .error").first).to_contain_text(words)
    other = slack.new_app("other")
    await form.get_by_label("Bot User OAuth Token", exact=True).fill(other)
    await form.get_by_role("button", name="Save").click()
    await expect(form.locator("> .error")).to_have_text("Slack refuses these credentials: invalid_auth.")
    await expect(form.get_by_label("Bot User OAuth Token", exact=True)).to_have_value(other)
    office.forgive(422)
    office.forgive(400)
    assert await office.desk.violations("mending") == []
    for view in (PHONE, DESKTOP):
        await page.set_viewport_size(view)
        assert await office.desk.violations(f"{view['width']}") == []
    await office.desk.open("/platforms")
    await expect(page.locator("#platforms")).to_contain_text(f"Signed out: @{PROBE} (Acme)")
    await page.get_by_role("button", name="Disconnect: ").click()
    await expect(page.locator("#sure-what")).to_have_text(f"@{PROBE} (Acme)")
    assert await page.evaluate("window.hacked") is None
