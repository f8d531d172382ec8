"""Bots, connections, webhooks and pairings over the REST API."""

import httpx2
import pytest

from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Permission
from chamade_mcp.model.ids import ConnectionId
from tests.integration.api.conftest import House, client_of
from tests.support.problems import assert_problem
from tests.support.requirement import requirement
from tests.support.waiting import until


async def register(house: House, api: httpx2.AsyncClient, access: str = "pairing") -> str:
    bot = {"platform": BOTS, "bot_token": house.bots.accept("helper"), "access": access}
    made = await api.post("/api/bot-tokens", json=bot)
    assert made.status_code == 200, made.text
    connection: str = made.json()["id"]
    await until(lambda: connection in house.bots.links)
    return connection


@requirement("R-009", "R-173", "R-175", "R-178")
async def test_a_bots_life(house: House, api: httpx2.AsyncClient) -> None:
    connection = await register(house, api)
    (listed,) = (await api.get("/api/bot-tokens")).json()["bot_tokens"]
    assert (listed["id"], listed["name"], listed["access"]) == (connection, "@helper", "pairing")
    assert "s3cret" not in str(listed)
    seen = (await api.get("/api/platforms")).json()["connections"]
    assert connection in [c["id"] for c in seen]
    changed = await api.patch(f"/api/connections/{connection}", json={"access": "open"})
    assert changed.json()["access"] == "open"
    assert (await api.get(f"/api/connections/{connection}")).json()["access"] == "open"
    assert (await api.post(f"/api/connections/{connection}/test")).json()["name"] == "@helper"
    assert (await api.delete(f"/api/bot-tokens/{connection}")).json() == {"status": "ok"}
    assert house.bots.links == {}
    assert_problem(await api.get(f"/api/connections/{connection}"), 404, "CONNECTION_NOT_FOUND")
    assert_problem(await api.delete(f"/api/bot-tokens/{connection}"), 404, "BOT_NOT_FOUND")


async def test_what_is_wrong_with_a_bot_is_told(house: House, api: httpx2.AsyncClient) -> None:
    wrong = {"platform": BOTS, "bot_token": "helper:wrong"}
    assert_problem(await api.post("/api/bot-tokens", json=wrong), 400, "CREDENTIALS_REFUSED")
    connection = await register(house, api)
    other = {"bot_token": house.bots.accept("other")}
    assert_problem(await api.patch(f"/api/connections/{connection}", json=other), 409, "OTHER_BOT")
    again = {"platform": BOTS, "bot_token": house.bots.accept("helper")}
    assert_problem(await api.post("/api/bot-tokens", json=again), 409, "BOT_ALREADY_CONNECTED")
    strange = await api.patch(f"/api/connections/{connection}", json={"settings": {"colour": "red"}})
    assert_problem(strange, 400, "INVALID_SETTINGS")
    for body in ({"access": "everybody"}, {"settings": {"nickname": 1}}):
        answer = await api.patch(f"/api/connections/{connection}", json=body)
        assert_problem(answer, 422, "VALIDATION_FAILED")


async def test_how_a_platform_is_connected_is_told(house: House, api: httpx2.AsyncClient) -> None:
    told = (await api.get(f"/api/platforms/{BOTS}")).json()
    assert (told["platform"], told["connections"], told["invite_url"]) == (BOTS, [], None)
    own = next(way for way in told["ways"] if way["kind"] == "bot")
    assert own["fields"] == []  # it says nothing of its settings
    slack = (await api.get("/api/platforms/slack")).json()
    by_socket, by_webhook = (way for way in slack["ways"] if way["kind"] == "bot")
    assert [way["kind"] for way in slack["ways"]] == ["bot", "bot"]  # no app is set up for signing in
    needed = [(field["name"], field["kind"], field["required"]) for field in by_socket["fields"]]
    assert needed == [(name, "secret", True) for name in ("bot_token", "slack_signing_secret", "app_token")]
    assert "gateway.example.org" not in str(slack)
    assert "/api/slack/webhook" in by_webhook["text"]
    talk = (await api.get("/api/platforms/nctalk")).json()
    assert [way["kind"] for way in talk["ways"]] == ["connect", "bot"]
    assert [field["name"] for field in talk["ways"][0]["fields"]] == ["url"]
    for unknown in ("fax", "zoom"):
        assert_problem(await api.get(f"/api/platforms/{unknown}"), 404, "PLATFORM_NOT_FOUND")


async def test_the_connections_are_listed_with_what_waits(house: House, api: httpx2.AsyncClient) -> None:
    assert (await api.get("/api/connections")).json() == {"connections": []}
    connection = await register(house, api, access="open")
    (listed,) = (await api.get("/api/connections")).json()["connections"]
    assert (listed["id"], listed["waiting"], listed["access"]) == (connection, 0, "open")


async def test_settings_may_stand_together(api: httpx2.AsyncClient) -> None:
    """What Discord and Slack have beside the token is taken among the settings, too."""
    bot = {"platform": "discord", "bot_token": "x", "settings": {"discord_app_id": "y"}}
    answer = await api.post("/api/bot-tokens", json=bot)
    assert_problem(answer, 422, "VALIDATION_FAILED")
    assert {e["field"] for e in answer.json()["errors"]} == {"bot_token", "discord_app_id"}
    missing = await api.post("/api/bot-tokens", json={"platform": "slack", "bot_token": "x", "settings": {}})
    assert [e["field"] for e in missing.json()["errors"]] == ["slack_signing_secret"]


