"""The API that the tools are tested against answers with the members of the gateway's own answers."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx2
from starlette.routing import Route

from chamade_mcp.model.connections import Trust
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import COMMON, ConversationRef, FileId, MessageRef, Platform, RoomRef
from chamade_mcp.model.messages import Attachment, Sender
from tests.integration.api.conftest import BASE_URL, House
from tests.support.core_api import KEY, FakeCore
from tests.support.waiting import until

PAPER = Attachment("a.pdf", "application/pdf", 3, f"{BASE_URL}/api/files/a", FileId("f_1"))
MAPS = frozenset({"platforms", "features", "identities"})
"""Members whose own members have names that differ from gateway to gateway."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two, and what has to happen outside of the API."""

    api: httpx2.AsyncClient
    platform: str
    ring: Callable[[], Awaitable[None]]
    answered: Callable[[str], Awaitable[None]]
    """Waits until the call is active."""
    write: Callable[[], Awaitable[None]]


@asynccontextmanager
async def fake() -> AsyncGenerator[Side]:
    core = FakeCore()

    async def ring() -> None:
        core.add_call("ringing")

    async def answered(call: str) -> None:
        core.calls[call] |= {"state": "active", "participants": ["Alice"]}

    async def write() -> None:
        core.add_conversation("scripted", "hello")

    transport = httpx2.ASGITransport(core.app())
    async with httpx2.AsyncClient(
        transport=transport, base_url=BASE_URL, headers={"x-api-key": KEY}
    ) as client:
        yield Side(client, "scripted", ring, answered, write)


def real(house: House, api: httpx2.AsyncClient) -> Side:
    async def ring() -> None:
        await house.scripted.ring(house.owner.scope)

    async def answered(call: str) -> None:
        room = (await api.get(f"/api/call/{call}")).json()["room_id"]
        await until(lambda: RoomRef(room) in house.scripted.legs)

    async def write() -> None:
        alice = Sender("alice", "Alice")
        fact = MessageReceived(ConversationRef("c"), MessageRef("m"), alice, "hello", (PAPER,))
        await house.gateway.core.inbox.received(
            house.owner.scope, (Platform("scripted"), COMMON), fact, Trust.INVITED
        )

    return Side(api, "scripted", ring, answered, write)


async def scenario(side: Side) -> dict[str, tuple[int, object]]:
    """Each operation of the fake once: status and members of the answer."""
    told: dict[str, tuple[int, object]] = {}

    async def ask(method: str, operation: str, path: str = "", **options: Any) -> Any:
        answer = await side.api.request(method, path or operation, **options)
        told[f"{method} {operation}"] = answer.status_code, members(answer.json())
        return answer.json()

    cursor = (await ask("GET", "/api/account"))["last_message_cursor"]
    call = (await ask("POST", "/api/call", json={"platform": side.platform}))["call_id"]
    await side.answered(call)
    await ask("GET", "/api/call/{call_id}", f"/api/call/{call}")
    text = {"text": "hi"}
    for verb, body in (("chat", text), ("typing", None), ("say", text), ("stop_speaking", None)):
        await ask("POST", f"/api/call/{{call_id}}/{verb}", f"/api/call/{call}/{verb}", json=body)
    await ask("DELETE", "/api/call/{call_id}", f"/api/call/{call}")
    for verb in ("accept", "refuse"):
        await side.ring()
        calls = (await ask("GET", "/api/calls"))["calls"]
        (ringing,) = [one["call_id"] for one in calls if one["state"] == "ringing"]
        await ask("POST", f"/api/call/{{call_id}}/{verb}", f"/api/call/{ringing}/{verb}")
    await side.write()
    await ask("GET", "/api/inbox?platform", "/api/inbox", params={"platform": side.platform})
    await ask("GET", "/api/inbox?since", "/api/inbox", params={"last_message_cursor": cursor})
    inbox = await ask("GET", "/api/inbox")
    conversation = inbox["conversations"][0]["conversation_id"]
    await ask("GET", "/api/inbox/{conversation_id}", f"/api/inbox/{conversation}")
    await ask("GET", "/api/inbox/none")
    await ask("POST", "/api/dm/chat", json={"platform": side.platform, **text})
    await ask("POST", "/api/dm/typing", json={"platform": side.platform})
    await ask("POST", "/api/files/reserve", json={})
    return told


def members(value: object, name: str = "") -> object:
    """The names in it at every depth; of a list of objects, those of its first entry."""
    if isinstance(value, list):
        first = next(iter(cast(list[object], value)), None)
        return [members(cast(object, first))] if isinstance(first, dict) else []
    if not isinstance(value, dict):
        return None
    document = cast(dict[str, object], value)
    if name in MAPS:
        return [members(next(iter(document.values()), None))]
    return {name: members(entry, name) for name, entry in document.items()}


async def test_the_fake_core_answers_with_the_members_of_the_real_one(
    house: House, api: httpx2.AsyncClient
) -> None:
    async with fake() as side:
        expected = await scenario(real(house, api))
        assert await scenario(side) == expected


async def test_every_operation_of_the_fake_core_is_compared() -> None:
    async with fake() as side:
        compared = {operation.partition("?")[0] for operation in await scenario(side)}
    routes = [route for route in FakeCore().app().routes if isinstance(route, Route)]
    offered = {f"{verb} {route.path}" for route in routes for verb in (route.methods or set()) - {"HEAD"}}
    assert offered <= compared
