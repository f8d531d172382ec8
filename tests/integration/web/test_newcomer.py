"""The newcomer's whole way: an empty folder, a command, and in the end an agent that talks with a person."""

import re
import shlex
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from playwright.async_api import Browser, Page, expect

from tests.demo.gateway import running_gateway
from tests.support.desk import DESKTOP, EMAIL, LOADED, PASSWORD
from tests.support.visitors import frequency, heard_by, join, listening, tone, visit
from tests.support.waiting import BOUND_S

expect.set_options(timeout=BOUND_S * 1000)

Use = Callable[..., Awaitable[dict[str, Any]]]


@asynccontextmanager
async def agent_by(line: str) -> AsyncGenerator[Use]:
    """An agent that was set up by the line for Claude Code; what it gets from a tool is what a model gets."""
    url, header = shlex.split(line)[-3], shlex.split(line)[-1]
    name, _, value = header.partition(": ")
    async with (
        httpx2.AsyncClient(headers={name: value}, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):

        async def use(tool: str, **arguments: object) -> dict[str, Any]:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.content
            return cast("dict[str, Any]", result.structured_content)

        yield use


async def becomes_owner(page: Page, link: str) -> None:
    await page.goto(link)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Make it yours")
    await page.fill("#email", EMAIL)
    await page.fill("#password", PASSWORD)
    await page.get_by_role("button", name="Make it mine").click()
    await page.wait_for_selector(LOADED)
    await expect(page.locator("#first-list .current")).to_contain_text("Connect a client")


async def makes_a_key(page: Page) -> str:
    """The line to set up Claude Code, as it is copied."""
    await page.locator("#first-list").get_by_role("link", name="Connect").click()
    await page.click("#create")
    await page.click("#key-form [type=submit]")
    key = await page.input_value("#fresh-key")
    line = page.locator("#panel .snippet").first
    await line.get_by_role("button", name="Copy").click()
    await expect(line.get_by_role("button")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert key in copied
    return copied


async def pings(page: Page, use: Use) -> str:
    """Where the agent has read to."""
    cursor = (await use("chamade_account"))["last_message_cursor"]
    await expect(page.locator("#seen")).to_have_text("Claude Code was used just now")
    await page.click("#ping")
    news = await use("chamade_inbox", last_message_cursor=cursor, wait=55)
    (asked,) = news["conversations"]
    await use("chamade_dm_chat", platform=asked["platform"], text="I am here")
    await expect(page.locator("#verdicts li", has_text="Claude Code")).to_contain_text("Answered after")
    return news["last_message_cursor"]


async def makes_a_link(page: Page, step: str) -> str:
    """By the newcomer's list on the home page."""
    await page.locator(f"#first-list [data-act={step}]").click()
    await page.wait_for_selector("#made[open]")
    link = await page.input_value("#made-url")
    await page.keyboard.press("Escape")
    return link


async def they_write(person: Page, use: Use, cursor: str) -> None:
    await person.fill("#message", "Is anybody there?")
    await person.press("#message", "Enter")
    news = await use("chamade_inbox", last_message_cursor=cursor, wait=30)
    (conversation,) = news["conversations"]
    (message,) = conversation["messages"]
    assert (conversation["remote_name"], message["text"]) == ("Mira", "Is anybody there?")
    await use("chamade_dm_chat", platform="web", text="I am, and I read you")
    await expect(person.locator(".message.agent")).to_contain_text("I am, and I read you")


async def they_talk(browser: Browser, room: str, use: Use, key: str) -> None:
    call = await use("chamade_call_join", platform="web", meeting_url=room, agent_name="Ada")
    async with listening(call, key) as agent:
        person = await visit(browser, f"{room}?audio=raw", "Mira")
        await join(person)
        await expect(person.locator(".who.agent")).to_contain_text("Ada")
        await agent.hear(20)  # the jitter buffer has settled
        assert abs(frequency(await agent.hear(50)) - 1000) < 5
        await person.keyboard.press("m")
        await agent.socket.send(tone(3, frequency_hz=500))
        assert abs((await heard_by(person, 0.3))["hz"] - 500) < 5
        await use("chamade_call_chat", call_id=call["call_id"], text="You sound well")
        await expect(person.locator(".message.agent")).to_contain_text("You sound well")
        assert (await use("chamade_call_status", call_id=call["call_id"]))["participants"] == ["Mira"]
        await use("chamade_call_leave", call_id=call["call_id"])


async def test_from_an_empty_folder_to_an_agent_that_talks(browser: Browser, tmp_path: Path) -> None:
    async with running_gateway(tmp_path / "new") as gateway:
        allowed = ["clipboard-read", "clipboard-write"]
        page = await (await browser.new_context(viewport=DESKTOP, permissions=allowed)).new_page()
        page.set_default_timeout(BOUND_S * 1000)
        await becomes_owner(page, gateway.claim_link)
        line = await makes_a_key(page)
        found = re.search(r"chmd_\w+", line)
        assert found is not None
        async with agent_by(line) as use:
            cursor = await pings(page, use)
            await page.get_by_role("link", name="Home").click()
            person = await visit(browser, await makes_a_link(page, "link"), "Mira")
            await they_write(person, use, cursor)
            await expect(page.locator("#first-list .current")).to_contain_text("A first call")
            await they_talk(browser, await makes_a_link(page, "call"), use, found[0])
        await expect(page.locator("#first-title")).to_have_text("Your agent talks with people")
        await expect(page.locator("#first-list .done")).to_have_count(6)
