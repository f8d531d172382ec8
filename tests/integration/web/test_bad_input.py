"""What people do to forms that forms do not expect: twice, too late, backwards, in two tabs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.support.desk import DESKTOP, EMAIL, LOADED, PASSWORD, Desk, desk_in
from tests.support.visitors import House, open_house, visit
from tests.support.waiting import BOUND_S, until

expect.set_options(timeout=BOUND_S * 1000)

NOBODY = "127.0.0.1:9"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with open_house(tmp_path / "data", webhook_private_hosts=NOBODY) as house:
        yield house


@pytest.fixture
async def desk(mute_browser: Browser, house: House) -> AsyncGenerator[Desk]:
    """What the browser itself says of an answer that refuses is no complaint of the page's."""
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    yield desk
    assert [one for one in desk.complaints if "the server responded with a status of 4" not in one] == []


@asynccontextmanager
async def slow(page: Page, path: str) -> AsyncGenerator[list[str]]:
    """Inside, what the page asks of `path` is not answered; the methods it asked with."""
    answered, asked = asyncio.Event(), list[str]()

    async def hold(route: Route) -> None:
        if route.request.method != "GET":
            asked.append(route.request.method)
            await answered.wait()
        await route.continue_()

    await page.route(path, hold)
    yield asked
    await until(lambda: asked)
    answered.set()
    await page.unroute_all(behavior="wait")


@dataclass(frozen=True, slots=True)
class Form:
    page: str
    opener: str
    field: str
    text: str
    submit: str
    path: str
    made: str
    """What there is one more of afterwards."""


FORMS = (
    Form("/keys", "#create", "#key-name", "twice", "#key-form [type=submit]", "api-keys", "#keys li"),
    Form(
        "/webhooks",
        "#create",
        "#webhook-url",
        f"http://{NOBODY}/",
        "#webhook-form [type=submit]",
        "webhooks",
        "#webhooks li",
    ),
    Form(
        "/agents",
        "#create",
        "#agent-name",
        "twice",
        "#agent-form [type=submit]",
        "agents",
        "#agents .agent-card",
    ),
    Form("", "", "", "", "#start-chat", "invite-link", "#links li"),
)


async def fill(desk: Desk, form: Form) -> int:
    """How many there are before it is sent."""
    await desk.open(form.page)
    count = await desk.page.locator(form.made).count()
    if form.opener:
        await desk.page.click(form.opener)
        await desk.page.fill(form.field, form.text)
    return count


async def test_what_is_sent_twice_is_done_once(desk: Desk, house: House) -> None:
    page = desk.page
    for form in FORMS:
        before = await fill(desk, form)
        async with slow(page, f"**/api/{form.path}") as asked:
            await page.dblclick(form.submit)
            if form.field:
                await page.press(form.field, "Enter")
                await page.press(form.field, "Enter")
        await expect(page.locator(form.made)).to_have_count(before + 1)
        assert asked == ["POST"], form.path
    await desk.open("/agents")
    await page.get_by_role("button", name="Delete twice").click()
    await page.fill("#sure-name", "twice")
    async with slow(page, "**/api/agents/*") as asked:
        await page.dblclick("#sure-go")
        await page.press("#sure-name", "Enter")
    await expect(page.locator("#agents .agent-card")).to_have_count(1)
    assert asked == ["DELETE"]


async def test_a_sign_in_that_ended_takes_nothing_that_was_typed(desk: Desk, house: House) -> None:
    page = desk.page
    async with house.agent() as agent:
        for form in (form for form in FORMS if form.field):
            before = await fill(desk, form)
            (await agent.delete("/api/sign-ins")).raise_for_status()
            await page.click(form.submit)
            await page.wait_for_selector("#person[open]")
            await page.fill("#person-password", PASSWORD)
            await page.click("#person-go")
            await expect(page.locator(form.made)).to_have_count(before + 1)


async def test_two_tabs_do_not_contradict_each_other(desk: Desk, house: House) -> None:
    """What was ended in one tab is acted on in the other, before that knows."""
    page = desk.page
    async with house.agent() as agent:
        key = (await agent.post("/api/api-keys", json={"name": "old"})).json()["id"]
        await desk.open("/keys")
        await page.get_by_role("button", name="Revoke old").click()
        (await agent.delete(f"/api/api-keys/{key}")).raise_for_status()
        await page.fill("#sure-name", "old")
        await page.press("#sure-name", "Enter")
        await expect(page.locator("#keys li")).to_have_count(1)

        await agent.post("/api/invite-link", json={"platform": "web"})
        await desk.open("")
        await page.locator("#links button").click()
        (link,) = (await agent.get("/api/links")).json()["links"]
        (await agent.delete(f"/api/links/{link['id']}")).raise_for_status()
        await page.click("#sure-go")
        await expect(page.locator("#links-empty")).to_be_visible()

        second = (await agent.post("/api/agents", json={"name": "second"})).json()["id"]
        await desk.open("/agents")
        await page.get_by_role("button", name="Rename second").click()
        gone = await page.context.request.delete(
            f"{house.url}/api/agents/{second}", headers={"origin": house.url}
        )
        assert gone.ok, await gone.text()
        await page.fill("#agent-name", "third")
        await page.press("#agent-name", "Enter")
        await expect(page.locator("#agent-name-error")).to_have_text("Agent not found.")
        await expect(page.locator("#agent-name")).to_have_value("third")

        hook = (await agent.post("/api/webhooks", json={"url": f"http://{NOBODY}/"})).json()["id"]
        await desk.open(f"/webhooks/{hook}")
        (await agent.delete(f"/api/webhooks/{hook}")).raise_for_status()
        await page.click("#pause")
        await expect(page.locator("#trouble")).to_have_text("Webhook not found.")
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(page.locator("#state")).to_have_text("Not up to date")
        await expect(page.locator("#trouble")).to_have_text("Webhook not found.")
        await page.reload()
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert "Traceback" not in await page.content()


