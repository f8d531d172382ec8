"""The status page in a browser: live, and fit to be read by everybody."""

from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.support.desk import DESKTOP, PHONE, Desk, desk_in
from tests.support.visitors import House, open_house
from tests.support.waiting import BOUND_S

expect.set_options(timeout=BOUND_S * 1000)


async def looked_at(page: Page) -> None:
    """As when its tab comes to the front: it looks at once."""
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


async def test_it_is_true_while_it_is_looked_at(mute_browser: Browser, house: House) -> None:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP, reduced_motion="reduce")
    stranger = await (await mute_browser.new_context(viewport=DESKTOP)).new_page()
    found: list[str] = []
    for who, page in (("stranger", stranger), ("owner", desk.page)):
        await page.goto(f"{house.url}/status")
        await expect(page.locator("#all")).to_have_text("This gateway works")
        await expect(page.locator("#parts li")).to_have_count(4)
        await expect(page.locator("#up")).to_contain_text("for")
        looking = Desk(page, house.url, desk.complaints)
        found += await looking.violations(who)
        await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        await page.set_viewport_size(PHONE)
        found += await looking.violations(f"{who}, dark, on a phone")
    await expect(stranger.get_by_text("platforms")).to_have_count(0)
    await expect(desk.page.get_by_role("link", name="Connect a platform")).to_be_visible()

    await stranger.context.set_offline(True)
    await looked_at(stranger)
    await expect(stranger.locator("#all")).to_have_text("This gateway does not answer")
    await stranger.context.set_offline(False)
    await looked_at(stranger)
    await expect(stranger.locator("#all")).to_have_text("This gateway works")
    await expect(stranger.locator("#parts .dot.ok")).to_have_count(4)
    assert (found, desk.complaints) == ([], [])


async def test_the_owner_learns_of_a_disk_that_runs_full(mute_browser: Browser, tmp_path: Path) -> None:
    async with open_house(tmp_path / "data", free_bytes=lambda _: 120_000_000) as house:
        desk = await desk_in(mute_browser, house, viewport=DESKTOP, reduced_motion="reduce")
        need = desk.page.locator("#needs-list li")
        await expect(need).to_contain_text("The gateway's disk")
        await expect(need).to_contain_text("Only 120 MB are free where the gateway keeps its data.")
        found = await desk.violations("home")
        await need.get_by_role("link", name="See what is kept").click()
        await expect(desk.page.get_by_role("heading", name="How long things are kept")).to_be_visible()
        await desk.page.goto(f"{house.url}/status")
        await expect(desk.page.locator("#all")).to_have_text("This gateway works")
        disk = desk.page.locator("[data-part=disk]")
        await expect(disk).to_contain_text("Is nearly full")
        await looked_at(desk.page)
        await expect(disk.locator(".dot.warn")).to_have_count(1)
        found += await desk.violations("status")
        assert (found, desk.complaints) == ([], [])
