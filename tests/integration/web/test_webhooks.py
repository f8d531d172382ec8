"""The dashboard's pages of webhooks: a real browser, a real gateway, and a receiver on this machine."""

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from tests.support.desk import DESKTOP, PHONE, PROBE, Desk, desk_in
from tests.support.visitors import House, open_house
from tests.support.waiting import BOUND_S, until


@dataclass
class Receiver:
    url: str = ""
    status: int = 200
    says: str = "thanks"
    arrived: list[tuple[bytes, dict[str, str]]] = field(default_factory=list[tuple[bytes, dict[str, str]]])

    async def take(self, request: Request) -> Response:
        self.arrived.append((await request.body(), dict(request.headers)))
        return PlainTextResponse(self.says, self.status)


@pytest.fixture
async def receiver() -> AsyncGenerator[Receiver]:
    async def nothing_to_drain() -> None:
        return None

    found, listener = Receiver(), listen(Settings(port=0))
    found.url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    app = Starlette(routes=[Route("/hook", found.take, methods=["POST"])])
    server = Server(app, drain=nothing_to_drain)
    serving = asyncio.create_task(server.serve([listener]))
    yield found
    server.should_exit = True
    await asyncio.wait_for(serving, BOUND_S)


@pytest.fixture
async def house(tmp_path: Path, receiver: Receiver) -> AsyncGenerator[House]:
    async with open_house(tmp_path / "data", webhook_private_hosts="127.0.0.1") as house:
        yield house


@pytest.fixture
async def desk(mute_browser: Browser, house: House) -> AsyncGenerator[Desk]:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    yield desk
    assert [one for one in desk.complaints if "400" not in one] == []
    assert await desk.page.evaluate("window.hacked") is None


async def happen(house: House, desk: Desk) -> None:
    """Something that the agent is told of: a call that it starts, and ends."""
    async with house.agent() as agent:
        call = (await agent.post("/api/call", json={"platform": "web"})).json()["call_id"]
        (await agent.delete(f"/api/call/{call}")).raise_for_status()


async def add(desk: Desk, url: str, name: str) -> str:
    """The secret."""
    page = desk.page
    await desk.open("/webhooks")
    await page.click("#create")
    await page.fill("#webhook-url", url)
    await page.fill("#webhook-description", name)
    await page.click("#webhook-form [type=submit]")
    await expect(page.locator("#fresh-title")).to_be_focused()
    return await page.input_value("#fresh-secret")


async def test_from_the_address_to_the_log(desk: Desk, house: House, receiver: Receiver) -> None:
    page = desk.page
    await desk.open("/webhooks")
    await expect(page.locator("#webhooks-empty")).to_be_visible()
    await page.click("#create")
    await page.click("#webhook-form [type=submit]")
    await expect(page.locator("#webhook-url-error")).to_have_text(
        "Type the address that events are posted to."
    )
    await page.fill("#webhook-url", "https://10.0.0.1/hook")
    await page.click("#webhook-form [type=submit]")
    await expect(page.locator("#webhook-url-error")).to_contain_text("must name a host")
    assert await page.input_value("#webhook-url") == "https://10.0.0.1/hook"
    await page.keyboard.press("Escape")

    secret = await add(desk, receiver.url, PROBE)
    await page.click("#fresh-done")
    assert secret not in await page.content()
    await expect(page.locator("#webhooks b")).to_have_text(PROBE)
    await page.click("#webhooks a")
    await expect(page.locator("#webhook-state")).to_have_text("Works")
    await page.click("#test")
    await expect(page.locator("#test-note")).to_have_text(re.compile(r"It arrived: your server answered 200"))
    body, headers = receiver.arrived[0]
    Webhook(secret).verify(body, headers)

    receiver.status, receiver.says = 500, PROBE
    await happen(house, desk)
    row = page.locator("#log li", has_text="call_state").first
    await expect(row).to_contain_text("On its way")
    await row.locator("summary").click()
    await expect(row.locator("pre").first).to_have_text(PROBE)
    await expect(row).to_contain_text("Attempt 1: It answered 500")
    await expect(page.locator("#webhook-state")).to_contain_text("it is tried again")


async def test_the_home_page_says_at_once_that_one_was_switched_off(
    desk: Desk, house: House, receiver: Receiver
) -> None:
    page = desk.page
    await add(desk, receiver.url, PROBE)
    await desk.open("")
    await expect(page.locator("#needs-list li")).to_have_count(0)
    receiver.status = 410
    await happen(house, desk)
    need = page.locator("#needs-list li")
    await expect(need.locator("b")).to_have_text(PROBE)
    await expect(need).to_contain_text("Switched off")
    await need.get_by_role("link", name="Look at it").click()
    await expect(page.locator("#webhook-state")).to_contain_text("Switched off")


async def test_it_is_paused_changed_and_removed(desk: Desk, house: House, receiver: Receiver) -> None:
    page = desk.page
    first = await add(desk, receiver.url, "n8n")
    await page.click("#webhooks a")
    await happen(house, desk)
    await until(lambda: receiver.arrived, bound_s=BOUND_S)
    sent = page.locator("#log li", has_text="Delivered").first
    await sent.locator("summary").click()
    await expect(sent.locator("pre")).to_have_text("thanks")
    count = len(receiver.arrived)
    await sent.get_by_role("button", name="Send it again").click()
    await until(lambda: len(receiver.arrived) > count, bound_s=BOUND_S)
    await page.click("[data-state=failed]")
    await expect(page.locator("#log-empty")).to_have_text("Nothing has failed.")

    await page.click("#pause")
    await expect(page.locator("#webhook-state")).to_contain_text("Paused")
    await page.click("#pause")
    await expect(page.locator("#webhook-state")).to_have_text("Works")
    await page.click("#edit")
    await page.click("#webhook-some summary")
    await page.check("[value=dm_chat]")
    await page.fill("#webhook-description", "n8n, messages alone")
    await page.press("#webhook-description", "Enter")
    await expect(page.locator("#webhook-events")).to_have_text("dm_chat")
    await expect(page.locator("h1")).to_have_text("n8n, messages alone")
    await page.click("#rotate")
    await page.click("#sure-go")
    await expect(page.locator("#fresh-title")).to_be_focused()
    assert await page.input_value("#fresh-secret") != first
    await expect(page.locator("#old-secret")).to_contain_text("the old secret signs, too")
    await page.click("#remove")
    await expect(page.locator("#sure-title")).to_have_text("Remove n8n, messages alone")
    await page.click("#sure-go")
    await expect(page.locator("#webhooks-empty")).to_be_visible()


@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESKTOP), ("dark", PHONE)], ids=["light", "dark"])
async def test_everybody_can_use_it(
    house: House, mute_browser: Browser, receiver: Receiver, scheme: str, viewport: dict[str, int]
) -> None:
    desk = await desk_in(mute_browser, house, viewport=viewport, color_scheme=scheme)
    page, found = desk.page, list[str]()

    async def look(where: str) -> None:
        found.extend(await desk.violations(where))

    await add(desk, receiver.url, "a name " * 14)
    await look("the list with a secret")
    await page.click("#create")
    await page.click("#webhook-some summary")
    await look("the form")
    await page.keyboard.press("Escape")
    await page.click("#webhooks a")
    await happen(house, desk)
    await page.locator("#log summary").first.click()
    await look("the log")
    await page.press("#remove", "Enter")  # on a phone the bar below may cover it until one scrolls
    await look("are you sure")
    assert found == []
    assert desk.complaints == []
