"""The room and the private chat as people meet them: real browser, real gateway, real audio."""

import asyncio
import json
import re
from urllib.parse import urlsplit

import numpy as np
from playwright.async_api import Browser, expect

from tests.support.visitors import (
    BOUND_S,
    RATE_HZ,
    TONE_HZ,
    House,
    calling,
    frequency,
    heard_by,
    join,
    relayed,
    tone,
    visit,
)


async def test_the_agent_hears_the_person(house: House, browser: Browser) -> None:
    async with calling(house) as call:
        page = await visit(browser, f"{call.meeting_url}?audio=raw", "Ann")
        await join(page)

        await call.hear(20)  # the jitter buffer has settled
        heard = await call.hear(50)
        assert abs(frequency(heard) - TONE_HZ) < 2
        assert 0.33 < np.sqrt(np.mean((heard / 32768) ** 2)) < 0.37
        await page.wait_for_selector(".who:not(.agent)[data-status=speaking]")

        await page.keyboard.press("m")
        await page.wait_for_selector(".who:not(.agent)[data-status=muted]")
        elapsed = page.locator("#elapsed")
        await expect(elapsed).to_have_text(re.compile("00:0[4-9]"))  # the counters come four times a second
        sent = await page.evaluate("window.chamade.stats().frames_sent")
        await expect(elapsed).to_have_text(re.compile("00:0[6-9]"), timeout=BOUND_S * 1000)
        assert await page.evaluate("window.chamade.stats().frames_sent") == sent
        assert await page.evaluate("window.chamade.stats().dropped") == 0


async def test_the_person_hears_the_agent(house: House, browser: Browser) -> None:
    async with calling(house) as call:
        page = await visit(browser, f"{call.meeting_url}?audio=raw", "Ann")
        await join(page)
        await page.keyboard.press("m")

        await call.socket.send(tone(3, RATE_HZ, 500))
        heard = await heard_by(page, 0.34)
        assert abs(heard["hz"] - 500) < 5
        assert heard["rms"] < 0.37
        await page.wait_for_selector(".agent[data-status=speaking]")
        await page.wait_for_selector(".agent[data-status=listening]")


async def test_two_people_hear_each_other(house: House, browser: Browser) -> None:
    async with calling(house) as call:
        ann = await visit(browser, f"{call.meeting_url}?audio=raw", "Ann")
        await join(ann)
        jonas = await visit(browser, f"{call.meeting_url}?audio=raw", "Jonas")
        await jonas.wait_for_selector("#mic-on:visible")
        await jonas.click("#join-quiet")
        await jonas.wait_for_selector("#room .who")

        heard = await heard_by(jonas, 0.33)
        assert abs(heard["hz"] - TONE_HZ) < 5
        assert await jonas.text_content("#here") == "3 here"
        assert (
            await ann.get_by_role("listitem").filter(has_text="Jonas").get_attribute("data-status") == "muted"
        )


async def test_chat_and_files_go_both_ways(house: House, browser: Browser) -> None:
    async with calling(house) as call:
        page = await visit(browser, call.meeting_url, "Ann")
        await join(page)
        await page.set_input_files(
            "#picker", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"one two three"}
        )
        await page.wait_for_selector(".chip.done")
        await page.fill("#message", "The notes, as in https://example.org/a(b). <b>not bold</b>")
        await page.press("#message", "Enter")

        said = await call.expect("call_chat")
        assert said["sender"] == "Ann"
        assert said["attachments"][0]["name"] == "notes.txt"
        mine = page.locator(".message.person")
        await mine.locator(
            "a[href='https://example.org/a(b)'][rel='noopener noreferrer nofollow']"
        ).wait_for()
        assert "<b>not bold</b>" in await mine.inner_text()
        await expect(page.locator(".pending")).to_have_count(0)
        assert await page.locator(".chip").count() == 0

        await call.socket.send(json.dumps({"type": "send_chat", "text": "Thanks:\n```\nx = 1\n```"}))
        answer = page.locator(".message.agent")
        assert await answer.locator("pre").inner_text() == "x = 1"
        assert "AI agent" in await answer.inner_text()


