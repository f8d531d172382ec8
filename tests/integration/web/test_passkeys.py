"""Passkeys in a real browser, with a virtual authenticator in place of a finger on a sensor."""

from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Browser, expect

from chamade_mcp.core.sign_ins import GRACE
from tests.integration.web.test_account import Later, give_password, serious
from tests.support.desk import AXE, AXE_RUN, DESKTOP, EMAIL, LOADED, PASSWORD, Desk, desk_in
from tests.support.visitors import House, open_house

DEVICE: dict[str, Any] = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


async def give_device(desk: Desk) -> tuple[Any, str]:
    """The browser has an authenticator from now on: the session that speaks with it, and its id."""
    cdp: Any = await desk.page.context.new_cdp_session(desk.page)
    await cdp.send("WebAuthn.enable")
    made = await cdp.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    return cdp, made["authenticatorId"]


async def add_passkey(desk: Desk, name: str) -> None:
    await desk.page.click("#add-passkey")
    await desk.page.fill("#passkey-form-name", name)
    await desk.page.click("#passkey-go")


async def sign_out(desk: Desk) -> None:
    await desk.page.get_by_role("button", name="Sign out", exact=True).click()
    await desk.page.wait_for_selector("#passkey:not([hidden])")


async def test_a_passkey_from_its_making_to_its_end(mute_browser: Browser, tmp_path: Path) -> None:
    clock = Later()
    async with open_house(tmp_path / "data", clock=clock, name="localhost") as house:
        desk = await desk_in(mute_browser, house, viewport=DESKTOP)
        page = desk.page
        cdp, device = await give_device(desk)
        await desk.open("/account")
        await page.click("#add-passkey")
        await page.click("#passkey-go")
        await expect(page.locator("#passkey-form-name-error")).to_contain_text("Give it a name")
        await page.keyboard.press("Escape")
        clock.later = GRACE
        await add_passkey(desk, "<b>Laptop</b>")
        await give_password(page, PASSWORD)
        row = page.locator("#passkeys li")
        await expect(row).to_contain_text("<b>Laptop</b>")
        await expect(row).to_contain_text("Never used")
        await page.evaluate(AXE)
        assert await page.evaluate(AXE_RUN) == []

        await add_passkey(desk, "the same device")
        await expect(page.locator("#passkey-form")).to_contain_text("has a passkey for this account already")
        await page.keyboard.press("Escape")
        await row.get_by_role("button", name="Rename").click()
        await page.fill("#passkey-form-name", "My laptop")
        await page.click("#passkey-go")
        await expect(row.locator("b")).to_have_text("My laptop")

        await sign_out(desk)
        await page.goto(f"{house.url}/sign-in?next=/dashboard/account")
        await page.evaluate(AXE)
        assert await page.evaluate(AXE_RUN) == []
        await page.click("#passkey")
        await page.wait_for_url(f"{house.url}/dashboard/account")
        await page.wait_for_selector(LOADED)
        await expect(row).to_contain_text("Used just now")

        clock.later = 2 * GRACE
        await row.get_by_role("button", name="Remove").click()
        await page.wait_for_selector("#person[open]")
        await page.click("#person-passkey")
        await expect(row).to_have_count(0)

        await sign_out(desk)
        await page.click("#passkey")
        await expect(page.locator("#passkey-error")).to_have_text("This passkey opens nothing here.")
        await cdp.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
        await page.click("#passkey")
        await expect(page.locator("#passkey-error")).to_have_text("No passkey was shown.")
        assert serious(desk) == []


async def shown(desk: Desk, path: str) -> dict[str, Any]:
    """What the device answers to the question of `path`."""
    ask = """async (path) => {
      const { options } = await (await fetch(`${path}/options`, { method: "POST" })).json();
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
      return (await navigator.credentials.get({ publicKey })).toJSON();
    }"""
    return await desk.page.evaluate(ask, path)


async def test_what_was_shown_opens_one_door_once(mute_browser: Browser, tmp_path: Path) -> None:
    clock = Later()
    async with open_house(tmp_path / "data", clock=clock, name="localhost") as house:
        desk = await desk_in(mute_browser, house, viewport=DESKTOP)
        await give_device(desk)
        await desk.open("/account")
        await add_passkey(desk, "Laptop")
        await expect(desk.page.locator("#passkeys li")).to_have_count(1)
        confirming = await shown(desk, "/api/confirm/passkey")
        signing_in = await shown(desk, "/api/sign-in/passkey")
        late = await shown(desk, "/api/sign-in/passkey")
        ours = {"origin": house.url}
        async with httpx2.AsyncClient(base_url=house.url, headers=ours) as other:

            async def sign_in(credential: dict[str, Any], **headers: str) -> int:
                body = {"credential": credential}
                return (await other.post("/api/sign-in/passkey", json=body, headers=headers)).status_code

            assert await sign_in(confirming) == 401
            assert await sign_in(signing_in, origin="https://evil.example") == 403
            forged = {**signing_in, "response": {**signing_in["response"], "signature": "AAAA"}}
            assert await sign_in(forged) == 401
            # The question counts as answered, rightly or not.
            assert await sign_in(signing_in) == 401
            assert await sign_in(await shown(desk, "/api/sign-in/passkey")) == 200
            assert (await other.get("/api/profile")).json()["email"] == EMAIL
            clock.later = GRACE
            assert await sign_in(late) == 401
            refused = await other.post("/api/confirm/passkey", json={"credential": confirming})
            assert (refused.status_code, refused.json()["code"]) == (403, "PASSKEY_REFUSED")


async def test_where_browsers_give_none_the_page_says_why(mute_browser: Browser, house: House) -> None:
    desk = await desk_in(mute_browser, house, viewport=DESKTOP)
    await desk.open("/account")
    await expect(desk.page.locator("#passkeys-words")).to_contain_text("at http://localhost")
    await expect(desk.page.locator("#add-passkey")).to_be_hidden()
    async with house.agent() as agent:
        refused = await agent.post("/api/passkeys/options")
        assert (refused.status_code, refused.json()["code"]) == (403, "SESSION_REQUIRED")
    async with httpx2.AsyncClient(base_url=house.url, headers={"origin": house.url}) as nobody:
        refused = await nobody.post("/api/sign-in/passkey/options")
        assert (refused.status_code, refused.json()["code"]) == (501, "NOT_AVAILABLE")
        assert 'id="passkey"' not in (await nobody.get("/sign-in")).text
