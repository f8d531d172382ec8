"""The inbox: ten thousand conversations, and answers by hand."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.support.desk import DESKTOP, LOADED, PHONE, Desk, desk_in, paints_within
from tests.support.visitors import House, visit
from tests.support.waiting import BOUND_S, until_told

expect.set_options(timeout=BOUND_S * 1000)

MANY = 10_000
PAINT_MS, SEARCH_MS = 200, 500
SEARCHES = """() => performance.getEntriesByType("resource")
  .filter(({ name }) => new URL(name).searchParams.get("search")).map(({ duration }) => duration)"""
"""How long each search took, in ms."""
_CONVERSATIONS = """
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :many)
    INSERT INTO conversations (id, account_id, agent_id, platform, ref, remote_name, folded_name, status,
      created_at, last_message_at, last_seq)
    SELECT printf('conv_%05d', i), agents.account_id, agents.id, 'telegram', i, printf('Person %05d', i),
      printf('person %05d', i), 'active', '2026-01-01T00:00:00.000000Z',
      strftime('%Y-%m-%dT%H:%M:%f000Z', '2026-01-01', i || ' minutes'), -i
    FROM n, agents"""
_MESSAGES = """
    INSERT INTO messages (id, account_id, conversation_id, seq, direction, ref, sender_name, text,
      attachments, status, created_at)
    SELECT 'msg_' || ref, account_id, id, -ref, 'inbound', '1', remote_name,
      '# Hello' || char(10) || '**it is** `' || remote_name || '`', '[]', 'received', last_message_at
    FROM conversations"""


@pytest.fixture
async def desk(mute_browser: Browser, house: House) -> AsyncGenerator[Desk]:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    yield desk
    assert desk.complaints == []


def changed(tmp_path: Path, statement: str, **values: object) -> int:
    """Behind the gateway's back: how many rows."""
    with closing(sqlite3.connect(tmp_path / "data" / "chamade.db", timeout=BOUND_S)) as conn, conn:
        conn.execute(statement, values)
        return conn.total_changes


async def test_ten_thousand_conversations_are_read_and_searched(desk: Desk, tmp_path: Path) -> None:
    assert changed(tmp_path, _CONVERSATIONS, many=MANY) == MANY
    assert changed(tmp_path, _MESSAGES) == MANY
    page, rows = desk.page, desk.page.locator("#inbox li")
    assert await paints_within(page, partial(desk.open, "/inbox"), PAINT_MS)
    await expect(rows).to_have_count(50)
    await expect(rows.first).to_contain_text("Person 09999")
    await page.hover("#inbox")
    for count in (100, 150):  # what there is more comes before its end is reached
        await rows.last.scroll_into_view_if_needed()
        await expect(rows).to_have_count(count)
    assert len(set(await rows.locator("b").all_inner_texts())) == 150
    await page.fill("#search", "telegram PERSON 00042")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Hello it is Person 00042")
    await page.fill("#search", "nobody at all")
    await expect(page.locator("#inbox-none")).to_be_visible()
    assert await desk.violations("search") == []
    await page.fill("#search", "")
    await expect(rows).to_have_count(50)
    asked = await page.evaluate(SEARCHES)
    assert asked
    assert min(asked) < SEARCH_MS, asked


async def test_a_person_answers_by_hand(
    desk: Desk, house: House, mute_browser: Browser, tmp_path: Path
) -> None:
    page = desk.page
    async with house.agent() as agent:
        made = await agent.post("/api/invite-link", json={"platform": "web"})
        link = made.json()["url"]
        cursor = (await agent.get("/api/account")).json()["last_message_cursor"]
        person = await visit(mute_browser, link, "Mira")
        await person.fill("#message", "Is anybody there?")
        await person.click("#send")
        await page.click("#inbox a")
        await page.wait_for_selector(LOADED)
        await expect(page.locator("#messages .person")).to_contain_text("Is anybody there?")

        # What does not get through stays, over a reload too.
        await page.route("**/api/dm/chat", lambda route: route.abort())
        await page.fill("#answer-text", "I am,\nmyself")
        await page.click("#answer button")
        await expect(page.locator("#answer-error")).to_have_text("Not sent. The gateway does not answer.")
        await page.unroute("**/api/dm/chat")
        desk.complaints.clear()  # the browser's own about the request that was cut
        await page.reload()
        await page.wait_for_selector(LOADED)
        assert await page.input_value("#answer-text") == "I am,\nmyself"
        await page.press("#answer-text", "Enter")
        await expect(page.locator("#answer-text")).to_have_value("")
        mine = page.locator("#messages .host")
        await expect(mine).to_contain_text("By hand")
        await expect(page.locator("#inbox")).to_contain_text("You: I am")
        theirs = person.locator("#messages .host")
        await expect(theirs.locator("bdi").first).to_have_text("owner")
        await expect(theirs).to_contain_text("Person")
        await expect(theirs.locator(".agent-disc")).to_have_count(0)

        params = {"last_message_cursor": cursor, "wait": "5"}
        (news,) = (await agent.get("/api/inbox", params=params)).json()["conversations"]
        last = news["messages"][-1]
        assert (last["from_owner"], last["sender"], last["text"]) == (True, "owner", "I am,\nmyself")

        async def has_read() -> bool:
            whole = await agent.get(f"/api/inbox/{news['conversation_id']}")
            return whole.json()["messages"][-1]["status"] == "read"

        await until_told(has_read)
        await person.close()
        failed = "UPDATE messages SET status = 'failed', detail = :why WHERE direction = 'outbound'"
        assert changed(tmp_path, failed, why="<b>Blocked</b> by the user") == 1
        await expect(mine.locator(".unsent")).to_contain_text("Not delivered: <b>Blocked</b> by the user")
        assert await desk.violations("answered") == []
        await page.set_viewport_size(PHONE)
        assert await desk.violations("answered on a phone") == []
        await mine.get_by_role("button", name="Try again").click()
        await expect(mine.locator(".unsent")).to_have_count(0)
