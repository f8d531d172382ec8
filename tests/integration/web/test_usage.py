"""The page of usage and limits, as its owner reads it."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, expect
from websockets.asyncio.client import ClientConnection, connect

from tests.support.desk import DESKTOP, PHONE, PROBE, desk_in
from tests.support.visitors import House, calling
from tests.support.waiting import BOUND_S

expect.set_options(timeout=BOUND_S * 1000)

FIGURES = Path(__file__).parents[3] / "chamade_mcp/web/static/figures.js"


@asynccontextmanager
async def guest(link: str) -> AsyncGenerator[ClientConnection]:
    """A person who has opened a private chat, without the cost of a browser."""
    url = re.sub(r"^http(.*)/c/", r"ws\1/live/web/", link)
    async with connect(url, compression=None, proxy=None, max_queue=None) as socket:
        await socket.send(json.dumps({"type": "hello", "name": PROBE[:40], "guest": None}))
        async with asyncio.timeout(BOUND_S):
            assert json.loads(await socket.recv())["type"] == "welcome"
        yield socket


async def something_happens(house: House) -> None:
    """Two messages in, one out, one call."""
    async with house.agent() as agent:
        account = (await agent.get("/api/account")).json()
        link = (await agent.post("/api/invite-link", json={})).json()["url"]
        async with guest(link) as person:
            seen = account["last_message_cursor"]
            for key in ("1", "2"):
                said: dict[str, object] = {"type": "chat", "key": key, "text": "hello", "attachments": []}
                await person.send(json.dumps(said))
                asked = {"last_message_cursor": seen, "wait": 10}
                seen = (await agent.get("/api/inbox", params=asked)).json()["last_message_cursor"]
        answer = {"platform": "web", "text": "good morning"}
        (await agent.post("/api/dm/chat", json=answer)).raise_for_status()
        async with calling(house) as call:
            (await agent.delete(f"/api/call/{call.call_id}")).raise_for_status()


async def test_usage_is_seen_read_and_told(mute_browser: Browser, house: House) -> None:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP, reduced_motion="reduce")
    page, found = desk.page, list[str]()
    await desk.open("/usage")
    await expect(page.locator("#nothing")).to_contain_text("Nothing has happened yet")
    await expect(page.locator("#figures")).to_be_hidden()
    await expect(page.locator("#limits li").first).to_contain_text("0 of 100")
    found += await desk.violations("empty")

    await something_happens(house)
    await desk.open("/usage")
    messages = page.locator("#plot-messages")
    await expect(messages.locator("output")).to_have_text("30 days: 2 in · 1 out")
    await expect(page.locator("#plot-calls output")).to_contain_text("30 days: 1 call")
    await expect(page.locator("#plot-answers output")).to_contain_text("half within")
    await expect(page.locator("#by-platform li")).to_have_count(1)
    await expect(page.locator("#by-platform")).to_contain_text("2 in · 1 out · 1 call")
    assert await page.evaluate("window.shifted") < 0.01

    control = messages.get_by_role("slider", name="Messages, by the day")
    await control.focus()
    today = await control.get_attribute("aria-valuetext") or ""
    assert today.endswith(": 2 in · 1 out")
    await page.keyboard.press("ArrowLeft")
    await expect(messages.locator("output")).to_have_text(re.compile(r": 0 in · 0 out$"))
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(messages.locator("tbody tr")).to_have_count(1)
    await expect(messages.locator("tbody td")).to_have_text(["2", "1", "0"])
    box = await messages.locator(".field-of-plot").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 80)
    await expect(messages.locator("output")).to_have_text(today)

    await page.get_by_role("button", name="7 days").click()
    await expect(messages.locator("output")).to_have_text("7 days: 2 in · 1 out")
    await page.reload()
    await expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    found += await desk.violations("light")
    await page.emulate_media(color_scheme="dark")
    found += await desk.violations("dark")
    await page.set_viewport_size(PHONE)
    await page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    found += await desk.violations("on a phone")
    assert (found, desk.complaints) == ([], [])


async def test_how_long_things_are_kept_is_changed(mute_browser: Browser, house: House) -> None:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP, reduced_motion="reduce")
    page, found = desk.page, list[str]()
    messages = page.get_by_role("textbox", name="Messages", exact=True)
    files = page.get_by_role("textbox", name="Files", exact=True)
    done, ask = page.locator("#kept-done"), page.get_by_role("dialog", name="Remove what is older")
    unset = dict.fromkeys(("messages_days", "files_days", "transcripts_days", "recordings_days"))
    await desk.open("/usage")
    async with house.agent() as agent:

        async def kept() -> dict[str, int | None]:
            told: dict[str, int | None] = (await agent.get("/api/retention")).json()
            return told

        await messages.fill("soon")
        await files.fill("3651")
        await messages.press("Enter")
        wrong = "This must be a whole number from 1 to 3650, or empty."
        await expect(page.locator("#messages_days-error")).to_have_text(wrong)
        await expect(page.locator("#files_days-error")).to_have_text(wrong)
        await expect(messages).to_be_focused()
        await expect(messages).to_have_value("soon")
        found += await desk.violations("wrong")

        # Files are kept for 30 days at most anyway: these remove nothing.
        await messages.fill("")
        await files.fill("30")
        await files.press("Enter")
        await expect(done).to_have_text("Saved")
        assert await kept() == unset | {"files_days": 30}

        await messages.fill("7")
        await files.fill("1")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(ask).to_contain_text(
            "of your account: messages older than 7 days; files older than a day"
        )
        await expect(done).to_be_empty()
        found += await desk.violations("asked")
        await page.keyboard.press("Escape")
        await expect(messages).to_have_value("7")
        assert await kept() == unset | {"files_days": 30}

        await messages.press("Enter")
        await page.route("**/api/retention", lambda route: route.abort())
        await ask.get_by_role("button", name="Save and remove").click()
        await expect(ask.locator("#sure-error")).to_have_text("The gateway does not answer.")
        await page.unroute("**/api/retention")
        desk.complaints.clear()  # the browser's own about the request that was cut
        await ask.get_by_role("button", name="Save and remove").press("Enter")
        await expect(done).to_have_text("Saved. What is older goes within the hour.")
        await expect(ask).to_be_hidden()
        assert await kept() == unset | {"messages_days": 7, "files_days": 1}

        # Longer, and without an end: nobody has to be asked.
        await messages.fill("8")
        await files.fill("")
        await files.press("Enter")
        await expect(done).to_have_text("Saved")
        assert await kept() == unset | {"messages_days": 8}
        await page.reload()
        await expect(messages).to_have_value("8")
    await page.set_viewport_size(PHONE)
    found += await desk.violations("on a phone")
    assert (found, desk.complaints) == ([], [])


SPANS = {
    0.36: "0.4 s",
    9.96: "10 s",
    12.3: "12 s",
    59.9: "1 min",
    90: "1.5 min",
    3599: "1 h",
    9000: "2.5 h",
    86_400: "1 day",
    250_000: "2.9 days",
}


async def test_times_are_told_as_people_say_them() -> None:
    script = f"const {{ span }} = await import({str(FIGURES)!r});"
    script += f"console.log(JSON.stringify({list(SPANS)}.map(span)))"
    node = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "-e", script, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(BOUND_S):
        out, _ = await node.communicate()
    assert json.loads(out) == list(SPANS.values())
