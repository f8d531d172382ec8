"""Sign-ins and confirmation over REST, as the gateway's own pages use them."""

from datetime import timedelta

import httpx2
from sqlalchemy import update

from chamade_mcp.core.sign_ins import GRACE
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.store.schema import sessions
from tests.integration.api.conftest import BASE_URL, EMAIL, PASSWORD, House, client_of
from tests.support.problems import assert_problem

OURS = {"origin": BASE_URL}
CREDENTIALS = {"email": EMAIL, "password": PASSWORD}


async def grow_old(house: House) -> None:
    """As if everybody had signed in a while ago."""
    past = SystemClock().now() - GRACE - timedelta(seconds=1)
    await house.gateway.core.accounts.sign_ins._database.write(  # pyright: ignore[reportPrivateUsage]
        lambda conn: conn.execute(update(sessions).values(confirmed_at=past))
    )


async def test_a_browser_signs_in_and_shows_who_sits_there(house: House) -> None:
    async with client_of(house, **OURS) as browser:
        assert_problem(await browser.get("/api/account"), 401, "MISSING_API_KEY")
        wrong = await browser.post("/api/sign-in", json={**CREDENTIALS, "password": "wrong"})
        assert_problem(wrong, 401, "SIGN_IN_FAILED")
        assert "set-cookie" not in wrong.headers
        foreign = {"origin": "https://evil.example"}
        assert_problem(
            await browser.post("/api/sign-in", json=CREDENTIALS, headers=foreign), 403, "CROSS_ORIGIN"
        )
        signed_in = await browser.post("/api/sign-in", json=CREDENTIALS)
        assert signed_in.json()["email"] == EMAIL
        assert "HttpOnly" in signed_in.headers["set-cookie"]
        assert (await browser.get("/api/profile")).json()["owner"] is True
        managing = {"name": "k", "permissions": ["manage"]}
        assert (await browser.post("/api/api-keys", json=managing)).status_code == 201

        await grow_old(house)
        refused = await browser.post("/api/api-keys", json=managing)
        assert_problem(refused, 403, "CONFIRMATION_REQUIRED")
        assert (
            await browser.post("/api/api-keys", json={"name": "k", "permissions": ["read"]})
        ).status_code == 201
        for method, path, body in (
            ("POST", "/api/change-email", {"new_email": "b@example.org"}),
            ("DELETE", "/api/account", {}),
        ):
            assert_problem(await browser.request(method, path, json=body), 403, "CONFIRMATION_REQUIRED")
        refused = await browser.post("/api/confirm", json={"password": "wrong"})
        assert_problem(refused, 403, "WRONG_PASSWORD")
        assert (await browser.post("/api/confirm", json={"password": PASSWORD})).json() == {"status": "ok"}
        assert (await browser.post("/api/api-keys", json=managing)).status_code == 201


async def test_browsers_are_ended_from_another(house: House, api: httpx2.AsyncClient) -> None:
    async with client_of(house, **OURS) as one, client_of(house, **OURS) as two:
        for browser in (one, two):
            await browser.post("/api/sign-in", json=CREDENTIALS)
        listed = (await one.get("/api/sign-ins")).json()["sign_ins"]
        assert [entry["current"] for entry in listed].count(True) == 1
        (other,) = (entry["id"] for entry in listed if not entry["current"])
        assert (await one.delete(f"/api/sign-ins/{other}")).json() == {"status": "ok"}
        assert_problem(await two.get("/api/account"), 401, "SESSION_ENDED")
        assert_problem(await one.delete(f"/api/sign-ins/{other}"), 404, "SIGN_IN_NOT_FOUND")
        await two.post("/api/sign-in", json=CREDENTIALS)
        assert (await one.delete("/api/sign-ins")).json() == {"status": "ok", "ended": 1}
        assert (await one.get("/api/account")).status_code == 200
        assert (await api.delete("/api/sign-ins")).json()["ended"] == 1
        assert_problem(await one.get("/api/account"), 401, "SESSION_ENDED")


async def test_a_program_confirms_nothing(api: httpx2.AsyncClient) -> None:
    assert_problem(await api.post("/api/confirm", json={"password": PASSWORD}), 403, "SESSION_REQUIRED")


async def test_the_owner_invites_by_rest(house: House, api: httpx2.AsyncClient) -> None:
    made = await api.post("/api/account-invitations", json={"email": "ben@example.org"})
    assert made.status_code == 201
    assert made.json()["link"].startswith(f"{BASE_URL}/welcome/")
    (listed,) = (await api.get("/api/account-invitations")).json()["invitations"]
    assert (listed["email"], "link" in listed) == ("ben@example.org", False)
    taken = await api.post("/api/account-invitations", json={"email": EMAIL})
    assert_problem(taken, 409, "EMAIL_TAKEN")
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        refused = await other.post("/api/account-invitations", json={"email": "c@example.org"})
        assert_problem(refused, 403, "NOT_OWNER")
        path = f"/api/account-invitations/{listed['id']}"
        assert_problem(await other.delete(path), 404, "INVITATION_NOT_FOUND")
        assert (await api.delete(path)).json() == {"status": "ok"}
        assert (await api.get("/api/account-invitations")).json() == {"invitations": []}
