"""The account, its keys and its platforms over REST."""

import httpx2

from chamade_mcp.model.access import Permission
from tests.integration.api.conftest import EMAIL, PASSWORD, House, client_of
from tests.support.problems import assert_problem
from tests.support.requirement import requirement


@requirement("R-161", "R-162", "R-163", "R-164", "R-168")
async def test_the_account(api: httpx2.AsyncClient) -> None:
    account = (await api.get("/api/account")).json()
    assert account["features"]["transport"] == "ready"
    assert account["features"]["hosted_tts"] == "byok"
    assert account["concurrent_calls"] == {"active": 0, "limit": 3}
    assert account["platforms"]["web"].keys() >= {"status", "capabilities", "files"}


@requirement("R-001", "R-003", "R-009")
async def test_everything_else_wants_a_key(house: House, nobody: httpx2.AsyncClient) -> None:
    document = (await nobody.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if operation.get("security") == []:
                continue
            concrete = path.replace("{", "").replace("}", "")
            answer = await nobody.request(method.upper(), concrete, headers={"x-api-key": "chmd_wrong"})
            assert_problem(answer, 401, "INVALID_API_KEY", detail="Invalid or missing API key")


@requirement("R-004", "R-007", "R-170")
async def test_the_life_of_a_key(house: House, api: httpx2.AsyncClient) -> None:
    made = (await api.post("/api/api-keys", json={"name": "second", "expires_in_days": 30})).json()
    assert made["key"].startswith("chmd_")
    assert made["expires_at"] is not None
    listed = (await api.get("/api/api-keys")).json()["api_keys"]
    assert made["key"] not in str(listed)
    assert {k["name"] for k in listed} == {"test", "second"}
    async with client_of(house, **{"x-api-key": made["key"]}) as second:
        assert (await second.get("/api/account")).status_code == 200
        assert (await api.delete(f"/api/api-keys/{made['id']}")).status_code == 200
        assert_problem(await second.get("/api/account"), 401, "REVOKED_API_KEY")
    assert_problem(await api.delete(f"/api/api-keys/{made['id']}"), 404, "KEY_NOT_FOUND")


async def test_a_key_gives_no_more_than_it_has(house: House) -> None:
    key = await house.new_key(Permission.READ, Permission.MANAGE)
    async with client_of(house, **{"x-api-key": key}) as manager:
        beyond = await manager.post("/api/api-keys", json={"name": "k", "permissions": ["read", "call"]})
        assert_problem(beyond, 403, "INSUFFICIENT_PERMISSIONS")
        made = (await manager.post("/api/api-keys", json={"name": "k"})).json()
        assert made["permissions"] == ["read", "manage"]
        call = await manager.post("/api/call", json={"platform": "scripted"})
        assert_problem(call, 403, "INSUFFICIENT_PERMISSIONS")


@requirement("R-005", "R-006")
async def test_an_unproved_address_makes_no_keys_and_no_bots(house: House) -> None:
    async with client_of(house, **{"x-api-key": await house.other_account(verified=False)}) as client:
        assert_problem(await client.post("/api/api-keys", json={"name": "k"}), 403, "EMAIL_NOT_VERIFIED")
        bot = {"platform": "telegram", "bot_token": "123:abc"}
        assert_problem(await client.post("/api/bot-tokens", json=bot), 403, "EMAIL_NOT_VERIFIED")


@requirement("R-171", "R-172")
async def test_what_a_later_version_brings_is_named(api: httpx2.AsyncClient) -> None:
    zoom = await api.post("/api/bot-tokens", json={"platform": "zoom", "bot_token": "123:abc"})
    assert_problem(zoom, 501, "NOT_AVAILABLE", detail="This gateway has no Zoom connector yet")
    for body, field in (
        ({"platform": "discord", "bot_token": "x"}, "discord_app_id"),
        ({"platform": "slack", "bot_token": "x"}, "slack_signing_secret"),
    ):
        assert_problem(await api.post("/api/bot-tokens", json=body), 422, "VALIDATION_FAILED", field=field)
    assert (await api.get("/api/bot-tokens")).json() == {"bot_tokens": []}
    assert_problem(await api.delete("/api/bot-tokens/bot_1"), 404, "BOT_NOT_FOUND")
    assert_problem(await api.post("/api/oauth/start/microsoft"), 501, "NOT_AVAILABLE")
    assert_problem(await api.post("/api/oauth/start/myspace"), 404, "PROVIDER_NOT_FOUND")
    assert_problem(await api.delete("/api/connections/embedded:web"), 409, "EMBEDDED_PLATFORM")
    assert_problem(await api.delete("/api/connections/conn_1"), 404, "CONNECTION_NOT_FOUND")
    nobody = {"detail": "No telegram bot registered"}
    assert_problem(await api.post("/api/telegram/connect"), 400, "NO_BOT_REGISTERED", **nobody)
    assert_problem(await api.post("/api/slack/install"), 501, "NOT_AVAILABLE")
    trunk = {"sip_host": "sip.example.org", "sip_username": "u", "sip_password": "p"}
    assert_problem(await api.post("/api/sip/trunk", json=trunk), 501, "NOT_AVAILABLE")
    assert_problem(await api.get("/api/sip/trunk"), 404, "NO_SIP_TRUNK", detail="No SIP trunk configured")
    number = {"number": "+33123456789", "label": "desk"}
    assert_problem(await api.post("/api/sip/trunk/dids", json=number), 404, "NO_SIP_TRUNK")
    assert_problem(
        await api.post("/api/sip/trunk/dids/1/settings", json={"auto_answer": True}), 404, "NO_SIP_TRUNK"
    )


@requirement("R-182")
async def test_links_for_people(api: httpx2.AsyncClient) -> None:
    made = (await api.post("/api/invite-link", json={"platform": "scripted", "agent_name": "Ada"})).json()
    (listed,) = (await api.get("/api/links")).json()["links"]
    assert (listed["id"], listed["title"]) == (made["id"], "Chat with Ada")
    assert made["url"] not in str(listed)
    assert (await api.delete(f"/api/links/{made['id']}")).status_code == 200
    assert (await api.get("/api/links")).json() == {"links": []}
    assert_problem(await api.delete(f"/api/links/{made['id']}"), 404, "LINK_NOT_FOUND")
    assert "/c/" in (await api.post("/api/invite-link")).json()["url"]
    for platform, status, code in (("telegram", 400, "NO_BOT_REGISTERED"), ("zoom", 501, "NOT_AVAILABLE")):
        assert_problem(await api.post("/api/invite-link", json={"platform": platform}), status, code)


@requirement("R-185", "R-186", "R-187", "R-189", "R-190")
async def test_the_profile(api: httpx2.AsyncClient) -> None:
    assert (await api.patch("/api/profile", json={"name": "Ada"})).json()["name"] == "Ada"
    wrong = {"current_password": "wrong", "new_password": "long enough"}
    assert_problem(await api.post("/api/change-password", json=wrong), 403, "WRONG_PASSWORD")
    right = {"current_password": PASSWORD, "new_password": "a new long password"}
    assert (await api.post("/api/change-password", json=right)).json() == {"status": "ok"}
    mail = {"new_email": "new@example.org", "password": "a new long password"}
    told = (await api.post("/api/change-email", json=mail)).json()
    assert told["link"].startswith("http://127.0.0.1:8000/new-email/")
    assert_problem(await api.post("/api/verify-email"), 409, "EMAIL_VERIFIED")
    del mail["password"]
    refused = await api.post("/api/change-email", json=mail)
    assert_problem(refused, 403, "CONFIRMATION_REQUIRED")
    exported = await api.get("/api/export")
    assert exported.json()["account"]["email"] == EMAIL
    assert "chmd_" not in exported.text
    assert (await api.get("/api/usage")).json()["call_count"] == 0


@requirement("R-188")
async def test_the_end_of_an_account(api: httpx2.AsyncClient) -> None:
    wrong = await api.request("DELETE", "/api/account", json={"password": "wrong"})
    assert_problem(wrong, 403, "WRONG_PASSWORD")
    gone = await api.request("DELETE", "/api/account", json={"password": PASSWORD})
    assert gone.json() == {"status": "ok"}
    assert_problem(await api.get("/api/account"), 401, "INVALID_API_KEY")


@requirement("R-002")
async def test_a_browser_session(house: House, nobody: httpx2.AsyncClient) -> None:
    token = await house.gateway.core.accounts.sign_in(EMAIL, PASSWORD)
    cookie = {"cookie": f"chamade={token}"}
    assert (await nobody.get("/api/account", headers=cookie)).status_code == 200
    name = {"name": "Ada"}
    assert_problem(await nobody.patch("/api/profile", headers=cookie, json=name), 403, "CROSS_ORIGIN")
    ours = {**cookie, "origin": "http://127.0.0.1:8000"}
    assert (await nobody.patch("/api/profile", headers=ours, json=name)).status_code == 200


async def test_how_long_data_is_kept(house: House, api: httpx2.AsyncClient) -> None:
    unset = dict.fromkeys(("messages_days", "files_days", "transcripts_days", "recordings_days"))
    assert (await api.get("/api/retention")).json() == unset
    changed = await api.patch("/api/retention", json={"messages_days": 30.0})
    assert changed.json() == unset | {"messages_days": 30}
    changed = await api.patch("/api/retention", json={"files_days": 1, "messages_days": None})
    assert changed.json() == unset | {"files_days": 1}
    for wrong in (0, 3651, "7", 1.5, True):
        refused = await api.patch("/api/retention", json={"messages_days": wrong})
        assert_problem(refused, 422, "VALIDATION_FAILED", field="messages_days")
    async with client_of(house, **{"x-api-key": await house.new_key(Permission.READ)}) as reader:
        assert (await reader.get("/api/retention")).status_code == 200
        refused = await reader.patch("/api/retention", json={"messages_days": 1})
        assert_problem(refused, 403, "INSUFFICIENT_PERMISSIONS")
