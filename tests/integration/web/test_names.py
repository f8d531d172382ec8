"""Names and words of people on every platform, as its own connector brings them: never markup on a page."""

from pathlib import Path

import httpx2
from playwright.async_api import Browser, expect

from chamade_mcp.app.first_start import OWNER_EMAIL
from chamade_mcp.app.sandbox import sandbox, stages
from chamade_mcp.app.settings import Settings
from tests.support.desk import LOADED, PROBE
from tests.support.waiting import BOUND_S

NAME = PROBE[:40]


async def test_of_people_on_every_platform(mute_browser: Browser, tmp_path: Path) -> None:
    page = await (await mute_browser.new_context()).new_page()
    page.set_default_timeout(BOUND_S * 1000)
    async with (
        sandbox(Settings(host="127.0.0.1", port=0), tmp_path) as it,
        httpx2.AsyncClient(base_url=it.page_url, headers={"x-sandbox": "1"}) as people,
    ):
        for platform in stages():
            said = {"platform": platform, "person": NAME, "text": PROBE}
            assert (await people.post("/write", json=said)).status_code == 204
        await page.goto(f"{it.url}/sign-in")
        await page.fill("#email", OWNER_EMAIL)
        await page.fill("#password", it.password)
        await page.press("#password", "Enter")
        await page.wait_for_selector(LOADED)
        await page.goto(f"{it.url}/dashboard/inbox")
        rows = page.locator("#inbox li")
        await expect(rows).to_have_count(len(stages()))
        assert set(await rows.locator("b").all_inner_texts()) == {NAME}
        for at in range(len(stages())):
            await rows.nth(at).locator("a").click()
            await page.wait_for_selector(f"{LOADED} #messages li")
            await expect(page.locator("#messages .person").first).to_contain_text("window.hacked=1")
            assert await page.evaluate("window.hacked") is None
            assert await page.locator("main img[src=x], main [onerror]").count() == 0
