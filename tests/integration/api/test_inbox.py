"""Direct messages over REST, as the contract has them."""

import asyncio
import base64
from typing import cast

import httpx2

from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.model.errors import PlatformRefused
from tests.integration.api.conftest import House
from tests.support.problems import assert_problem
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until


@requirement("R-081", "R-083", "R-085", "R-087", "R-092", "R-093")
async def test_the_modes_of_the_inbox(house: House, api: httpx2.AsyncClient) -> None:
    cursor = (await api.get("/api/account")).json()["last_message_cursor"]
    await house.scripted.write(house.owner.scope, "hello")
    snapshot = (await api.get("/api/inbox")).json()
    (listed,) = snapshot["conversations"]
    assert listed["last_message"]["text"] == "hello"
    detail = (await api.get("/api/inbox", params={"platform": "scripted"})).json()
    delta = (await api.get("/api/inbox", params={"last_message_cursor": cursor})).json()
    whole = (await api.get(f"/api/inbox/{listed['conversation_id']}?limit=50")).json()
    for messages in (
        detail["conversations"][0]["messages"], delta["conversations"][0]["messages"], whole["messages"]
    ):  # fmt: skip
        (message,) = messages
        assert message["id"].startswith("msg_")
        assert (message["text"], message["direction"], message["attachments"]) == ("hello", "inbound", [])
    after = (await api.get("/api/inbox", params={"last_message_cursor": delta["last_message_cursor"]})).json()
    assert after["conversations"] == []


@requirement("R-088")
async def test_a_poll_ends_when_somebody_writes(house: House, api: httpx2.AsyncClient) -> None:
    cursor = (await api.get("/api/account")).json()["last_message_cursor"]
    poll = asyncio.create_task(api.get("/api/inbox", params={"last_message_cursor": cursor, "wait": 50}))
    hub = cast(MemoryHub, house.gateway.core.hub)
    await until(lambda: hub.subscribers == 1)
    await house.scripted.write(house.owner.scope, "at last")
    answer = await asyncio.wait_for(poll, BOUND_S)
    assert answer.json()["conversations"][0]["messages"][0]["text"] == "at last"


async def test_a_poll_ends_with_the_key_it_came_with(house: House, api: httpx2.AsyncClient) -> None:
    cursor = (await api.get("/api/account")).json()["last_message_cursor"]
    key = (await api.post("/api/api-keys", json={"name": "second"})).json()
    wanted, mine = {"last_message_cursor": cursor, "wait": 50}, {"X-API-Key": key["key"]}
    poll = asyncio.create_task(api.get("/api/inbox", params=wanted, headers=mine))
    other = asyncio.create_task(api.get("/api/inbox", params=wanted))
    hub = cast(MemoryHub, house.gateway.core.hub)
    await until(lambda: hub.subscribers == 2)
    assert (await api.delete(f"/api/api-keys/{key['id']}")).status_code == 200
    assert_problem(await asyncio.wait_for(poll, BOUND_S), 401, "REVOKED_API_KEY")
    await house.scripted.write(house.owner.scope, "secret")
    assert (await asyncio.wait_for(other, BOUND_S)).json()["conversations"]


@requirement("R-089", "R-090")
async def test_what_a_poll_may_ask(api: httpx2.AsyncClient) -> None:
    assert_problem(await api.get("/api/inbox?wait=5"), 400, "CURSOR_REQUIRED")
    assert_problem(await api.get("/api/inbox?last_message_cursor=nonsense"), 400, "INVALID_CURSOR")
    assert_problem(await api.get("/api/inbox?limit=0"), 422, "VALIDATION_FAILED", field="limit")
    assert_problem(await api.get("/api/inbox?platform=fax"), 422, "VALIDATION_FAILED", field="platform")
    assert (await api.get("/api/inbox?wait=100&last_message_cursor=nonsense")).status_code == 400


@requirement("R-099", "R-100", "R-101", "R-105")
async def test_a_direct_message(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    await until(lambda: house.scripted.typed)  # by itself, as soon as somebody writes
    sent = await api.post("/api/dm/chat", json={"platform": "scripted", "text": "hi", "keep_typing": True})
    assert sent.status_code == 200
    assert sent.json().items() >= {"status": "delivered", "delivery": "sync"}.items()
    assert [m.text for _, m in house.scripted.delivered] == ["hi"]
    assert len(house.scripted.typed) == 2
    assert (await api.post("/api/dm/typing", json={"platform": "scripted"})).json() == {"status": "ok"}


async def test_what_failed_is_sent_again(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    house.scripted.script.send_error = PlatformRefused("no such chat")
    refused = await api.post("/api/dm/chat", json={"platform": "scripted", "text": "hi"})
    assert_problem(refused, 502, "SEND_FAILED", detail="no such chat")
    (conversation,) = (await api.get("/api/inbox?platform=scripted")).json()["conversations"]
    failed = conversation["messages"][-1]
    assert (failed["status"], failed["detail"]) == ("failed", "no such chat")
    house.scripted.script.send_error = None
    again = await api.post(f"/api/messages/{failed['id']}/retry")
    assert (again.status_code, again.json()) == (
        200,
        {"status": "delivered", "message_id": failed["id"], "delivery": "sync"},
    )
    assert_problem(await api.post(f"/api/messages/{failed['id']}/retry"), 409, "MESSAGE_NOT_FAILED")
    assert_problem(await api.post("/api/messages/msg_unknown/retry"), 404, "MESSAGE_NOT_FOUND")


async def test_a_platform_that_cannot_be_reached_is_tried_later(
    house: House, api: httpx2.AsyncClient
) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    house.scripted.script.send_error = PlatformUnavailable("down", retry_after=3000)
    accepted = await api.post("/api/dm/chat", json={"platform": "scripted", "text": "hi"})
    assert (accepted.status_code, accepted.json()["status"]) == (202, "pending")
    (conversation,) = (await api.get("/api/inbox?platform=scripted")).json()["conversations"]
    assert conversation["messages"][-1]["status"] == "pending"


@requirement("R-102")
async def test_nobody_to_write_to(api: httpx2.AsyncClient) -> None:
    for path, extra in (("/api/dm/chat", {"text": "hi"}), ("/api/dm/typing", {})):
        answer = await api.post(path, json={"platform": "scripted", **extra})
        problem = assert_problem(answer, 404, "NO_ACTIVE_CONVERSATION", detail="No active conversation")
        assert problem["action"] == "ask_human"


@requirement("R-104", "R-149", "R-150")
async def test_attachments(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    file = (await api.post("/api/files", files={"file": ("a.txt", b"abc")})).json()
    entries = [
        {"file_id": file["file_id"]},
        {"url": file["url"]},
        {"bytes_b64": base64.b64encode(b"xyz").decode(), "name": "b.bin", "mime": "application/x-b"},
    ]
    sent = await api.post("/api/dm/chat", json={"platform": "scripted", "attachments": entries})
    assert (sent.status_code, sent.json()["delivery"]) == (200, "async")
    await until(lambda: house.scripted.delivered)
    assert [a.name for a in house.scripted.delivered[0][1].attachments] == ["a.txt", "a.txt", "b.bin"]