async def test_a_file_over_the_cap_is_refused_in_place(house: House, browser: Browser) -> None:
    async with calling(house) as call:
        page = await visit(browser, call.meeting_url, "Ann")
        await join(page)
        await page.set_input_files(
            "#picker", {"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"x" * 1_100_000}
        )
        assert "Larger than" in await page.locator(".chip.failed").inner_text()
        assert await page.is_disabled("#send")


async def test_comes_back_by_itself_and_loses_nothing(house: House, browser: Browser) -> None:
    async with calling(house) as call, relayed(house) as (relay, url):
        page = await visit(browser, url + urlsplit(call.meeting_url).path, "Ann")
        await join(page)
        await page.wait_for_selector("#notice:not(.on)", state="attached")

        relay.cut()
        await page.wait_for_selector("#notice.on:has-text('Reconnecting')")
        await page.fill("#message", "said while away")
        await page.press("#message", "Enter")
        await page.wait_for_selector(".message.pending")
        await asyncio.wait_for(relay.turned_away.wait(), BOUND_S)
        relay.mend()

        assert (await call.expect("call_chat"))["text"] == "said while away"
        await page.wait_for_selector(".message:not(.pending)")
        await page.wait_for_selector("#notice:not(.on)", state="attached")
        assert await page.locator(".message").count() == 1
        assert await page.locator(".who").count() == 2


async def test_a_revoked_link_ends_the_room_and_says_so(house: House, browser: Browser) -> None:
    async with calling(house) as call, house.agent() as agent:
        page = await visit(browser, call.meeting_url, "Ann")
        await join(page)
        links = (await agent.get("/api/links")).raise_for_status().json()
        (await agent.delete(f"/api/links/{links['links'][0]['id']}")).raise_for_status()

        await page.wait_for_selector("#over:visible")
        assert await page.text_content("#over-title") == "This link was switched off"
        await page.reload()
        assert "This link no longer works" in await page.inner_text("main")


async def test_a_refused_microphone_is_explained_and_no_obstacle(house: House, mute_browser: Browser) -> None:
    async with calling(house) as call:
        page = await visit(mute_browser, call.meeting_url, "Ann")
        await page.click("#mic-check")
        await page.wait_for_selector("#mic-problem:has-text('The microphone is blocked')")
        assert await page.inner_text("#join") == "Join without microphone"
        await join(page)
        await page.wait_for_selector(".who[data-status=muted]")

        await call.socket.send(tone(3, RATE_HZ, 500))
        assert await heard_by(page, 0.3)
        await page.click("#mute")
        await page.wait_for_selector("#notice.on:has-text('The microphone is blocked')")


async def test_a_phone_has_the_chat_as_a_sheet_and_counts_what_is_unread(
    house: House, browser: Browser
) -> None:
    async with calling(house) as call:
        page = await visit(
            browser, call.meeting_url, "Ann", viewport={"width": 390, "height": 844}, has_touch=True
        )
        await join(page)
        assert not await page.is_visible("#message")
        for text in ("one", "two"):
            await call.socket.send(json.dumps({"type": "send_chat", "text": text}))
        await page.wait_for_selector("#badge:has-text('2')")
        await page.click("#chat-toggle")
        await page.wait_for_selector(".message:has-text('two')")
        assert not await page.is_visible("#badge")
        await page.keyboard.press("Escape")
        await page.wait_for_selector("#message", state="hidden")


async def test_a_private_chat_reaches_the_inbox_and_survives_a_reload(house: House, browser: Browser) -> None:
    async with house.agent() as agent:
        invite = {"platform": "web", "agent_name": "Ada"}
        link = (await agent.post("/api/invite-link", json=invite)).raise_for_status().json()
        page = await visit(browser, link["url"], "Ann")
        await page.fill("#message", "Are you there")
        await page.press("#message", "Enter")
        await page.wait_for_selector(".message:not(.pending)")

        inbox = (await agent.get("/api/inbox", params={"platform": "web"})).raise_for_status().json()
        assert "Are you there" in json.dumps(inbox)
        reply = {"platform": "web", "text": "I am"}
        (await agent.post("/api/dm/chat", json=reply)).raise_for_status()
        await page.wait_for_selector(".message.agent:has-text('I am')")

        await page.reload()
        await page.wait_for_selector(".message.agent:has-text('I am')")
        assert await page.locator(".message").count() == 2


async def test_the_call_button_rings_the_agent_and_opens_the_room(house: House, browser: Browser) -> None:
    async with house.agent() as agent:
        link = (await agent.post("/api/invite-link", json={"agent_name": "Ada"})).raise_for_status().json()
        page = await visit(browser, link["url"], "Ann")
        await page.click("#call:enabled")
        await page.wait_for_selector("#ringing:has-text('Calling Ada')")
        calls = (await agent.get("/api/calls")).raise_for_status().json()["calls"]
        (await agent.post(f"/api/call/{calls[0]['call_id']}/accept")).raise_for_status()

        await page.wait_for_url("**/r/*")
        await join(page)
        await page.wait_for_selector(".agent")
        await page.click("#leave")
        await page.click("text=Back to the chat")
        await page.wait_for_url(link["url"])


async def test_a_refused_call_is_told(house: House, browser: Browser) -> None:
    async with house.agent() as agent:
        link = (await agent.post("/api/invite-link", json={"agent_name": "Ada"})).raise_for_status().json()
        page = await visit(browser, link["url"], "Ann")
        await page.click("#call:enabled")
        await page.wait_for_selector("#hang-up:visible")
        calls = (await agent.get("/api/calls")).raise_for_status().json()["calls"]
        (await agent.post(f"/api/call/{calls[0]['call_id']}/refuse")).raise_for_status()
        await page.wait_for_selector("#ringing:has-text('cannot take a call now')")
        await page.click("#dismiss")
        assert await page.is_enabled("#call")


async def test_everybody_is_told_that_it_is_recorded(house: House, mute_browser: Browser) -> None:
    async with house.agent() as agent, calling(house) as call:
        ann = await visit(mute_browser, call.meeting_url, "Ann")
        await ann.click("#join-quiet")
        await ann.wait_for_selector("#room .who")
        await expect(ann.locator("#recorded")).to_be_hidden()
        here = f"/api/call/{call.call_id}"
        begun = (await agent.post(f"{here}/start_recording")).raise_for_status().json()
        assert begun["announced"] is True
        await expect(ann.locator("#recorded")).to_be_visible()
        await expect(ann.locator(".remark")).to_have_text("This call is recorded from here on.")
        late = await visit(mute_browser, call.meeting_url, "Ben")
        await late.click("#join-quiet")
        await expect(late.locator("#recorded")).to_be_visible()
        (await agent.post(f"{here}/stop_recording")).raise_for_status()
        await expect(ann.locator("#recorded")).to_be_hidden()
        await expect(ann.locator(".remark").last).to_have_text("It is not recorded any more.")
