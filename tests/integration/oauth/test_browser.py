"""The consent screen in a real browser: signed in on the way, answered, sent back; and what it keeps out."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.support.callback import Callback
from tests.support.desk import AXE, AXE_RUN
from tests.support.oauth import EMAIL, PASSWORD, Program
from tests.support.requirement import requirement
from tests.support.server import serve
from tests.support.visitors import House
from tests.support.waiting import BOUND_S

SIZES = {"wide": ViewportSize(width=1280, height=800), "phone": ViewportSize(width=390, height=844)}

expect.set_options(timeout=BOUND_S * 1000)


async def at_the_question(browser: Browser, address: str, **options: object) -> Page:
    context = await browser.new_context(**options)  # pyright: ignore[reportArgumentType]
    page = await context.new_page()
    page.set_default_timeout(BOUND_S * 1000)
    await page.goto(address)
    await page.get_by_label("E-mail address").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading")).to_contain_text("act as your agent?")
    return page


@pytest.mark.parametrize(("button", "member"), [("Allow", "code"), ("Deny", "error")])
async def test_a_person_signs_in_and_answers(
    house: House, browser: Browser, program: Program, button: str, member: str
) -> None:
    callback = Callback()
    async with callback.serving() as program.redirect_uri:
        page = await at_the_question(browser, program.address())
        await page.get_by_role("button", name=button).click()
        told = await callback.next()
        assert (told["state"], told["iss"]) == (program.state, house.url)
        assert member in told
        await expect(page.get_by_role("heading")).to_have_text("You can close this")
        await page.context.close()


@requirement("R-256")
async def test_on_the_dashboard_it_is_taken_back(house: House, browser: Browser, program: Program) -> None:
    callback = Callback()
    async with callback.serving() as program.redirect_uri:
        page = await at_the_question(browser, program.address())
        await page.get_by_role("button", name="Allow").click()
        code = (await callback.next())["code"]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": program.verifier}
    token = (await program.post("/token", form)).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    assert (await program.http.get(f"{house.url}/api/account", headers=headers)).status_code == 200
    await page.goto(f"{house.url}/dashboard/apps")
    row = page.locator(".app-card")
    await expect(row).to_contain_text("A test editor")
    await expect(row).to_contain_text("its own word: nobody has checked this name")
    await page.evaluate(AXE)
    assert await page.evaluate(AXE_RUN) == []
    await row.get_by_role("button", name="Take access back from A test editor").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Take it back").click()
    await expect(page.locator("#apps-empty")).to_be_visible()
    assert (await program.http.get(f"{house.url}/api/account", headers=headers)).status_code == 401
    await page.context.close()


async def test_allow_does_not_take_the_click_that_was_meant_for_the_window_before(
    browser: Browser, program: Program
) -> None:
    page = await at_the_question(browser, program.address())
    allow = page.get_by_role("button", name="Allow")
    await expect(allow).to_be_enabled()
    await page.evaluate("dispatchEvent(new Event('focus'))")
    assert await allow.is_disabled()
    assert await page.get_by_role("button", name="Deny").is_enabled()
    await expect(allow).to_be_enabled()
    await page.context.close()


async def test_no_page_can_frame_it(browser: Browser, program: Program) -> None:
    page = await at_the_question(browser, program.address())
    question = page.url

    async def trap(request: Request) -> Response:
        del request
        return HTMLResponse(f'<!doctype html><title>Trap</title><iframe src="{question}"></iframe>')

    @asynccontextmanager
    async def build(url: str) -> AsyncGenerator[Starlette]:
        del url
        yield Starlette(routes=[Route("/", trap)])

    async with serve(build) as elsewhere:
        async with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
            await page.goto(elsewhere)
        frame = page.frames[1]
        assert await frame.locator("button").count() == 0
    await page.context.close()


async def test_a_form_on_another_site_cannot_allow(browser: Browser, program: Program) -> None:
    page = await at_the_question(browser, program.address())
    fields = await page.evaluate(
        "() => Object.fromEntries(new FormData(document.querySelector('form')).entries())"
    )
    target = page.url.partition("?")[0]
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())

    async def trap(request: Request) -> Response:
        del request
        form = f'<form method="post" action="{target}">{inputs}<input name="decision" value="allow"></form>'
        return HTMLResponse(f"<!doctype html><title>Trap</title>{form}")

    @asynccontextmanager
    async def build(url: str) -> AsyncGenerator[Starlette]:
        del url
        yield Starlette(routes=[Route("/", trap)])

    async with serve(build) as elsewhere:
        await page.goto(elsewhere.replace("127.0.0.1", "localhost"))
        async with page.expect_response(lambda response: response.url == target) as sent:
            await page.evaluate("document.forms[0].submit()")
        assert (await sent.value).status == 403
    await page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_everybody_can_read_it(
    browser: Browser, program: Program, size: str, scheme: str, tmp_path: Path
) -> None:
    address = program.address(scope="read message call manage")
    page = await at_the_question(browser, address, viewport=SIZES[size], color_scheme=scheme)
    allow = page.get_by_role("button", name="Allow")
    await expect(allow).to_be_enabled()
    await page.screenshot(path=tmp_path / f"consent-{size}-{scheme}.png", full_page=True)
    await page.evaluate(AXE)
    assert await page.evaluate(AXE_RUN) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in (allow, page.get_by_role("button", name="Deny")):
        box = await button.bounding_box()
        assert box is not None
        assert box["height"] >= 40
    await page.context.close()
