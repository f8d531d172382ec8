"""The operator over REST, and a client's question that goes all the way there and back."""

import asyncio

import httpx2
from starlette.types import Receive, Scope, Send

from chamade_mcp.model.access import ALL_PERMISSIONS, Caller, Permission, Principal
from tests.integration.api.conftest import BASE_URL, House, client_of
from tests.support.asgi import Got, ask
from tests.support.problems import assert_problem
from tests.support.push_client import INITIALIZE, headers
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until

HOST = BASE_URL.removeprefix("http://")


async def operators_conversation(house: House, api: httpx2.AsyncClient) -> str:
    await house.scripted.write(house.owner.scope, "hello", conversation="olga")
    (listed,) = (await api.get("/api/inbox")).json()["conversations"]
    return listed["conversation_id"]


@requirement("R-167")
async def test_the_operator_is_chosen_looked_at_and_dismissed(house: House, api: httpx2.AsyncClient) -> None:
    conversation = await operators_conversation(house, api)
    assert (await api.get("/api/operator")).json() == {"operator": None}
    chosen = await api.post("/api/operator", json={"conversation_id": conversation})
    assert chosen.status_code == 200
    operator = chosen.json()["operator"]
    assert operator.items() >= {
        "conversation_id": conversation, "platform": "scripted", "name": "Olga"
    }.items()  # fmt: skip
    assert (await api.get("/api/operator")).json() == {"operator": operator}
    account = (await api.get("/api/account")).json()
    assert account["identities"]["scripted"] == {"agent": "AI Agent", "operator": "Olga"}
    for _ in range(2):
        assert (await api.delete("/api/operator")).json() == {"status": "ok"}
    assert (await api.get("/api/operator")).json() == {"operator": None}
    account = (await api.get("/api/account")).json()
    assert account["identities"]["scripted"]["operator"] is None


async def test_who_may_choose(house: House, api: httpx2.AsyncClient) -> None:
    conversation = await operators_conversation(house, api)
    body = {"conversation_id": conversation}
    assert_problem(
        await api.post("/api/operator", json={}), 422, "VALIDATION_FAILED", field="conversation_id"
    )
    unknown = await api.post("/api/operator", json={"conversation_id": "conv_unknown"})
    assert_problem(unknown, 404, "CONVERSATION_NOT_FOUND")
    agent = await house.new_key(Permission.READ, Permission.MESSAGE, Permission.CALL)
    async with client_of(house, **{"x-api-key": agent}) as limited:
        for refused in (
            await limited.get("/api/operator"),
            await limited.post("/api/operator", json=body),
            await limited.delete("/api/operator"),
        ):
            assert_problem(refused, 403, "INSUFFICIENT_PERMISSIONS")
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        assert_problem(await other.post("/api/operator", json=body), 404, "CONVERSATION_NOT_FOUND")
    assert (await api.get("/api/operator")).json() == {"operator": None}


async def test_a_client_asks_and_the_operator_answers(house: House, api: httpx2.AsyncClient) -> None:
    conversation = await operators_conversation(house, api)
    await api.post("/api/operator", json={"conversation_id": conversation})
    caller = Caller(Principal(house.owner.scope, ALL_PERMISSIONS, True), house.key)

    async def endpoint(_: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        await house.gateway.app(scope, receive, send)

    own = {**headers(house.key), "host": HOST}
    opened = await ask(endpoint, caller, INITIALIZE, own, query="stateful")
    own["mcp-session-id"] = opened.headers["mcp-session-id"]
    stream = Got()
    listening = asyncio.create_task(ask(endpoint, caller, headers=own, method="GET", got=stream))
    await until(lambda: stream.status)
    question = {
        "jsonrpc": "2.0",
        "method": "notifications/claude/channel/permission_request",
        "params": {
            "request_id": "kmnop",
            "tool_name": "Bash",
            "description": "Delete the build",
            "input_preview": "rm -r build",
        },
    }
    assert (await ask(endpoint, caller, question, own)).status == 202
    await until(lambda: any("yes kmnop" in message.text for _, message in house.scripted.delivered))
    await house.scripted.write(house.owner.scope, "yes kmnop", conversation="olga")
    (verdict,) = await stream.receive_some(1)
    assert (verdict["method"], verdict["params"]) == (
        "notifications/claude/channel/permission",
        {"request_id": "kmnop", "behavior": "allow"},
    )
    whole = (await api.get(f"/api/inbox/{conversation}")).json()
    assert [m["text"] for m in whole["messages"] if m["direction"] == "inbound"] == ["hello"]
    stream.hang_up.set()
    await asyncio.wait_for(listening, BOUND_S)
