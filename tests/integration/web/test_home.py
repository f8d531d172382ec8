"""Home: the newcomer's way to an agent that talks, and what needs its owner."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.support.desk import DESKTOP, LOADED, PROBE, Desk, desk_in
from tests.support.visitors import House, calling, join, tone, visit
from tests.support.waiting import BOUND_S, until_told

expect.set_options(timeout=BOUND_S * 1000)


@pytest.fixture
async def desk(mute_browser: Browser, house: House) -> AsyncGenerator[Desk]:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    yield desk
    assert desk.complaints == []
    assert await desk.page.evaluate("window.hacked") is None


def changed(tmp_path: Path, statement: str, **values: object) -> int:
    """Behind the gateway's back: how many rows."""
    with closing(sqlite3.connect(tmp_path / "data" / "chamade.db", timeout=BOUND_S)) as conn, conn:
        conn.execute(statement, values)
        return conn.total_changes


async def test_from_a_key_to_an_agent_that_talks(desk: Desk, house: House, mute_browser: Browser) -> None:
    page, done = desk.page, desk.page.locator("#first-list .done b")
    await expect(done).to_have_text(["Make a key"])
    await expect(page.locator("#first-list .current")).to_contain_text("Connect a client")
    assert await desk.violations("first steps") == []
    async with house.agent() as agent:
        (await agent.get("/api/account")).raise_for_status()
        await expect(page.locator("#first-count")).to_have_text("2 of 6 done")
        await page.click("#first-list [data-act=link]")
        await page.wait_for_selector("#made[open]")
        link = await page.input_value("#made-url")
        await page.keyboard.press("Escape")
        person = await visit(mute_browser, link, "Mira")
        await person.fill("#message", "Hello")
        await person.click("#send")
        await expect(page.locator("#first-count")).to_have_text("4 of 6 done")
        await agent.post("/api/dm/chat", json={"platform": "web", "text": "Hi"})
        await expect(page.locator("#first-list .current")).to_contain_text("A first call")
        await page.click("#first-list [data-act=call]")
        await page.wait_for_selector("#made[open]")
        room = await page.input_value("#made-url")
        await page.keyboard.press("Escape")
        async with calling(house, room):
            await expect(page.locator("#first-title")).to_have_text("Your agent talks with people")
        await page.reload()  # shown to its end, it does not come back
        await page.wait_for_selector(LOADED)
        await expect(page.locator("#first-card")).to_be_hidden()


async def test_rings_show_who_speaks(browser: Browser, house: House) -> None:
    desk = await desk_in(browser, house, viewport=DESKTOP)
    page = desk.page
    call_row = page.locator("#calls [data-call]")
    async with calling(house) as call:
        await expect(call_row.locator(".disc")).to_have_count(1)  # the agent alone
        person = await visit(browser, call.meeting_url, "Mira")
        await join(person)
        await expect(call_row.locator("b")).to_have_text("Mira")
        await expect(call_row.locator(".speaks")).to_contain_text("Mira speaks")
        mira, agent = call_row.locator(".disc").first, call_row.locator(".disc.agent")
        assert 0.5 < await level_of(mira) <= 1  # a tone at half of full scale
        assert await level_of(agent) == 0
        assert await desk.violations("a live call") == []
        await person.click("#mute")
        await expect(call_row.locator(".speaks")).to_have_text("")
        await call.socket.send(tone(1.5))
        await expect(call_row.locator(".speaks")).to_contain_text("The agent speaks")
        await page.wait_for_function(
            "() => Number(getComputedStyle(document.querySelector('.disc.agent'))"
            ".getPropertyValue('--level')) === 0"
        )
        await person.close()
        await expect(call_row.locator("b")).to_have_text("Nobody else is there yet")
    assert desk.complaints == []


async def level_of(disc: Locator) -> float:
    return float(await disc.evaluate("disc => getComputedStyle(disc).getPropertyValue('--level')"))


async def test_what_needs_somebody_is_mended_or_put_aside(
    desk: Desk, house: House, mute_browser: Browser, tmp_path: Path
) -> None:
    page, needs = desk.page, desk.page.locator("#needs-list li")
    await page.click("#first-close")
    await expect(page.locator("#first-card")).to_be_hidden()
    async with house.agent() as agent:
        link = (await agent.post("/api/invite-link", json={"platform": "web"})).json()["url"]
        person = await visit(mute_browser, link, PROBE[:40])
        await person.fill("#message", "Hello")
        await person.click("#send")
        await expect(page.locator("#inbox li")).to_have_count(1)
        said = await agent.post("/api/dm/chat", json={"platform": "web", "text": "Hi"})
        (conversation,) = (await agent.get("/api/inbox")).json()["conversations"]

        async def has_read() -> bool:
            whole = await agent.get(f"/api/inbox/{conversation['conversation_id']}")
            return whole.json()["messages"][-1]["status"] == "read"

        await until_told(has_read)
        await person.close()
        failed = "UPDATE messages SET status = 'failed', detail = :why WHERE id = :id"
        assert changed(tmp_path, failed, why=PROBE, id=said.json()["message_id"]) == 1
        refused = (
            "UPDATE api_keys SET refused_at = :at, revoked_at = :at, name = 'laptop' WHERE name = 'test'"
        )
        assert changed(tmp_path, refused, at="2199-01-01T00:00:00.000000Z") == 1

    await desk.open("")
    await expect(needs).to_have_count(2)
    await expect(needs.first).to_contain_text("laptop")
    await expect(needs.first).to_contain_text("It was revoked.")
    await expect(needs.nth(1)).to_contain_text(PROBE)
    await expect(needs.nth(1).locator("b")).to_have_text(PROBE[:40])
    assert await desk.violations("needs") == []
    await needs.nth(1).get_by_role("button", name="Send again").click()
    await expect(needs).to_have_count(1)
    await expect(page.locator("#needs-title")).to_be_focused()
    await page.reload()
    await page.wait_for_selector(LOADED)
    await expect(needs).to_have_count(1)
    await expect(page.locator("#first-card")).to_be_hidden()
