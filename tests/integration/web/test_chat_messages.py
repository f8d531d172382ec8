"""What a person and the agent do to messages of a private chat, as the person meets it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from playwright.async_api import Browser, Page, expect

from tests.support.desk import AXE, AXE_RUN
from tests.support.visitors import House, relayed, visit
from tests.support.waiting import until_told


class Talk:
    """A chat of the agent "Ada", by REST."""

    def __init__(self, agent: httpx2.AsyncClient, url: str) -> None:
        self.agent = agent
        self.url = url

    async def messages(self) -> list[dict[str, Any]]:
        inbox = (await self.agent.get("/api/inbox", params={"platform": "web"})).raise_for_status().json()
        found: list[dict[str, Any]] = inbox["conversations"][0]["messages"]
        return found

    async def say(self, text: str, **fields: str) -> str:
        said = await self.agent.post("/api/dm/chat", json={"platform": "web", "text": text, **fields})
        message: str = said.raise_for_status().json()["message_id"]
        return message

    async def do(self, method: str, path: str, **body: Any) -> None:
        (await self.agent.request(method, f"/api/messages/{path}", json=body or None)).raise_for_status()

    async def status(self, message: str) -> str:
        (found,) = [m for m in await self.messages() if m["id"] == message]
        status: str = found["status"]
        return status


@asynccontextmanager
async def talking(house: House) -> AsyncGenerator[Talk]:
    async with house.agent() as agent:
        invite = {"platform": "web", "agent_name": "Ada"}
        link = (await agent.post("/api/invite-link", json=invite)).raise_for_status().json()
        yield Talk(agent, link["url"])


async def write(page: Page, text: str) -> None:
    await page.fill("#message", text)
    await page.press("#message", "Enter")
    await expect(page.locator(f".message:not(.pending):has-text('{text}')")).to_be_visible()


async def act(page: Page, message: str, deed: str) -> None:
    """Chooses `deed` of the actions of the first message that says `message`: later ones may quote it."""
    await page.locator(f".message:has-text('{message}') > .more").first.click()
    await page.click(f".deeds >> role=button[name='{deed}']")


async def test_a_person_answers_edits_takes_back_and_reacts(house: House, mute_browser: Browser) -> None:
    async with talking(house) as talk:
        page = await visit(mute_browser, talk.url, "Ann")
        await write(page, "Hello")
        question = await talk.say("Which **day**?")
        await act(page, "Which day?", "Reply")
        await expect(page.locator("#aim")).to_have_text("Reply to Ada: Which day?")
        await write(page, "Fryday")
        await act(page, "Fryday", "Edit")
        await expect(page.locator("#message")).to_have_value("Fryday")
        await page.fill("#message", "Friday <img src=x onerror=alert(1)>")
        await page.click("text=Save")
        await expect(page.locator(".message:not(.pending) .edited")).to_be_visible()
        await write(page, "My pin is 1234")
        await act(page, "My pin", "Delete")
        await page.click(".deeds >> role=button[name='Delete']")
        await expect(page.locator(".message:not(.pending) .gone")).to_be_visible()
        await act(page, "Which day?", "React with 👍")
        await expect(page.locator(".reactions button[aria-pressed=true]")).to_have_accessible_name(
            "👍 by you"
        )

        async def reacted() -> bool:
            return "reactions" in (await talk.messages())[1]

        await until_told(reacted)  # the page shows it before the gateway has it
        hello, asked, friday, pin = await talk.messages()
        assert (hello["text"], asked["id"], asked["reactions"]) == (
            "Hello",
            question,
            [{"emoji": "👍", "sender": "Ann"}],
        )
        assert friday["text"] == "Friday <img src=x onerror=alert(1)>"
        assert (friday["reply_to"], "edited_at" in friday) == (question, True)
        assert (pin["status"], pin["text"]) == ("deleted", "")

        await page.evaluate(AXE)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await page.locator(".person > .more").last.click()
            assert await page.evaluate(AXE_RUN) == []
        before = await page.locator("#messages").inner_text()
        await page.reload()
        await expect(page.locator("#messages")).to_have_text(before, use_inner_text=True)
        await page.click(".reactions button")
        await expect(page.locator(".reactions")).to_have_count(0)
        await until_told(lambda: untouched(talk, question))


async def untouched(talk: Talk, message: str) -> bool:
    return all("reactions" not in m for m in await talk.messages() if m["id"] == message)


async def test_what_the_agent_does_is_seen_and_heard(house: House, mute_browser: Browser) -> None:
    async with talking(house) as talk:
        page = await visit(mute_browser, talk.url, "Ann")
        await write(page, "What time is it there?")
        (asked,) = await talk.messages()
        said = await talk.say("Noon", reply_to=asked["id"])
        quote = page.locator(".agent .quote")
        await expect(quote).to_have_text("Ann What time is it there?")
        await quote.click()
        await expect(page.locator(".message.person")).to_be_focused()

        await talk.do("POST", f"{asked['id']}/react", emoji="⏰")
        await expect(page.locator(".person .reactions button")).to_have_accessible_name("⏰ by Ada")
        await expect(page.locator("#spoken")).to_have_text("Ada reacted ⏰")
        await talk.do("PATCH", said, text="One o'clock")
        await expect(page.locator(".agent .said")).to_contain_text("One o'clock")
        await expect(page.locator("#spoken")).to_have_text("Ada edited a message: One o'clock")
        await expect(page.locator(".agent > .more")).to_be_visible()
        assert (
            await page.locator(".agent > .more").get_attribute("aria-label")
            == "Actions for this message of Ada"
        )

        await talk.do("POST", f"{asked['id']}/react", emoji="⏰", remove=True)
        await talk.do("DELETE", said)
        await expect(page.locator(".agent .said")).to_have_text("This message was deleted")
        await expect(page.locator(".agent > .more, .reactions, .quote")).to_have_count(0)
        await page.reload()
        await expect(page.locator(".agent .said")).to_have_text("This message was deleted")
        refused = await talk.agent.post(f"/api/messages/{asked['id']}/react", json={"emoji": "thumbs up"})
        assert (refused.status_code, refused.json()["code"]) == (502, "SEND_FAILED")


async def test_receipts_tell_what_was_shown_and_what_was_read(house: House, mute_browser: Browser) -> None:
    small = {"width": 390, "height": 500}
    async with talking(house) as talk:
        page = await visit(mute_browser, talk.url, "Ann", viewport=small)
        await write(page, "Tell me all of it")
        await page.close()
        away = await talk.say("You are away")
        assert await talk.status(away) == "sent"

        page = await visit(mute_browser, talk.url, "Ann", viewport=small)
        await page.wait_for_selector(".agent:has-text('You are away')")
        await until_told(lambda: has_become(talk, away, "read"))
        await talk.say("\n\n".join(f"Line {n}" for n in range(60)))
        long = (await talk.messages())[-1]["id"]
        await page.wait_for_selector(".agent:has-text('Line 59')")
        await until_told(lambda: has_become(talk, long, "read"))  # the list has followed to its end
        await page.evaluate("document.getElementById('messages').scrollTop = 0")
        below = await talk.say("The end of it")
        await until_told(lambda: has_become(talk, below, "delivered"))
        await page.click("#to-end")
        await until_told(lambda: has_become(talk, below, "read"))


async def has_become(talk: Talk, message: str, status: str) -> bool:
    return await talk.status(message) == status


async def test_all_of_it_by_keyboard(house: House, mute_browser: Browser) -> None:
    async with talking(house) as talk:
        page = await visit(mute_browser, talk.url, "Ann")
        await write(page, "One")
        await page.press("#message", "ArrowUp")
        await page.press("#message", "Escape")
        await expect(page.locator("#message")).to_have_value("")
        await page.press("#message", "ArrowUp")
        await page.fill("#message", "Two")
        await page.press("#message", "Enter")
        await page.wait_for_selector(".message:not(.pending):has-text('Two')")
        more = page.locator(".message > .more")
        await more.focus()
        await page.keyboard.press("Enter")
        await expect(more).to_have_attribute("aria-expanded", "true")
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Enter")
        await expect(page.locator(".reactions button")).to_have_count(1)
        await expect(more).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Escape")
        await expect(more).to_be_focused()
        await page.locator(".reactions button").focus()
        await page.keyboard.press("Enter")
        await expect(more).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("Enter")
        await expect(page.locator(".deeds button:has-text('Keep it')")).to_be_focused()
        await page.keyboard.press("Enter")
        assert [m["text"] for m in await talk.messages()] == ["Two"]


async def test_what_both_sides_did_while_the_line_was_cut(house: House, mute_browser: Browser) -> None:
    async with talking(house) as talk, relayed(house) as (relay, way):
        page = await visit(mute_browser, way + urlsplit(talk.url).path, "Ann")
        await write(page, "Fryday")
        said = await talk.say("Noted")
        await page.wait_for_selector(".agent")
        relay.cut()
        await page.wait_for_selector("#status:has-text('Reconnecting')")
        await act(page, "Fryday", "Edit")
        await page.fill("#message", "Friday")
        await page.press("#message", "Enter")
        await expect(page.locator(".person.pending .said")).to_contain_text("Friday")
        await talk.do("PATCH", said, text="Written down")
        relay.mend()
        await page.wait_for_selector(".person:not(.pending):has-text('Friday')")
        await expect(page.locator(".agent .said")).to_contain_text("Written down")
        assert [m["text"] for m in await talk.messages()] == ["Friday", "Written down"]
