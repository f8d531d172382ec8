"""Calls that were, as the dashboard tells them."""

import json
from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Browser, ViewportSize, expect

from tests.support.desk import DESKTOP, LOADED, PHONE, PROBE, Desk, desk_in
from tests.support.visitors import House, calling, tone, visit
from tests.support.waiting import BOUND_S

LOADED_SOUND = """() => new Promise((done) => {
  const sound = document.querySelector("#sound");
  if (sound.readyState) done(sound.duration);
  else sound.addEventListener("loadedmetadata", () => done(sound.duration), { once: true });
})"""
HEARD = """(least) => new Promise((done) => {
  const sound = document.querySelector("#sound");
  sound.addEventListener("timeupdate", () => sound.currentTime > least && done());
})"""

expect.set_options(timeout=BOUND_S * 1000)


@pytest.fixture
async def call(house: House, mute_browser: Browser) -> str:
    """One that is over: Ann and the agent wrote, a line was said, and two seconds are recorded."""
    async with house.agent() as agent, calling(house) as call:
        here = f"/api/call/{call.call_id}"
        person = await visit(mute_browser, call.meeting_url, PROBE[:40])
        await person.click("#join-quiet")
        await person.wait_for_selector("#room .who")
        recording = (await agent.post(f"{here}/start_recording")).raise_for_status().json()
        await call.socket.send(json.dumps({"type": "transcript", "speaker": "Ann", "text": f"I say {PROBE}"}))
        await call.expect("call_transcript")
        await call.socket.send(tone(2))
        await person.fill("#message", f"I write {PROBE}")
        await person.click("#send")
        await call.expect("call_chat")
        (await agent.post(f"{here}/chat", json={"text": "I **answer**."})).raise_for_status()
        await call.socket.send(json.dumps({"type": "mark", "name": "said"}))
        await call.expect("mark_played")
        (await agent.post(f"{here}/stop_recording")).raise_for_status()
        assert recording["recording_id"]
        (await agent.delete(here)).raise_for_status()
        await person.context.close()
    return call.call_id


@pytest.fixture
async def desk(call: str, mute_browser: Browser, house: House) -> AsyncGenerator[Desk]:
    assert call
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    yield desk
    assert desk.complaints == []
    assert await desk.page.evaluate("window.hacked") is None


async def test_a_call_is_found_read_heard_and_forgotten(desk: Desk) -> None:
    page = desk.page
    await desk.open("")
    await page.get_by_role("link", name="Calls", exact=True).click()
    await page.wait_for_selector(LOADED)
    row = page.locator("#past li")
    await expect(row).to_have_count(1)
    await expect(row.locator("b")).to_have_text(PROBE[:40])
    await expect(row).to_contain_text("recorded")
    await expect(row).to_contain_text("2 messages")
    await row.locator("a").click()
    await page.wait_for_selector(LOADED)

    course = page.locator("#course > li")
    await expect(page.locator("#call-who")).to_have_text(PROBE[:40])
    kinds = [await li.get_attribute("class") for li in await course.all()]
    assert kinds == ["state", "recording", "speech", "chat", "chat", "recording", "state"]
    await expect(course.nth(2)).to_contain_text(f"I say {PROBE}")
    await expect(course.nth(4).locator("strong")).to_have_text("answer")
    await expect(course.nth(6)).to_contain_text("The call ended")

    assert await page.evaluate(LOADED_SOUND) > 1.5
    await course.nth(2).get_by_role("button").click()
    await page.evaluate(HEARD, 0.2)
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await expect(page.locator("#course > [data-now]")).to_have_count(1)
    await page.get_by_label("The agent").first.check()
    await page.evaluate(LOADED_SOUND)
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Download: Everybody").click()
    assert (await downloading.value).suggested_filename.endswith(".opus")

    await page.click("#drop-recording")
    await page.click("#sure-go")
    await expect(page.locator("#recording")).to_be_hidden()
    await page.click("#forget")
    await page.click("#sure-go")
    await page.wait_for_url("**/dashboard/calls")
    await expect(page.locator("#past-empty")).to_be_visible()


async def test_a_call_that_is_live_is_listed_and_grows(
    desk: Desk, house: House, mute_browser: Browser
) -> None:
    async with calling(house) as live:
        await desk.open("/calls")
        await expect(desk.page.locator("#past li")).to_have_count(2)
        await expect(desk.page.locator("#past li").first).to_contain_text("Live")
        await desk.open(f"/calls/{live.call_id}")
        await expect(desk.page.locator("#forget")).to_be_disabled()
        person = await visit(mute_browser, live.meeting_url, "Bea")
        await person.click("#join-quiet")
        await person.fill("#message", "here I am")
        await person.click("#send")
        await expect(desk.page.locator("#course")).to_contain_text("here I am")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_it(
    call: str, house: House, mute_browser: Browser, viewport: ViewportSize, scheme: str
) -> None:
    desk = await desk_in(mute_browser, house, viewport=viewport, color_scheme=scheme)
    found: list[str] = []
    for path in ("/calls", f"/calls/{call}"):
        await desk.open(path)
        found += await desk.violations(path)
        assert await desk.page.evaluate("window.shifted") < 0.01
    await desk.page.press("#forget", "Enter")
    found += await desk.violations("forget")
    assert found == []
    assert desk.complaints == []