async def test_all_of_it_takes_a_manage_key(house: House, api: httpx2.AsyncClient) -> None:
    connection = await register(house, api)
    key = await house.new_key(Permission.READ, Permission.MESSAGE, Permission.CALL)
    async with client_of(house, **{"x-api-key": key}) as agent:
        for method, path in (
            ("GET", "/api/connections"),
            ("GET", f"/api/connections/{connection}"),
            ("DELETE", f"/api/connections/{connection}"),
            ("POST", f"/api/connections/{connection}/test"),
            ("GET", "/api/pairings"),
            ("POST", "/api/pairings/pair_1/approve"),
            ("POST", "/api/pairings/pair_1/deny"),
            ("DELETE", "/api/pairings/pair_1"),
        ):
            assert_problem(await agent.request(method, path), 403, "INSUFFICIENT_PERMISSIONS")
        code = await agent.post("/api/pairings/approve", json={"code": "ABCDEFGH"})
        assert_problem(code, 403, "INSUFFICIENT_PERMISSIONS")
        change = await agent.patch(f"/api/connections/{connection}", json={"access": "open"})
        assert_problem(change, 403, "INSUFFICIENT_PERMISSIONS")
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        assert_problem(await other.get(f"/api/connections/{connection}"), 404, "CONNECTION_NOT_FOUND")
        assert_problem(await other.delete(f"/api/connections/{connection}"), 404, "CONNECTION_NOT_FOUND")
        person = {"connection_id": connection, "sender_id": "mallory"}
        assert_problem(await other.post("/api/pairings", json=person), 404, "CONNECTION_NOT_FOUND")


@pytest.mark.parametrize("own", [True, False], ids=["own address", "the platform's"])
async def test_a_webhook_of_a_platform(
    house: House, api: httpx2.AsyncClient, nobody: httpx2.AsyncClient, own: bool
) -> None:
    connection = await register(house, api, access="open")
    hook = house.bots.hook("helper", "hello")
    path = f"/api/hooks/{BOTS}/{connection}" if own else f"/api/hooks/{BOTS}"
    answer = await nobody.post(path, content=hook.body, headers=dict(hook.headers))
    assert (answer.status_code, answer.text) == (200, "ok")
    (conversation,) = (await api.get("/api/inbox")).json()["conversations"]
    message = conversation["last_message"]
    assert (message["text"], message["sender_id"]) == ("hello", "alice")
    assert message["sender_status"] == "open"
    assert not message.get("from_agent")
    forged = await nobody.post(path, content=hook.body + b" ", headers=dict(hook.headers))
    assert_problem(forged, 403, "HOOK_REFUSED")
    large = await nobody.post(path, content=b"x" * (4 << 20) + b"x", headers=dict(hook.headers))
    assert_problem(large, 413, "BODY_TOO_LARGE")
    assert_problem(await nobody.post("/api/hooks/fax", content=b"{}"), 404, "PLATFORM_NOT_FOUND")
    assert_problem(await nobody.get(f"/api/hooks/{BOTS}/conn_1?a=b"), 404, "CONNECTION_NOT_FOUND")
    assert_problem(await nobody.post("/api/slack/webhook", content=b"{}"), 403, "HOOK_REFUSED")


async def test_a_stranger_is_let_in_by_the_owner(house: House, api: httpx2.AsyncClient) -> None:
    connection = await register(house, api)
    await house.bots.write(ConnectionId(connection), "hello")
    await until(lambda: house.bots.heard("alice"))
    assert (await api.get("/api/inbox")).json()["conversations"] == []
    (request,) = (await api.get("/api/pairings?status=pending")).json()["pairings"]
    approved = await api.post("/api/pairings/approve", json={"code": request["code"].lower()})
    assert approved.json()["status"] == "paired"
    assert_problem(
        await api.post("/api/pairings/approve", json={"code": request["code"]}), 404, "PAIRING_NOT_FOUND"
    )
    await house.bots.write(ConnectionId(connection), "hello again")
    (conversation,) = (await api.get("/api/inbox")).json()["conversations"]
    assert conversation["last_message"]["text"] == "hello again"
    path = f"/api/pairings/{request['id']}"
    assert (await api.post(f"{path}/deny")).json()["status"] == "denied"
    assert (await api.get("/api/inbox")).json()["conversations"] == []
    assert (await api.post(f"{path}/approve")).json()["status"] == "paired"
    assert (await api.delete(path)).json() == {"status": "ok"}
    assert_problem(await api.delete(path), 404, "PAIRING_NOT_FOUND")
    bob = {"connection_id": connection, "sender_id": "bob", "name": "Bob"}
    assert (await api.post("/api/pairings", json=bob)).json()["status"] == "paired"
    assert [p["sender_id"] for p in (await api.get("/api/pairings")).json()["pairings"]] == ["bob"]
