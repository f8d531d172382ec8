"""The dashboard's platforms and connections: signing in at one, trying one, mending one."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.desk import AXE, AXE_RUN, DESKTOP, Desk, desk_in
from tests.support.requirement import requirement
from tests.support.slack_app import Shop, shop
from tests.support.visitors import House


@dataclass(frozen=True, slots=True)
class Office:
    shop: Shop
    desk: Desk

    @property
    def page(self) -> Page:
        return self.desk.page

    async def agree(self, decision: str = "Allow") -> None:
        """On Slack's page, which the browser is on its way to."""
        await self.page.get_by_role("button", name=decision).click()
        await self.page.wait_for_url(f"{self.desk.url}/dashboard**")
        await self.page.wait_for_selector("main:not([data-loading])")


@pytest.fixture
async def office(tmp_path: Path, mute_browser: Browser) -> AsyncGenerator[Office]:
    async with shop(tmp_path) as open_shop:
        desk = await desk_in(mute_browser, House(open_shop.gateway.url, ""), viewport=DESKTOP)
        yield Office(open_shop, desk)
        assert desk.complaints == []


async def test_slack_is_connected_and_connected_again(office: Office) -> None:
    page, slack = office.page, office.shop.slack
    slack.person("Ann Lee")
    await page.get_by_role("button", name="Connect: Slack").click()
    await office.agree("Cancel")
    await expect(page.locator("#returned")).to_have_text("Slack was not connected. You said no there.")
    await page.get_by_role("button", name="Connect: Slack").click()
    await office.agree()
    await expect(page.locator("#returned")).to_have_text("Slack is connected.")
    await expect(page.locator("#platforms .tie")).to_contain_text("@chamade (Acme)")
    await expect(page.get_by_role("button", name="Add another: Slack")).to_be_visible()
    (token,) = slack.installed(office.shop.app)
    slack.uninstall(token)
    (connection,) = await office.shop.connections()
    await office.shop.gateway.state(connection["id"], "auth_needed")
    await office.desk.open("")
    await expect(page.locator("#mend-list")).to_contain_text("Slack no longer lets it in")
    await page.get_by_role("button", name="Sign in again: @chamade (Acme)").click()
    await office.agree()
    await office.shop.gateway.state(connection["id"], "ok")
    await office.desk.open("")
    await expect(page.locator("#mend-card")).to_be_hidden()


@requirement("R-247")
async def test_a_connection_is_tried(office: Office) -> None:
    page, slack = office.page, office.shop.slack
    ann = slack.person("Ann Lee")
    await office.shop.install(ann.id)
    (token,) = slack.installed(office.shop.app)
    direct = slack.direct(token, ann)
    await office.desk.open("")
    await page.get_by_role("button", name="Test @chamade (Acme)").click()
    await expect(page.locator("#platforms .tie")).to_contain_text("It works. Nobody was written to")
    slack.say(token, ann, "hello")
    (message,) = await office.shop.gateway.heard()
    await office.shop.gateway.post("/api/operator", conversation_id=message["conversation_id"])
    await page.get_by_role("button", name="Test @chamade (Acme)").click()
    await expect(page.locator("#platforms .tie")).to_contain_text("A message is on its way to you")
    assert slack.said(token, direct)[-1]["text"].startswith("This is a test message")
    slack.archive(direct)
    await page.get_by_role("button", name="Test @chamade (Acme)").click()
    await expect(page.locator("#platforms .tie")).to_contain_text("The channel is archived (is_archived).")
    # The browser itself notes that the gateway answered with an error.
    assert [text for text in office.desk.complaints if "status of 502" not in text] == []
    office.desk.complaints.clear()


async def test_how_to_mend_a_bot_of_ones_own(office: Office) -> None:
    page, slack, gateway = office.page, office.shop.slack, office.shop.gateway
    connection, token = await office.shop.bring("helper")
    slack.uninstall(token)
    await gateway.state(connection, "auth_needed")
    await office.desk.open("")
    await page.evaluate(AXE)
    assert await page.evaluate(AXE_RUN) == []
    await page.get_by_role("button", name="Mend @helper (Acme)").click()
    await expect(page.locator("#mend-code")).to_contain_text(f"/api/connections/{connection}")
    await page.locator("#mend").get_by_role("button", name="Done").click()