async def test_the_way_back_shows_no_secret_and_sends_nothing_again(desk: Desk, house: House) -> None:
    page = desk.page
    await fill(desk, FORMS[0])
    await page.click(FORMS[0].submit)
    await expect(page.locator("#fresh")).to_be_visible()
    key = await page.input_value("#fresh-key")
    await page.get_by_role("link", name="Webhooks").click()
    await page.wait_for_selector(LOADED)
    await page.go_back()
    await page.wait_for_selector(LOADED)
    await expect(page.locator("#keys li")).to_have_count(2)
    await expect(page.locator("#fresh")).to_be_hidden()
    assert key not in await page.content()
    assert await page.input_value("#fresh-key") == ""


async def test_forms_on_the_way_in(mute_browser: Browser, house: House) -> None:
    page = await visit(mute_browser, f"{house.url}/sign-in", "")
    await page.context.clear_cookies()  # as after the form has stood there for a day
    await page.fill("#email", EMAIL)
    await page.fill("#password", PASSWORD)
    await page.click("button.primary")
    await expect(page.locator("#error")).to_have_text("This form has expired. Send it again.")
    await expect(page.locator("#email")).to_have_value(EMAIL)
    await page.fill("#password", PASSWORD)
    async with slow(page, "**/sign-in") as asked:
        await page.dblclick("button.primary")
    await page.wait_for_selector(LOADED)
    assert asked == ["POST"]
    invited = await page.context.request.post(
        f"{house.url}/api/account-invitations",
        data={"email": "ben@example.org"},
        headers={"origin": house.url},
    )
    link = (await invited.json())["link"]
    await page.context.close()

    page = await visit(mute_browser, link, "")
    await page.fill("#password", PASSWORD)
    async with slow(page, "**/welcome/*") as asked:
        await page.dblclick("button.primary")
    await page.wait_for_selector(LOADED)
    assert asked == ["POST"]
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert "Traceback" not in await page.content()
    await page.context.close()


HOSTILE = {
    "../../etc/<img src=x onerror=window.hacked=1>.html": (
        "text/html",
        b"<script>window.hacked = 1</script>",
    ),
    "a\u202egpj.svg": (
        "image/svg+xml",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked=1'/>",
    ),
}
OF_ALL = 26 * 1024 * 1024


async def test_files_that_mean_harm(desk: Desk, house: House, mute_browser: Browser) -> None:
    async with house.agent() as agent:
        link = (await agent.post("/api/invite-link", json={"platform": "web"})).json()["url"]
    person = await visit(mute_browser, link, "Mallory")
    await expect(person.locator("#hello")).to_be_visible()  # it is known here, and may upload
    huge = {"name": "huge.bin", "mimeType": "application/octet-stream", "buffer": b"\0" * OF_ALL}
    await person.set_input_files("#picker", huge)  # pyright: ignore[reportArgumentType]
    await expect(person.locator(".chip.failed")).to_contain_text("Larger than")
    await person.locator(".chip button").click()
    for name, (mime, body) in HOSTILE.items():
        file = {"name": name, "mimeType": mime, "buffer": body}
        await person.set_input_files("#picker", file)  # pyright: ignore[reportArgumentType]
        await person.wait_for_selector(".chip.done")
        await person.click("#send")
        await expect(person.locator(".chip")).to_have_count(0)
    await expect(person.locator(".message:not(.pending) .file")).to_have_count(2)

    await desk.page.locator("#inbox a").first.click()
    files = desk.page.locator("#messages a.file, #messages .file a")
    await expect(files).to_have_count(2)
    shown = await desk.page.locator("#messages .file").all_inner_texts()
    assert not [name for name in shown if ".." in name or "/" in name or "\u202e" in name], shown
    async with httpx2.AsyncClient(base_url=house.url) as http:
        for link in [await one.get_attribute("href") or "" for one in await files.all()]:
            told = await http.get(link)
            assert told.headers["content-disposition"].startswith("attachment")
            assert told.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
            assert told.headers["x-content-type-options"] == "nosniff"
            async with desk.page.expect_download() as saved:
                await desk.page.evaluate("(href) => { location.href = href }", link)
            assert "/" not in (await saved.value).suggested_filename
    for page in (desk.page, person):
        assert await page.evaluate("window.hacked") is None
