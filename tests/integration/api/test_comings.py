"""Agents' sockets that break, and keys that end under them."""

import json
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection

from chamade_mcp.core.live import LiveCall
from chamade_mcp.core.streams import AgentStream
from chamade_mcp.model.ids import CallId
from tests.integration.api.call_sockets import closed, message, new_call, socket
from tests.integration.api.conftest import House, client_of
from tests.support.waiting import BOUND_S, until


def live(house: House, call: str) -> LiveCall:
    return house.gateway.core.calls.live(house.owner, CallId(call))


def key_id(key: str) -> str:
    return "key_" + key.removeprefix("chmd_").partition("_")[0]


def cut(ws: ClientConnection) -> None:
    """As a network does it: no goodbye."""
    ws.transport.abort()


async def inside(ws: ClientConnection) -> None:
    """The handshake ends before the call is open."""
    await ws.send('{"type":"audio_config"}')
    assert (await message(ws))["type"] == "audio_config"


async def test_a_socket_that_breaks_is_waited_for(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    query = f"?api_key={house.key}"
    async with socket(ws_url, call, query) as ws:
        await inside(ws)
        await house.scripted.post(house.owner.scope, room, "one")
        seq = (await message(ws))["seq"]
        assert live(house, call).session.deadline is None
        cut(ws)
        await until(lambda: live(house, call).session.deadline is not None)
    await house.scripted.post(house.owner.scope, room, "two")
    async with socket(ws_url, call, f"{query}&last_seq={seq}") as ws:
        assert (await message(ws))["text"] == "two"
        assert live(house, call).session.deadline is None
    assert (await api.get(f"/api/call/{call}")).json()["state"] == "active"


@pytest.mark.parametrize(("code", "left"), [(1000, True), (None, True), (1001, False), (3000, False)])
async def test_an_agent_that_says_goodbye_is_not_waited_for(
    house: House, api: httpx2.AsyncClient, ws_url: str, code: int | None, left: bool
) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await inside(ws)
        [stream] = live(house, call).listeners
        ws.protocol.send_close(code)
        ws.send_data()
        await until(lambda: not live(house, call).listeners)
    assert isinstance(stream, AgentStream)
    assert stream.left is left
    await until(lambda: (live(house, call).session.deadline is None) is left)


@pytest.mark.parametrize("house", [{"call_grace_s": 1}], indirect=True)
async def test_who_comes_too_late_is_told_how_it_ended(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, room = await new_call(house, api)
    query = f"?api_key={house.key}"
    async with socket(ws_url, call, query) as ws:
        await inside(ws)
        await house.scripted.post(house.owner.scope, room, "one")
        seq = (await message(ws))["seq"]
        cut(ws)
    await until(lambda: room in house.scripted.left)
    async with socket(ws_url, call, f"{query}&last_seq={seq}") as ws:
        error, state = await message(ws), await message(ws)
        assert (error["type"], error["code"]) == ("call_error", "AGENT_GONE")
        assert (state["type"], state["state"]) == ("call_state", "ended")
        assert await closed(ws) == 1000


async def test_a_socket_closes_when_its_key_is_revoked(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    key, other = await house.new_key(), await house.new_key()
    async with client_of(house, **{"x-api-key": key}) as client:
        token = (await client.post(f"/api/call/{call}/token")).json()["token"]
    async with (
        socket(ws_url, call, f"?api_key={key}") as by_key,
        socket(ws_url, call, "") as by_token,
        socket(ws_url, call, f"?api_key={other}") as by_another,
    ):
        await by_token.send(json.dumps({"token": token}))
        for ws in (by_key, by_token):
            await ws.send('{"type":"audio_config","receive":true}')
            assert (await message(ws))["receive"] is True
        assert (await api.delete(f"/api/api-keys/{key_id(key)}")).is_success
        told = await message(by_key)
        assert (told["type"], told["code"]) == ("call_error", "REVOKED_API_KEY")
        assert await closed(by_key) == 4401
        told = await message(by_token)
        assert (told["type"], told["code"]) == ("call_error", "AUTH_FAILED")
        assert await closed(by_token) == 4003
        await inside(by_another)
        await until(lambda: len(live(house, call).listeners) == 1)


async def test_a_socket_closes_when_its_key_expires(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    key = await house.gateway.core.accounts.create_key(
        house.owner.scope, "short", expires_at=datetime.now(UTC) + timedelta(seconds=1.5)
    )
    async with socket(ws_url, call, f"?api_key={key.value}") as ws:
        told = await message(ws)
        assert (told["type"], told["code"]) == ("call_error", "EXPIRED_API_KEY")
        assert await closed(ws) == 4401


async def test_a_client_that_reads_nothing_is_closed_all_the_same(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    key = await house.new_key()
    async with socket(ws_url, call, f"?api_key={key}", max_queue=1) as ws:
        await ws.send('{"type":"audio_config","receive":true}')
        await until(lambda: live(house, call).listeners)
        ws.transport.pause_reading()
        assert (await api.delete(f"/api/api-keys/{key_id(key)}")).is_success
        await until(lambda: not live(house, call).listeners, bound_s=BOUND_S)
        ws.transport.resume_reading()
