"""`Idempotency-Key`: done once, answered alike."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.kit.registry import Registry
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector, VirtualClock
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import RoomRef
from chamade_mcp.model.messages import DeliveryState
from tests.integration.api.conftest import BASE_URL, EMAIL, PASSWORD, House
from tests.support.problems import assert_problem
from tests.support.waiting import until

DM = {"platform": "scripted", "text": "hi"}


def keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


async def test_fifty_at_once_are_one_send(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    house.scripted.script.hold = asyncio.Event()
    posts = [asyncio.create_task(api.post("/api/dm/chat", json=DM, headers=keyed("k1"))) for _ in range(50)]
    await until(lambda: sum(post.done() for post in posts) == 49)
    house.scripted.script.hold.set()
    answers = await asyncio.gather(*posts)
    (first,) = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer is not first:
            assert answer.headers["retry-after"] == "1"
            assert_problem(answer, 409, "IDEMPOTENCY_KEY_IN_USE")
    assert "idempotency-replayed" not in first.headers
    again = await api.post("/api/dm/chat", json=DM, headers=keyed("k1"))
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.json()) == (200, first.json())
    assert [outgoing.key for _, outgoing in house.scripted.delivered] == [first.json()["message_id"]]


async def test_another_request_with_the_same_key(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    first = await api.post("/api/dm/chat", json=DM, headers=keyed("k"))
    other = await api.post("/api/dm/chat", json={**DM, "text": "other"}, headers=keyed("k"))
    assert_problem(other, 422, "IDEMPOTENCY_KEY_REUSED", field="Idempotency-Key")
    elsewhere = await api.post("/api/call", json={"platform": "scripted"}, headers=keyed("k"))
    assert_problem(elsewhere, 422, "IDEMPOTENCY_KEY_REUSED", field="Idempotency-Key")
    spaced = await api.post("/api/dm/chat", content=b'{"text": "hi",  "platform": "scripted"}',
                            headers={**keyed("k"), "content-type": "application/json"})  # fmt: skip
    assert spaced.json() == first.json()
    for key in ("", "a b", "x" * 256):
        refused = await api.post("/api/dm/chat", json=DM, headers=keyed(key))
        assert_problem(refused, 422, "VALIDATION_FAILED", field="Idempotency-Key")
    assert len(house.scripted.delivered) == 1


async def test_files_count_too(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    told: list[int] = []
    for content in ("QUJD", "QUJD", "QUJE"):
        entry = {"bytes_b64": content, "name": "a.txt", "mime": "text/plain"}
        answer = await api.post("/api/dm/chat", json={**DM, "attachments": [entry]}, headers=keyed("f"))
        told.append(answer.status_code)
    assert told == [200, 200, 422]
    await until(lambda: house.scripted.delivered)
    assert len(house.scripted.delivered) == 1


async def test_the_keys_of_others_are_others(house: House, api: httpx2.AsyncClient) -> None:
    other = await house.other_account()
    await house.scripted.write(house.owner.scope, "hello")
    await api.post("/api/dm/chat", json=DM, headers=keyed("k"))
    theirs = await api.post("/api/dm/chat", json=DM, headers={**keyed("k"), "x-api-key": other})
    assert_problem(theirs, 404, "NO_ACTIVE_CONVERSATION")


async def test_what_was_not_done_may_be_tried_again_and_what_is_unknown_may_not(
    house: House, api: httpx2.AsyncClient
) -> None:
    assert_problem(await api.post("/api/dm/chat", json=DM, headers=keyed("k")), 404, "NO_ACTIVE_CONVERSATION")
    await house.scripted.write(house.owner.scope, "hello")
    house.scripted.script.send_error = PlatformRefused()
    assert_problem(await api.post("/api/dm/chat", json=DM, headers=keyed("k")), 502, "SEND_FAILED")
    house.scripted.script.send_error = None
    assert (await api.post("/api/dm/chat", json=DM, headers=keyed("k"))).status_code == 200
    house.scripted.script.delivery = DeliveryState.UNKNOWN
    assert_problem(await api.post("/api/dm/chat", json=DM, headers=keyed("u")), 502, "DELIVERY_UNKNOWN")
    house.scripted.script.delivery = DeliveryState.DELIVERED
    told = await api.post("/api/dm/chat", json=DM, headers=keyed("u"))
    assert (told.status_code, told.json()["code"]) == (502, "DELIVERY_UNKNOWN")
    assert told.headers["content-type"] == "application/problem+json"
    assert told.headers["idempotency-replayed"] == "true"
    house.scripted.script.send_error = KeyError("a bug")
    assert_problem(await api.post("/api/dm/chat", json=DM, headers=keyed("b")), 500, "INTERNAL")
    house.scripted.script.send_error = None
    assert (await api.post("/api/dm/chat", json=DM, headers=keyed("b"))).status_code == 500


async def test_a_call_is_made_once_and_its_chat_said_once(house: House, api: httpx2.AsyncClient) -> None:
    made = [await api.post("/api/call", json={"platform": "scripted"}, headers=keyed("c")) for _ in range(3)]
    call, room = made[0].json()["call_id"], RoomRef(made[0].json()["room_id"])
    assert {answer.json()["call_id"] for answer in made} == {call}
    await until(lambda: room in house.scripted.legs)
    said = [
        await api.post(f"/api/call/{call}/chat", json={"text": "hi"}, headers=keyed("said")) for _ in range(3)
    ]
    assert {answer.status_code for answer in said} == {200}
    assert [outgoing.key for outgoing in house.scripted.legs[room].chat] == [said[0].json()["message_id"]]


@pytest.mark.parametrize("stored_before", [False, True])
async def test_a_gateway_that_was_killed_takes_it_up_again(tmp_path: Path, stored_before: bool) -> None:
    """The second life shares the store; the first never gets to its end."""
    clock, scripted = VirtualClock(), ScriptedConnector(frozenset({Capability.READ, Capability.WRITE}))
    registry = Registry({SCRIPTED: scripted.manifest}, {SCRIPTED: scripted})
    settings = Settings(data_dir=tmp_path / "data")
    async with build(settings, registry=registry, clock=clock) as first:
        accounts = first.core.accounts
        await accounts.create(EMAIL, PASSWORD, verified=True)
        owner = await accounts.find_by_email(EMAIL)
        assert owner is not None
        key = (await accounts.create_key(owner.scope, "test")).value
        headers = {"x-api-key": key, **keyed("k")}
        await scripted.write(owner.scope, "hello")
        scripted.script.hold = asyncio.Event()
        transport = httpx2.ASGITransport(first.app)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers) as client:
            dying = asyncio.create_task(client.post("/api/dm/chat", json=DM))
            if stored_before:
                while not await _outbound(client):
                    pass
            second_scripted = ScriptedConnector(frozenset({Capability.READ, Capability.WRITE}))
            second_registry = Registry({SCRIPTED: second_scripted.manifest}, {SCRIPTED: second_scripted})
            async with build(settings, registry=second_registry, clock=clock) as second:
                transport = httpx2.ASGITransport(second.app)
                async with httpx2.AsyncClient(
                    transport=transport, base_url=BASE_URL, headers=headers
                ) as again:
                    answer = await again.post("/api/dm/chat", json=DM)
                    assert (answer.status_code, answer.json()["status"]) == (200, "delivered")
                    assert await _outbound(again) == [answer.json()["message_id"]]
                    (sent,) = second_scripted.delivered
                    assert sent[1].key == answer.json()["message_id"]
                    clock.jump(timedelta(hours=24).total_seconds())
                    fresh = await again.post("/api/dm/chat", json=DM)
                    assert fresh.json()["message_id"] != answer.json()["message_id"]
            scripted.script.hold.set()
            await dying


async def _outbound(client: httpx2.AsyncClient) -> list[str]:
    inbox = (await client.get("/api/inbox?platform=scripted")).json()
    return [
        message["id"]
        for conversation in inbox["conversations"]
        for message in conversation["messages"]
        if message["direction"] == "outbound"
    ]
