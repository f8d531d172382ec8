"""The era from 2026-07-28 on: envelopes, and streams of changes."""

import asyncio
from typing import Any

import pytest

from chamade_mcp.model.access import Caller
from chamade_mcp.model.events import EventType
from chamade_mcp.sessions.http import Endpoint
from tests.support.asgi import MODERN_META, Got, ask
from tests.support.mcp_house import McpHouse
from tests.support.waiting import BOUND_S, until

Document = dict[str, Any]
VERSION, CAPABILITIES = MODERN_META
URI = "chamade://calls/call_1/transcript"


def request(method: str, **params: object) -> Document:
    return {"jsonrpc": "2.0", "id": 5, "method": method, "params": {"_meta": MODERN_META, **params}}


def head(method: str, **more: str) -> dict[str, str]:
    fields = {"mcp-protocol-version": "2026-07-28", "mcp-method": method}
    return {**fields, **{name.replace("_", "-"): value for name, value in more.items()}}


async def test_discovery(endpoint: Endpoint, ada: Caller) -> None:
    got = await ask(endpoint, ada, request("server/discover"), head("server/discover"))
    result = got.json["result"]
    assert result["supportedVersions"] == ["2026-07-28"]
    assert set(result["capabilities"]) == {"tools", "resources", "prompts", "completions"}
    assert result["instructions"].startswith("Chamade")


@pytest.mark.parametrize(
    ("meta", "headers", "code"),
    [
        (None, {}, -32602),
        ({}, {}, -32602),
        ({VERSION: "2026-07-28"}, {}, -32602),
        ({CAPABILITIES: {}}, {}, -32602),
        ({**MODERN_META, CAPABILITIES: []}, {}, -32602),
        ({**MODERN_META, VERSION: 5}, {}, -32602),
        (MODERN_META, {"mcp-method": "tools/call"}, -32020),
        (MODERN_META, {"mcp-method": "TOOLS/LIST"}, -32020),
        ({**MODERN_META, VERSION: "2027-01-01"}, {}, -32020),
        ({**MODERN_META, VERSION: "2027-01-01"}, {"mcp-protocol-version": "2027-01-01"}, -32022),
        ({**MODERN_META, "io.modelcontextprotocol/logLevel": "loud"}, {}, -32602),
    ],
)
async def test_envelopes(
    endpoint: Endpoint, ada: Caller, meta: Document | None, headers: dict[str, str], code: int
) -> None:
    body = request("tools/list")
    body["params"] = {} if meta is None else {"_meta": meta}
    got = await ask(endpoint, ada, body, {**head("tools/list"), **headers})
    assert (got.status, got.json["id"], got.json["error"]["code"]) == (400, 5, code)


@pytest.mark.parametrize(
    ("method", "params", "name", "right"),
    [
        ("tools/call", {"name": "chamade_account"}, "chamade_account", True),
        ("tools/call", {"name": "chamade_account"}, "=?base64?Y2hhbWFkZV9hY2NvdW50?=", True),
        ("tools/call", {"name": "chamade_account"}, "chamade_inbox", False),
        ("tools/call", {"name": "chamade_account"}, None, False),
        ("prompts/get", {"name": "answer-my-dms"}, "answer-my-dms", True),
        ("prompts/get", {"name": "answer-my-dms"}, "other", False),
        ("resources/read", {"uri": URI}, "file:///x", False),
    ],
)
async def test_names(
    endpoint: Endpoint, ada: Caller, method: str, params: Document, name: str | None, right: bool
) -> None:
    headers = head(method) if name is None else head(method, mcp_name=name)
    got = await ask(endpoint, ada, request(method, **params), headers)
    if right:
        assert got.json["result"]["resultType"] == "complete"
    else:
        assert (got.status, got.json["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("field", ["inputResponses", "requestState"])
async def test_broken_input_is_refused(endpoint: Endpoint, ada: Caller, field: str) -> None:
    body = request("prompts/get", name="answer-my-dms", **{field: 5})
    got = await ask(endpoint, ada, body, head("prompts/get", mcp_name="answer-my-dms"))
    assert (got.status, got.json["error"]["code"]) == (400, -32602)


async def test_responses_are_refused(endpoint: Endpoint, ada: Caller) -> None:
    got = await ask(endpoint, ada, {"jsonrpc": "2.0", "id": 1, "result": {}}, head("tools/list"))
    assert got.status == 400


async def test_listening_tells_of_the_transcripts_asked_for(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    wanted = {"resourceSubscriptions": [URI], "toolsListChanged": True}
    got = Got()
    listening = asyncio.create_task(
        ask(
            endpoint,
            ada,
            request("subscriptions/listen", notifications=wanted),
            head("subscriptions/listen"),
            got=got,
        )
    )
    (acknowledged,) = await got.receive_some(1)
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"]["notifications"] == {"resourceSubscriptions": [URI]}
    await world.publish(ada.principal.scope, "a message")
    await world.publish(ada.principal.scope, "a line", EventType.CALL_TRANSCRIPT)
    updated = (await got.receive_some(2))[1]
    assert updated["params"]["uri"] == URI
    world.sessions.drain()
    await asyncio.wait_for(listening, BOUND_S)
    last = got.events[-1]
    assert (last["id"], last["result"]["resultType"]) == (5, "complete")
    for each in (acknowledged["params"], updated["params"], last["result"]):
        assert each["_meta"]["io.modelcontextprotocol/subscriptionId"] == 5
    assert world.hub.subscribers == 0


async def test_listening_ends_with_its_key_and_with_its_client(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    assert ada.principal.key is not None
    body, headers = request("subscriptions/listen", notifications={}), head("subscriptions/listen")
    for leave in ("client", "key"):
        got = Got()
        listening = asyncio.create_task(ask(endpoint, ada, body, headers, got=got))
        await got.receive_some(1)
        await until(lambda: world.hub.subscribers == 1)
        if leave == "client":
            got.hang_up.set()
        else:
            await world.sessions.end_sessions(ada.principal.key)
        await asyncio.wait_for(listening, BOUND_S)
        assert world.hub.subscribers == 0


@pytest.mark.parametrize(
    ("notifications", "accept", "status"),
    [
        ({}, "application/json", 406),
        (None, None, 400),
        ({"resourceSubscriptions": "x"}, None, 400),
        ({"resourceSubscriptions": [5]}, None, 400),
        ({"resourceSubscriptions": ["x" * 501]}, None, 400),
        ({"resourceSubscriptions": ["x"] * 257}, None, 400),
    ],
)
async def test_broken_wishes_to_listen(
    endpoint: Endpoint, ada: Caller, world: McpHouse, notifications: object, accept: str | None, status: int
) -> None:
    body = request("subscriptions/listen", notifications=notifications)
    headers = head("subscriptions/listen") | ({} if accept is None else {"accept": accept})
    got = await ask(endpoint, ada, body, headers)
    assert (got.status, world.hub.subscribers) == (status, 0)
