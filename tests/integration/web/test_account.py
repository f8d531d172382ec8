"""Accounts as people meet them: from a link to the way out, in a real browser at a real gateway."""

import asyncio
import re
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from chamade_mcp.core.sign_ins import GRACE
from chamade_mcp.kit.clock import SystemClock
from tests.support.desk import (
    DESKTOP,
    EMAIL,
    LOADED,
    PASSWORD,
    PHONE,
    Desk,
    desk_in,
)
from tests.support.letterbox import Sink, smtp_sink
from tests.support.visitors import House, open_house
from tests.support.waiting import BOUND_S

NEW_PASSWORD = "other good words"
PROBE = '<img src=x onerror="window.hacked=1">'


DIALOGS = {
    "#change-email": "#email-dialog",
    "#change-password": "#password-dialog",
    "#delete": "#delete-dialog",
}


class Later(SystemClock):
    """The time of day, and a while after it."""

    def __init__(self) -> None:
        self.later = GRACE * 0

    def now(self):
        return super().now() + self.later


def serious(desk: Desk) -> list[str]:
    """What the page complained about, but for answers that the test asked for."""
    return [one for one in desk.complaints if "Failed to load resource" not in one]


async def sign_in(page: Page, email: str, password: str) -> None:
    await page.fill("#email", email)
    await page.fill("#password", password)
    await page.click("button.primary")


async def give_password(page: Page, password: str) -> None:
    await page.wait_for_selector("#person[open]")
    await page.fill("#person-password", password)
    await page.click("#person-go")


async def test_a_person_is_invited_joins_and_gets_in_again(mute_browser: Browser, tmp_path: Path) -> None:
    async with smtp_sink() as sink, open_house(tmp_path / "data", smtp_url=sink.url) as house:
        desk = await desk_in(mute_browser, house, viewport=DESKTOP)
        await desk.open("/account")
        page = desk.page
        await page.fill("#invite-email", "ben@")
        await page.click("#invite-form button")
        await expect(page.locator("#invite-error")).to_have_text("This must be an e-mail address.")
        await page.fill("#invite-email", "ben@example.org")
        await page.click("#invite-form button")
        await expect(page.locator("#invitations")).to_contain_text("ben@example.org")
        await expect(page.locator("#invite-form [data-done]")).to_contain_text(
            "on its way to ben@example.org"
        )
        assert serious(desk) == []

        ben = await (await mute_browser.new_context()).new_page()
        ben.set_default_timeout(BOUND_S * 1000)
        await ben.goto(await sink.box.link_to("ben@example.org", "/welcome"))
        await ben.fill("#name", PROBE)
        await ben.fill("#password", "password1")
        await ben.click("button.primary")
        await expect(ben.locator("#error")).to_contain_text("one of those that are tried first")
        await expect(ben.locator("#name")).to_have_value(PROBE)
        await expect(ben.locator("#password")).to_be_focused()
        await ben.fill("#password", PASSWORD)
        await ben.click("[data-reveal]")
        await expect(ben.locator("#password")).to_have_attribute("type", "text")
        await ben.click("button.primary")
        await ben.wait_for_selector(LOADED)
        await ben.goto(f"{house.url}/dashboard/account")
        await expect(ben.locator("#name")).to_have_value(PROBE)
        await expect(ben.locator("#invite-card")).to_be_hidden()
        assert await ben.evaluate("window.hacked") is None
        await expect(page.locator("#invitations li")).to_have_count(0, timeout=20_000)

        await forgotten(ben, house, sink)


async def forgotten(ben: Page, house: House, sink: Sink) -> None:
    await ben.get_by_role("button", name="Sign out", exact=True).click()
    await ben.click("text=Forgotten your password?")
    await ben.fill("#email", "ben@example.org")
    await ben.click("button.primary")
    await expect(ben.locator("h1")).to_have_text("Look into your mail")
    await ben.goto(await sink.box.link_to("ben@example.org", "/new-password"))
    await ben.fill("#password", NEW_PASSWORD)
    await ben.click("button.primary")
    await expect(ben.locator("h1")).to_have_text("You have a new password")
    await ben.click("text=Sign in")
    await sign_in(ben, "ben@example.org", PASSWORD)
    await expect(ben.locator("#error")).to_have_text("The e-mail address or the password is wrong.")
    await sign_in(ben, "ben@example.org", NEW_PASSWORD)
    await ben.wait_for_selector(LOADED)


