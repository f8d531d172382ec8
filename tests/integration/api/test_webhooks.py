"""Webhooks over REST: who may, what is refused, and that each step does what it says."""

import asyncio

import httpx2
import pytest

from chamade_mcp.model.access import Permission
from tests.integration.api.conftest import House, client_of
from tests.support.waiting import BOUND_S, until

URL = "https://receiver.example/hook"


@pytest.fixture
def receiver(house: House) -> str:
    return house.elsewhere.serve(URL, b"thanks")


async def test_from_the_first_to_the_last(house: House, api: httpx2.AsyncClient, receiver: str) -> None:
    made = await api.post(
        "/api/webhooks", json={"url": receiver, "events": ["dm_chat"], "description": "n8n"}
    )
    assert made.status_code == 201
    webhook = made.json()
    path = f"/api/webhooks/{webhook['id']}"
    shown = {name: value for name, value in webhook.items() if name != "secret"}
    assert (await api.get(path)).json() == shown
    assert (await api.get("/api/webhooks")).json() == {"webhooks": [shown]}
    tested = await api.post(f"{path}/test")
    assert (tested.status_code, tested.json()["state"]) == (200, "delivered")
    assert tested.json()["attempts"][0]["response"] == "thanks"
    await house.scripted.write(house.owner.scope, "hello")
    await until(lambda: len(house.elsewhere.connected) == 2)
    delivery = await settled(api, path)
    again = await api.post(f"{path}/deliveries/{delivery['id']}/replay")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    await until(lambda: len(house.elsewhere.connected) == 3)
    rotated = (await api.post(f"{path}/secret")).json()
    assert rotated["secret"] != webhook["secret"]
    assert rotated["old_secret_until"]
    paused = (await api.patch(path, json={"status": "paused", "events": []})).json()
    assert (paused["status"], paused["events"], paused["description"]) == ("paused", [], "n8n")
    assert (await api.delete(path)).json() == {"status": "ok"}
    assert (await api.get(path)).json()["code"] == "WEBHOOK_NOT_FOUND"


async def settled(api: httpx2.AsyncClient, path: str) -> dict[str, str]:
    async with asyncio.timeout(BOUND_S):
        while True:
            page = (await api.get(f"{path}/deliveries?state=delivered")).json()
            found = [one for one in page["deliveries"] if one["type"] == "dm_chat"]
            if found:
                return found[0]


async def test_it_takes_a_key_that_may_manage(
    house: House, nobody: httpx2.AsyncClient, receiver: str
) -> None:
    key = await house.new_key(Permission.READ, Permission.MESSAGE, Permission.CALL)
    for method, path in (
        ("GET", "/api/webhooks"),
        ("POST", "/api/webhooks"),
        ("POST", "/api/webhooks/whk_1/test"),
        ("GET", "/api/webhooks/whk_1/deliveries"),
    ):
        refused = await nobody.request(method, path, headers={"x-api-key": key}, json={"url": receiver})
        assert (refused.status_code, refused.json()["code"]) == (403, "INSUFFICIENT_PERMISSIONS")
        assert (await nobody.request(method, path)).status_code == 401


async def test_another_accounts_webhooks_are_not_there(
    house: House, api: httpx2.AsyncClient, receiver: str
) -> None:
    webhook = (await api.post("/api/webhooks", json={"url": receiver})).json()["id"]
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/secret"),
            ("POST", "/test"),
            ("GET", "/deliveries"),
            ("POST", "/deliveries/whd_1/replay"),
        ):
            body = dict[str, str]() if method == "PATCH" else None
            refused = await other.request(method, f"/api/webhooks/{webhook}{path}", json=body)
            assert (refused.status_code, refused.json()["code"]) == (404, "WEBHOOK_NOT_FOUND")
        assert (await other.get("/api/webhooks")).json() == {"webhooks": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "VALIDATION_FAILED"),
        ({"url": "https://receiver.example/", "events": ["typing"]}, 422, "VALIDATION_FAILED"),
        ({"url": "https://receiver.example/", "secret": "mine"}, 422, "VALIDATION_FAILED"),
        ({"url": "http://receiver.example/"}, 400, "INVALID_URL"),
        ({"url": "https://127.0.0.1/"}, 400, "INVALID_URL"),
        ({"url": "https://inside.example/"}, 400, "WEBHOOK_URL_REFUSED"),
    ],
)
async def test_what_cannot_be_is_refused_in_words(
    house: House, api: httpx2.AsyncClient, body: dict[str, object], status: int, code: str
) -> None:
    house.elsewhere.names["inside.example"] = ("192.168.1.1",)
    refused = await api.post("/api/webhooks", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert house.elsewhere.connected == []


async def test_an_unverified_account_sends_nothing(house: House, receiver: str) -> None:
    key = await house.other_account(verified=False)
    async with client_of(house, **{"x-api-key": key}) as other:
        refused = await other.post("/api/webhooks", json={"url": receiver})
    assert refused.json()["code"] == "EMAIL_NOT_VERIFIED"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "state=lost", "limit=x"])
async def test_a_wrong_page_is_refused(api: httpx2.AsyncClient, receiver: str, query: str) -> None:
    webhook = (await api.post("/api/webhooks", json={"url": receiver})).json()["id"]
    assert (await api.get(f"/api/webhooks/{webhook}/deliveries?{query}")).status_code == 422
    unknown = await api.get(f"/api/webhooks/{webhook}/deliveries?before=whd_1")
    assert unknown.json()["code"] == "DELIVERY_NOT_FOUND"
