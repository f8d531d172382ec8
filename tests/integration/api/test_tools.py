"""What the MCP tools do to a platform, and what of it is pushed: over the whole gateway."""

import asyncio
import json
from collections.abc import AsyncGenerator
from statistics import median
from typing import Any

import httpx2
import numpy as np
import pytest
from websockets.asyncio.client import connect

from tests.integration.api.conftest import House
from tests.support.push_client import INITIALIZE, PushClient, headers, open_session
from tests.support.requirement import requirement
from tests.support.waiting import until


class Agent:
    """Calls tools, statelessly."""

    def __init__(self, http: httpx2.AsyncClient, url: str, key: str) -> None:
        self.http = http
        self.url = url
        self.key = key

    async def post(self, method: str, params: object, query: str = "") -> httpx2.Response:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.http.post(f"{self.url}/mcp/{query}", headers=headers(self.key), json=body)

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        answer = await self.post("tools/call", {"name": tool, "arguments": arguments})
        result = answer.json()["result"]
        assert not result.get("isError"), result
        assert {block["type"] for block in result["content"]} == {"text"}
        return result["structuredContent"]


@pytest.fixture
async def agent(house: House, ws_url: str) -> AsyncGenerator[Agent]:
    async with httpx2.AsyncClient(timeout=20) as http:
        yield Agent(http, ws_url.replace("ws://", "http://"), house.key)


@requirement("R-219")
async def test_chat_of_a_call(house: House, agent: Agent) -> None:
    joined = await agent.call("chamade_call_join", platform="scripted")
    await until(lambda: house.scripted.legs)
    (leg,) = house.scripted.legs.values()
    sent = await agent.call("chamade_call_chat", call_id=joined["call_id"], text="hi", sender_name="Ada")
    assert sent["status"] == "delivered"
    assert [(message.text, message.sender_name) for message in leg.chat] == [("hi", "Ada")]


@requirement("R-221")
async def test_ringing_calls_are_answered_and_refused(house: House, agent: Agent) -> None:
    await house.scripted.ring(house.owner.scope)
    await house.scripted.ring(house.owner.scope, "Bob")
    first, second = (await agent.call("chamade_call_list"))["calls"]
    assert (first["state"], second["state"]) == ("ringing", "ringing")
    assert (await agent.call("chamade_call_accept", call_id=first["call_id"]))["state"] == "active"
    assert (await agent.call("chamade_call_refuse", call_id=second["call_id"]))["state"] == "refused"
    assert len(house.scripted.legs) == 1


@requirement("R-227")
async def test_typing_in_a_conversation(house: House, agent: Agent) -> None:
    await house.scripted.write(house.owner.scope, "hello", conversation="alice")
    # From then on nothing is shown by itself.
    await agent.call("chamade_dm_chat", platform="scripted", text="hello")
    before = len(house.scripted.typed)
    await agent.call("chamade_dm_typing", platform="scripted")
    await until(lambda: len(house.scripted.typed) > before)
    assert house.scripted.typed[before:] == ["alice"]


@requirement("R-229")
async def test_the_account(house: House, agent: Agent) -> None:
    account = await agent.call("chamade_account")
    assert account["plan"] == "self-hosted"
    assert (account["features"]["audio_out"], account["features"]["hosted_tts"]) == ("ready", "byok")
    assert account["platforms"]["web"]["status"] == "ok"
    assert account["platforms"]["discord"]["status"] != "ok"
    assert set(account["identities"]["web"]) == {"agent", "operator"}


@requirement("R-236", "R-238")
async def test_what_happens_is_pushed_within_a_second(house: House, agent: Agent) -> None:
    session = await open_session(agent.http, agent.url, agent.key)
    client = PushClient(agent.url, agent.key, session, keep=True)
    listening = asyncio.create_task(client.run())
    clock = asyncio.get_running_loop().time
    took: list[float] = []
    try:
        await until(lambda: client.opened)
        for number in range(5):
            began = clock()
            await house.scripted.write(house.owner.scope, f"hello {number}")
            await until(lambda number=number: len(client.messages) > number)
            took.append(clock() - began)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert median(took) < 1
    assert {message["method"] for message in client.messages} == {"notifications/claude/channel"}
    events = [json.loads(message["params"]["content"]) for message in client.messages]
    assert [(event["type"], event["text"]) for event in events] == [
        ("dm_chat", f"hello {number}") for number in range(5)
    ]


@requirement("R-232", "R-233", "R-234")
@pytest.mark.parametrize("query", ["?stateful", "?stateful=1", "?stateful=yes"])
async def test_any_value_of_the_query_opens_a_session(agent: Agent, query: str) -> None:
    answer = await agent.post("initialize", INITIALIZE["params"], query)
    assert answer.headers["mcp-session-id"]
    assert "claude/channel" in answer.json()["result"]["capabilities"]["experimental"]


@requirement("R-241")
@pytest.mark.parametrize("query", ["", "?stateful"])
async def test_who_knows_no_channels_has_all_tools(agent: Agent, query: str) -> None:
    opened = await agent.post("initialize", INITIALIZE["params"], query)
    own = {"mcp-session-id": opened.headers["mcp-session-id"]} if query else {}
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    answer = await agent.http.post(f"{agent.url}/mcp/", headers={**headers(agent.key), **own}, json=listing)
    assert len(answer.json()["result"]["tools"]) == 15


@requirement("R-248")
async def test_sound_goes_by_the_calls_socket_alone(house: House, agent: Agent, ws_url: str) -> None:
    joined = await agent.call("chamade_call_join", platform="scripted")
    call_id = joined["call_id"]
    await until(lambda: house.scripted.legs)
    ((room, leg),) = house.scripted.legs.items()
    session = await open_session(agent.http, agent.url, agent.key)
    client = PushClient(agent.url, agent.key, session, keep=True)
    listening = asyncio.create_task(client.run())
    try:
        await until(lambda: client.opened)
        address = f"{ws_url}/api/call/{call_id}/stream?api_key={agent.key}"
        async with connect(address, compression=None, proxy=None) as socket, asyncio.timeout(10):
            await socket.send('{"type":"audio_config","receive":true}')
            heard = 0
            while heard < 10:
                leg.far.push(np.full(960, 9_000, np.int16), asyncio.get_running_loop().time())
                frame = await socket.recv()
                heard += isinstance(frame, bytes) and any(frame)
        await house.scripted.post(house.owner.scope, room, "after all that")
        await until(lambda: "after all that" in str(client.messages[-1:]))
        told = [
            await agent.call("chamade_call_status", call_id=call_id),
            await agent.call("chamade_call_list"),
        ]
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    pushed = [json.loads(message["params"]["content"]) for message in client.messages]
    assert {event["type"] for event in pushed} <= {"call_state", "call_chat"}
    assert len(json.dumps([joined, told, pushed])) < 10 * 1920, "not even the frames that were heard"
