"""The live twins of the inbox behind the real server: server-sent events and a WebSocket, one log."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.model.access import Permission
from tests.integration.api.conftest import House
from tests.support.problems import assert_problem
from tests.support.waiting import BOUND_S


@pytest.fixture
async def origin(house: House) -> AsyncGenerator[str]:
    listener = listen(Settings(host="127.0.0.1", port=0))
    server = Server(house.gateway.app, drain=house.gateway.drain)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, BOUND_S)


@asynccontextmanager
async def events(
    origin: str, key: str, query: str = "", last_id: str = "", path: str = "/api/events"
) -> AsyncGenerator["Listener"]:
    headers = {"x-api-key": key, **({"last-event-id": last_id} if last_id else {})}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=BOUND_S) as client,
        client.stream("GET", f"http://{origin}{path}{query}") as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream"
        yield Listener(answer.aiter_lines())


class Listener:
    """Reads as an `EventSource` does."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = ""
        self.retry = ""

    async def next(self) -> dict[str, Any]:
        data = ""
        async with asyncio.timeout(BOUND_S):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "data":
                    data = value
                elif name == "id":
                    self.last_id = value
                elif name == "retry":
                    self.retry = value
                elif not line and data:
                    return json.loads(data)
        raise EOFError


def socket(origin: str, key: str, query: str = "") -> connect:
    url = f"ws://{origin}/api/inbox/stream?api_key={key}{query}"
    return connect(url, compression=None, proxy=None)


async def message(ws: ClientConnection) -> dict[str, Any]:
    return json.loads(await asyncio.wait_for(ws.recv(), BOUND_S))


async def test_both_twins_tell_the_same(house: House, origin: str) -> None:
    async with events(origin, house.key) as sse, socket(origin, house.key) as ws:
        assert await sse.next() == await message(ws) == {"type": "ready", "seq": 0}
        assert sse.retry == "1000"
        for number in range(1, 21):
            await house.scripted.write(house.owner.scope, f"{number}\nand a line more")
            told = await sse.next()
            assert told == await message(ws)
            assert (told["type"], told["seq"]) == ("dm_chat", number)
            assert told["text"] == f"{number}\nand a line more"
            assert sse.last_id == str(number)


async def test_coming_back_misses_and_repeats_nothing(house: House, origin: str) -> None:
    async with events(origin, house.key) as sse:
        await sse.next()
        last = sse.last_id  # known before anything has happened
    texts: list[str] = []
    for round_number in range(4):
        for number in range(3):
            await house.scripted.write(house.owner.scope, f"{round_number}.{number}")
        async with events(origin, house.key, "?after=0", last_id=last) as sse:
            assert (await sse.next())["type"] == "ready"
            texts += [(await sse.next())["text"] for _ in range(3)]
            last = sse.last_id
        async with socket(origin, house.key, f"&last_seq={int(last) - 3}") as ws:
            assert (await message(ws))["type"] == "ready"
            assert [(await message(ws))["text"] for _ in range(3)] == texts[-3:]
    assert texts == [f"{a}.{b}" for a in range(4) for b in range(3)]
    async with events(origin, house.key, "?after=10") as sse:
        assert [(await sse.next()).get("seq") for _ in range(3)] == [10, 11, 12]


async def test_a_cursor_of_nowhere_is_told_and_the_stream_goes_on(house: House, origin: str) -> None:
    await house.scripted.write(house.owner.scope, "before")
    async with events(origin, house.key, last_id="99") as sse, socket(origin, house.key, "&last_seq=x") as ws:
        told = await sse.next()
        assert told == await message(ws)
        assert (told["type"], told["oldest"], told["newest"]) == ("reset", 1, 1)
        assert sse.last_id == "1"
        await house.scripted.write(house.owner.scope, "after")
        assert (await sse.next())["text"] == (await message(ws))["text"] == "after"


async def test_nobody_hears_what_is_not_theirs(house: House, origin: str) -> None:
    other = await house.other_account()
    async with events(origin, other) as sse, events(origin, house.key) as own:
        await sse.next()
        await own.next()
        await house.scripted.write(house.owner.scope, "secret")
        assert (await own.next())["text"] == "secret"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sse.next(), 0.3)


async def test_who_may_listen(house: House, origin: str, api: httpx2.AsyncClient) -> None:
    deaf = await house.new_key(Permission.MESSAGE)
    assert_problem(await api.get("/api/events", headers={"x-api-key": "chmd_no"}), 401, "INVALID_API_KEY")
    denied = await api.get("/api/events", headers={"x-api-key": deaf})
    assert_problem(denied, 403, "INSUFFICIENT_PERMISSIONS")
    for key, code in ((deaf, 4403), ("chmd_no", 4401)):
        async with socket(origin, key) as ws:
            with pytest.raises(ConnectionClosed):
                await message(ws)
            assert ws.close_code == code
    assert (await api.head("/api/events")).headers["content-type"] == "text/event-stream"


async def test_a_revoked_key_hears_no_more(house: House, origin: str) -> None:
    accounts = house.gateway.core.accounts
    made = await accounts.create_key(house.owner.scope, "short")
    async with events(origin, made.value) as sse, socket(origin, made.value) as ws:
        await sse.next()
        await message(ws)
        await accounts.keys.revoke(house.owner.bounds, made.id)
        with pytest.raises(EOFError):
            await sse.next()
        with pytest.raises(ConnectionClosed):
            await message(ws)
        assert ws.close_code == 1012


async def test_the_live_stream_tells_what_is_there_and_what_changes(house: House, origin: str) -> None:
    other = await house.other_account()
    async with events(origin, house.key, path="/api/live") as live:
        assert await live.next() == {"type": "live", "calls": [], "pairings": 0}
        async with httpx2.AsyncClient(base_url=f"http://{origin}", headers={"x-api-key": house.key}) as api:
            call = (await api.post("/api/call", json={"platform": "scripted"})).json()
            while not (calls := (await live.next())["calls"]) or calls[0]["state"] != "active":
                pass
            assert calls[0] == {
                "call_id": call["call_id"],
                "state": "active",
                "agent": 0,
                "room": 0,
                "people": [],
            }
            async with events(origin, other, path="/api/live") as foreign:
                assert (await foreign.next())["calls"] == []
            await api.delete(f"/api/call/{call['call_id']}")
            while (await live.next())["calls"]:
                pass


async def test_the_live_stream_is_the_owners_and_ends_with_the_key(house: House, origin: str) -> None:
    reader = await house.new_key(Permission.READ)
    async with httpx2.AsyncClient(base_url=f"http://{origin}", headers={"x-api-key": reader}) as api:
        assert_problem(await api.get("/api/live"), 403, "INSUFFICIENT_PERMISSIONS")
        assert (await api.head("/api/live", headers={"x-api-key": house.key})).status_code == 200
    owner = await house.new_key(Permission.MANAGE)
    async with events(origin, owner, path="/api/live") as live:
        await live.next()
        identity = f"key_{owner.split('_')[1]}"
        await house.gateway.core.accounts.revoke_key(house.owner, identity)
        with pytest.raises(EOFError):
            await live.next()