async def test_address_and_password_are_changed(mute_browser: Browser, tmp_path: Path) -> None:
    clock = Later()
    async with smtp_sink() as sink, open_house(tmp_path / "data", clock=clock, smtp_url=sink.url) as house:
        desk = await desk_in(mute_browser, house, viewport=DESKTOP)
        other = await desk_in(mute_browser, house, viewport=DESKTOP)
        page = desk.page
        await desk.open("/account")
        await page.fill("#name", PROBE)
        await page.click("#name-form button")
        await expect(page.locator("#name-form [data-done]")).to_have_text("Saved")

        await page.click("#change-email")
        await page.fill("#email-form-new_email", "new@")
        await page.click("#email-form .strong")
        await expect(page.locator("#email-form-new_email-error")).to_have_text(
            "This must be an e-mail address."
        )
        clock.later = GRACE
        await page.fill("#email-form-new_email", "new@example.org")
        await page.click("#email-form .strong")
        await give_password(page, "wrong")
        await expect(page.locator("#person-error")).to_have_text("That is not your password.")
        await give_password(page, PASSWORD)
        await expect(page.locator("#email-note")).to_contain_text("on its way to new@example.org")
        await expect(page.locator("#email")).to_have_text(EMAIL)
        await page.goto(await sink.box.link_to("new@example.org", "/new-email"))
        await page.click("button.primary")
        await expect(page.locator("h1")).to_have_text("Confirmed")
        await desk.open("/account")
        await expect(page.locator("#email")).to_have_text("new@example.org")

        await page.click("#change-password")
        await page.fill("#password-form-current_password", "wrong")
        await page.fill("#password-form-new_password", NEW_PASSWORD)
        await page.click("#password-form .strong")
        await expect(page.locator("#password-form-current_password-error")).to_have_text(
            "This is not your password."
        )
        await page.fill("#password-form-current_password", PASSWORD)
        await page.fill("#password-form-new_password", "password1")
        await page.click("#password-form .strong")
        await expect(page.locator("#password-form-new_password-error")).to_be_visible()
        await page.fill("#password-form-new_password", NEW_PASSWORD)
        await page.click("#password-form .strong")
        await expect(page.locator("#password-dialog")).not_to_have_attribute("open", "")
        await expect(page.locator("#sign-ins li")).to_have_count(1)
        # Not by opening it: that page may be just leaving by itself.
        asked = await other.page.request.get(f"{house.url}/dashboard", max_redirects=0)
        assert asked.headers["location"].startswith("/sign-in?")
        assert serious(desk) == []
        assert await page.evaluate("window.hacked") is None


async def test_what_was_typed_outlives_a_sign_in(mute_browser: Browser, tmp_path: Path) -> None:
    nobody = "127.0.0.1:9"
    async with (
        open_house(tmp_path / "data", webhook_private_hosts=nobody) as house,
        house.agent() as agent,
    ):
        desk = await desk_in(mute_browser, house, viewport=DESKTOP)
        page = desk.page
        await desk.open("/webhooks")
        await page.click("#create")
        await page.fill("#webhook-url", f"http://{nobody}/hook")
        await page.fill("#webhook-description", "a name that took a while")
        assert (await agent.delete("/api/sign-ins")).json()["ended"] == 1
        await page.click("#webhook-form [type=submit]")
        await give_password(page, PASSWORD)
        await expect(page.locator("#webhooks")).to_contain_text("a name that took a while")
        await page.get_by_role("button", name="Sign out").click()
        await page.wait_for_url(f"{house.url}/sign-in")
        assert (await agent.get("/api/sign-ins")).json() == {"sign_ins": []}
        assert serious(desk) == []


async def test_browsers_are_signed_out_from_the_page(mute_browser: Browser, house: House) -> None:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    for _ in range(2):
        await desk_in(mute_browser, house, viewport=PHONE)
    await desk.open("/account")
    rows = desk.page.locator("#sign-ins li")
    await expect(rows).to_have_count(3)
    await expect(rows.filter(has_text="here")).to_contain_text("Chrome on Linux")
    await rows.get_by_role("button").first.click()
    await expect(rows).to_have_count(2)
    await expect(desk.page.locator("#sign-ins-title")).to_be_focused()
    await desk.page.click("#end-others")
    await expect(rows).to_have_count(1)
    await expect(desk.page.locator("#end-others")).to_be_hidden()
    assert serious(desk) == []


async def test_the_way_out(mute_browser: Browser, tmp_path: Path) -> None:
    clock = Later()
    async with open_house(tmp_path / "data", clock=clock) as house:
        desk = await desk_in(mute_browser, house, viewport=PHONE)
        page = desk.page
        await desk.open("/account")
        await page.click("#delete")
        async with page.expect_download() as download:
            await page.click("#delete-dialog a[download]")
        exported = await (await download.value).path()
        assert EMAIL in await asyncio.to_thread(Path(exported).read_text)
        await expect(page.locator("#delete-go")).to_be_disabled()
        await page.fill("#delete-name", EMAIL)
        clock.later = GRACE
        await page.click("#delete-go")
        await page.wait_for_selector("#person[open]")
        await page.click("#person-leave")
        await expect(page.locator("#delete-error")).to_have_text("Nothing was done.")
        await page.click("#delete-go")
        await give_password(page, PASSWORD)
        await page.wait_for_url(re.compile("/sign-in"))
        async with httpx2.AsyncClient(base_url=house.url, headers={"x-api-key": house.key}) as agent:
            assert (await agent.get("/api/account")).status_code == 401
        assert serious(desk) == []


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
async def test_everybody_can_use_the_pages(
    mute_browser: Browser, house: House, viewport: ViewportSize, scheme: str
) -> None:
    desk = await desk_in(mute_browser, house, viewport=viewport, color_scheme=scheme)
    page, found = desk.page, list[str]()

    async def look(where: str) -> None:
        found.extend(await desk.violations(where))

    await desk.open("/account")
    await look("account")
    await page.fill("#invite-email", f"{'long' * 15}@{'name.' * 20}example.org")
    await page.click("#invite-form button")
    await page.wait_for_selector("#invited:not([hidden])")
    link = await page.input_value("#invited-link")
    await look("invited")
    for button, dialog in DIALOGS.items():
        await page.click(button)
        await page.wait_for_selector(f"{dialog}[open]")
        await look(dialog)
        await page.keyboard.press("Escape")
    assert desk.complaints == []
    await page.context.clear_cookies()
    await page.goto(link)
    await look("welcome")
    await page.goto(f"{house.url}/forgot-password")
    await page.click("button.primary")
    await expect(page.locator("#error")).to_be_visible()
    await look("an error at its field")
    assert found == []
