"""The dashboard as its owner uses it: real browser, real gateway, and an agent beside it."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from types import MappingProxyType

import httpx2
import pytest
from playwright.async_api import Browser, ViewportSize, expect

from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing_bots import BOTS, ScriptedBots
from chamade_mcp.web.navigation import NAVIGATION, behind_more
from tests.support.desk import DESKTOP, EMAIL, LOADED, PASSWORD, PHONE, PROBE, Desk, desk_in
from tests.support.requirement import requirement
from tests.support.visitors import House, calling, open_house, visit
from tests.support.waiting import BOUND_S, until

expect.set_options(timeout=BOUND_S * 1000)


@pytest.fixture
async def desk(mute_browser: Browser, house: House) -> AsyncGenerator[Desk]:
    """Fails the test at its end if a page complained, or if a probe was run."""
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    yield desk
    assert desk.complaints == []
    assert await desk.page.evaluate("window.hacked") is None


async def test_a_room_from_its_link_to_its_end(desk: Desk, house: House, mute_browser: Browser) -> None:
    page = desk.page
    await expect(page.locator("#calls")).to_contain_text("No call at the moment")
    await page.click("#start-room")
    await page.wait_for_selector("#made[open]")
    url = await page.input_value("#made-url")
    assert url.startswith(f"{house.url}/r/")
    assert f"chamade_call_join platform=web meeting_url={url}" in await desk.text_of("#made-words")
    await page.click("[data-copy=made-url]")
    await expect(page.locator("[data-copy=made-url]")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == url
    await page.click("#made [data-close]")
    await expect(page.locator("#made-url")).to_have_value("")
    await expect(page.locator("#links li")).to_have_count(1)

    async with calling(house, url) as call:
        await expect(page.locator("#calls")).to_contain_text("Nobody else is there yet")
        await expect(page.locator("#calls")).to_contain_text("Web room · Ada, AI agent")
        person = await visit(mute_browser, url, PROBE[:40])
        await person.click("#join-quiet")
        await expect(page.locator("#calls b")).to_have_text(PROBE[:40])
        assert await page.locator("#calls a").get_attribute("href") == url
        await page.click("#calls button")
        while (await call.expect("call_state"))["state"] != "ended":
            pass  # the events of joining may come before it
        await expect(page.locator("#calls")).to_contain_text("No call at the moment")

    await page.click("#links button")
    await page.click("#sure-go")
    await expect(page.locator("#links-empty")).to_be_visible()
    async with httpx2.AsyncClient() as nobody:
        assert (await nobody.get(url)).status_code == 404


async def test_a_private_chat_is_read_here_as_it_happens(
    desk: Desk, house: House, mute_browser: Browser
) -> None:
    page = desk.page
    await page.click("#inbox-empty button")
    await page.wait_for_selector("#made[open]")
    url = await page.input_value("#made-url")
    assert url.startswith(f"{house.url}/c/")
    await page.keyboard.press("Escape")

    person = await visit(mute_browser, url, "Mira <b>Lund</b>")
    await expect(person.locator("#hello")).to_be_visible()  # it is known here, and may upload
    evil = {"name": "<img src=x onerror=hacked=1>.txt", "mimeType": "text/plain", "buffer": b"hello"}
    await person.set_input_files("#picker", evil)  # pyright: ignore[reportArgumentType]
    await person.fill("#message", f"{PROBE} see https://example.org/a?b=1")
    await person.click("#send")

    row = page.locator("#inbox li")
    await expect(row.locator("b")).to_have_text("Mira <b>Lund</b>")
    await expect(row).to_contain_text("Not answered")
    await expect(row).to_contain_text(PROBE)
    await row.locator("a").click()
    await page.wait_for_selector(LOADED)
    message = page.locator("#messages .message")
    await expect(message).to_contain_text(PROBE)
    await expect(message.locator("bdi").first).to_have_text("Mira <b>Lund</b>")
    await expect(message.locator(".file")).to_contain_text("hacked=1>.txt")
    link = message.locator("p a")
    assert await link.get_attribute("href") == "https://example.org/a?b=1"
    assert await link.get_attribute("rel") == "noopener noreferrer nofollow"

    async with house.agent() as agent:
        answer = await agent.post("/api/dm/chat", json={"platform": "web", "text": "I have it."})
        answer.raise_for_status()
    ours = page.locator("#messages .message.agent")
    await expect(ours).to_contain_text("I have it.")
    await expect(ours).to_contain_text("AI agent")
    await expect(page.locator("#inbox")).not_to_contain_text("Not answered")

    await person.locator(".message.agent > .more").click()
    await person.click(".deeds >> role=button[name='React with 👍']")
    await expect(ours).to_contain_text("👍 Mira <b>Lund</b>")
    await person.locator(".message.person > .more").click()
    await person.click(".deeds >> role=button[name='Delete']")
    await person.click(".deeds >> role=button[name='Delete']")
    await expect(page.locator("#messages .message.person")).to_contain_text("This message was deleted")
    assert await person.evaluate("window.hacked") is None


async def test_a_key_is_made_shown_once_and_revoked(desk: Desk, house: House) -> None:
    page, name = desk.page, PROBE[:60]
    await desk.open("/keys")
    await expect(page.locator("#keys li")).to_have_count(1)
    await page.click("#create")
    await page.click("#key-form [type=submit]")
    await expect(page.locator("#key-name-error")).to_have_text("Give it a name, to know it again.")
    await page.fill("#key-name", name)
    await page.uncheck("[value=message]")
    await page.uncheck("[value=call]")
    await page.select_option("#key-life", "7")
    await page.click("#key-form [type=submit]")
    await expect(page.locator("#fresh-title")).to_be_focused()
    key = await page.input_value("#fresh-key")
    await expect(page.locator("#keys li")).to_have_count(2)
    assert await page.locator("#keys li").first.locator(".tag").all_inner_texts() == ["read"]

    async with httpx2.AsyncClient(base_url=house.url, headers={"x-api-key": key}) as agent:
        assert (await agent.get("/api/account")).status_code == 200
        assert (await agent.post("/api/invite-link", json={})).status_code == 403
        await page.click("#fresh-done")
        assert key not in await page.content()
        assert await page.input_value("#fresh-key") == ""

        await page.click("#keys li:first-child button")
        await expect(page.locator("#sure-what")).to_have_text(name)
        await page.fill("#sure-name", name[:-1])
        await expect(page.locator("#sure-go")).to_be_disabled()
        await page.fill("#sure-name", name)
        await page.press("#sure-name", "Enter")
        await expect(page.locator("#keys li")).to_have_count(1)
        gone = await agent.get("/api/account")
        assert (gone.status_code, gone.json()["code"]) == (401, "REVOKED_API_KEY")


async def test_strangers_are_let_in_and_kept_out(mute_browser: Browser, tmp_path: Path) -> None:
    bots, found = ScriptedBots(), discover()
    registry = Registry(
        MappingProxyType({**found.manifests, BOTS: bots.manifest}),
        MappingProxyType({**found.connectors, BOTS: bots}),
    )
    async with open_house(tmp_path / "data", registry=registry) as house, house.agent() as agent:
        body = {"platform": BOTS, "bot_token": bots.accept("helper")}
        connection = (await agent.post("/api/bot-tokens", json=body)).json()["id"]
        await until(lambda: connection in bots.links)
        desk = await desk_in(mute_browser, house, viewport=DESKTOP)
        page, card = desk.page, desk.page.locator("#requests-card")
        await expect(card).to_be_hidden()
        await bots.write(connection, PROBE, sender="u-1", name=PROBE)
        await bots.write(connection, "hello?", sender="u-2", name="Mallory")
        await until(lambda: bots.heard("u-1") and bots.heard("u-2"))
        await desk.open("")
        await expect(card.locator("li")).to_have_count(2)
        first = card.locator("li", has=page.get_by_text("u-1", exact=True))
        await expect(first.locator("b")).to_have_text(PROBE)
        assert await first.locator(".code code").inner_text() in bots.heard("u-1")[0]
        assert await desk.violations("requests") == []

        await first.get_by_role("button", name="Let in").click()
        await expect(card.locator("li")).to_have_count(1)
        await expect(page.locator("#requests-title")).to_be_focused()
        await card.get_by_role("button", name="Keep out Mallory").click()
        await expect(page.locator("#sure-title")).to_have_text("Keep Mallory out")
        await page.click("#sure-go")
        await expect(card).to_be_hidden()
        for sender in ("u-1", "u-2"):
            await bots.write(connection, f"from {sender}", sender=sender)
        snapshot = (await agent.get("/api/inbox")).json()
        assert [c["last_message"]["text"] for c in snapshot["conversations"]] == ["from u-1"]
        assert await page.evaluate("window.hacked") is None
        assert desk.complaints == []


class Hurried(SystemClock):
    """The time of day, of which some can be left out."""

    skipped_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.skipped_s


@requirement("R-242", "R-245", "R-246")
async def test_agents_are_pinged(mute_browser: Browser, tmp_path: Path) -> None:
    clock = Hurried()
    async with open_house(tmp_path / "data", clock=clock) as house, house.agent() as agent:
        desk = await desk_in(mute_browser, house, viewport=DESKTOP)
        idle = (await agent.post("/api/api-keys", json={"name": "idle"})).json()["key"]
        await agent.post("/api/api-keys", json={"name": "never"})
        async with httpx2.AsyncClient(base_url=house.url, headers={"x-api-key": idle}) as other:
            assert (await other.get("/api/account")).status_code == 200
        cursor = (await agent.get("/api/account")).json()["last_message_cursor"]
        await desk.open("/keys")
        page = desk.page
        await page.click("#ping")
        await expect(page.locator("#ping-note")).to_contain_text("Agents have 30 seconds")
        await expect(page.locator("#keys .verdict")).to_have_text(["Waiting for an answer…"] * 3)
        found = (await agent.get("/api/inbox", params={"last_message_cursor": cursor, "wait": 55})).json()
        assert found["conversations"][0]["remote_name"] == "Chamade Dashboard"
        answer = await agent.post("/api/dm/chat", json={"platform": "chamade_probe", "text": "ok"})
        assert answer.status_code == 200
        own = page.locator("#keys li", has=page.get_by_text("test", exact=True)).locator(".verdict")
        await expect(own).to_contain_text("Answered after")
        await page.click("#ping", force=True)  # once is enough
        clock.skipped_s = 31
        await expect(page.locator("#ping-note")).to_have_text("1 of 3 answered.")
        for name, verdict in (("idle", "No reply: used lately"), ("never", "No reply: not connected")):
            row = page.locator("#keys li", has=page.get_by_text(name, exact=True))
            await expect(row.locator(".verdict")).to_contain_text(verdict)
        await expect(page.locator("#ping")).not_to_have_attribute("aria-disabled", "true")
        assert desk.complaints == []


async def test_by_keyboard_alone(desk: Desk) -> None:
    page = desk.page
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.locator("#start-chat")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-copy=made-url]")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#start-room")).to_be_focused()
    await page.focus("#links button")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.locator("#links-empty")).to_be_visible()
    await expect(page.locator("#links-title")).to_be_focused()


async def test_signed_out_elsewhere_it_asks_to_sign_in_again(desk: Desk, house: House) -> None:
    page = desk.page
    await desk.open("/keys")
    other = await page.context.new_page()
    await other.goto(f"{house.url}/dashboard")
    await other.get_by_role("button", name="Sign out").click()
    await other.wait_for_url(f"{house.url}/sign-in")
    await other.close()
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.wait_for_url(f"{house.url}/sign-in?next=%2Fdashboard%2Fkeys")
    await page.fill("#email", EMAIL)
    await page.fill("#password", PASSWORD)
    await page.press("#password", "Enter")
    await page.wait_for_url(f"{house.url}/dashboard/keys")
    assert [c for c in desk.complaints if "401" not in c] == []
    desk.complaints.clear()


async def test_without_a_connection_it_says_so_and_comes_back(desk: Desk) -> None:
    page = desk.page
    await page.context.set_offline(True)
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.locator("#trouble")).to_have_text("The gateway does not answer. Trying again.")
    await expect(page.locator("#state")).to_have_text("No connection")
    await page.context.set_offline(False)
    await expect(page.locator("#trouble")).to_be_hidden()
    await expect(page.locator("#state")).to_have_text("Up to date")
    assert [c for c in desk.complaints if "ERR_INTERNET_DISCONNECTED" not in c] == []
    desk.complaints.clear()


async def furnish(house: House, browser: Browser) -> None:
    """A link of each kind, a conversation, a second key."""
    async with house.agent() as agent:
        await agent.post("/api/invite-link", json={"kind": "room"})
        chat = (await agent.post("/api/invite-link", json={})).json()["url"]
        await agent.post("/api/api-keys", json={"name": "a" * 100, "expires_in_days": 1})
        person = await visit(browser, chat, "Konstantinos Papadopoulos-Vandenberghe " * 2)
        await person.fill("#message", "word " * 60 + "a" * 200)
        await person.click("#send")
        await person.wait_for_selector(".message:not(.pending)")
        await person.context.close()


async def test_a_phone_has_every_page_behind_its_bar_and_the_keyboard_reaches_it(
    house: House, mute_browser: Browser
) -> None:
    desk = await desk_in(mute_browser, house, viewport=PHONE)
    page, more = desk.page, desk.page.get_by_role("button", name="More")
    in_bar = [entry.label for group in NAVIGATION for entry in group if entry.in_bar]
    hidden = [entry.label for entry in behind_more()]
    links = page.get_by_role("navigation").get_by_role("link")
    assert await links.all_inner_texts() == in_bar
    await more.press("Enter")
    await expect(links).to_have_text([*in_bar, *hidden])
    assert await desk.violations("more") == []
    await page.keyboard.press("Escape")
    await expect(links).to_have_text(in_bar)
    await expect(more).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name=hidden[0])).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/{hidden[0].lower()}")
    await page.wait_for_selector(LOADED)
    await expect(more).to_have_attribute("aria-current", "true")
    assert desk.complaints == []


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
async def test_everybody_can_use_what_opens(
    house: House, mute_browser: Browser, viewport: ViewportSize, scheme: str
) -> None:
    await furnish(house, mute_browser)
    async with calling(house):
        desk = await desk_in(mute_browser, house, viewport=viewport, color_scheme=scheme)
        page = desk.page
        found: list[str] = []

        async def look(where: str) -> None:
            found.extend(await desk.violations(where))

        await desk.open("")
        await expect(page.locator("#calls")).to_contain_text("Nobody else is there yet")
        await look("home")
        assert await page.evaluate("window.shifted") < 0.01
        await page.click("#start-room")
        await page.wait_for_selector("#made[open]")
        await look("new room")
        await page.keyboard.press("Escape")
        await page.locator("#links button").first.click()
        await look("revoke a link")
        await desk.open("/keys")
        await page.click("#create")
        await look("new key")
        await page.fill("#key-name", "x")
        await page.click("#key-form [type=submit]")
        await expect(page.locator("#fresh")).to_be_visible()
        await look("fresh key")
        await page.locator("#keys button").first.click()
        await look("revoke a key")
        await desk.open("/inbox")
        await page.click("#inbox a")
        await page.wait_for_selector(f"{LOADED} #messages li")
        await look("conversation")
        assert desk.complaints == []
        await page.context.clear_cookies()
        await page.goto(f"{house.url}/sign-in")
        await page.click("button.primary")
        await expect(page.locator("#error")).to_have_text(re.compile("Type the e-mail address"))
        await look("sign in")
        assert found == []
