"""The life of the stateless endpoint, and what it answers without the SDK."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from starlette.types import Message

from chamade_mcp.model.access import Caller
from chamade_mcp.sessions.stateless import MAX_BODY_BYTES, StatelessSessions
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry

Raw = list[tuple[bytes, bytes]]
LIST = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
JSON: Raw = [(b"content-type", b"application/json"), (b"accept", b"application/json")]


async def ask(
    sessions: StatelessSessions, caller: Caller, headers: Raw, method: str = "POST", body: bytes = LIST
) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Message] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/mcp", "query_string": b"", "headers": headers}
    await sessions(caller, scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.fixture
def sessions(core_client: CoreClient) -> StatelessSessions:
    return StatelessSessions(Registry(core_client))


async def test_it_can_be_opened_in_one_task_and_closed_in_another(
    sessions: StatelessSessions, caller: Caller
) -> None:
    stack = AsyncExitStack()
    await asyncio.create_task(stack.enter_async_context(sessions.run()))
    status, _, body = await ask(sessions, caller, JSON)
    assert (status, len(json.loads(body)["result"]["tools"])) == (200, 15)
    await asyncio.create_task(stack.aclose())
    with pytest.raises(RuntimeError):
        await ask(sessions, caller, JSON)


async def test_it_runs_once(sessions: StatelessSessions) -> None:
    async with sessions.run():
        pass
    with pytest.raises(RuntimeError, match="once"):
        async with sessions.run():
            pass


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
async def test_other_methods_never_reach_the_sdk(
    sessions: StatelessSessions, caller: Caller, method: str
) -> None:
    status, headers, body = await ask(sessions, caller, JSON, method=method)
    assert (status, headers[b"allow"]) == (405, b"POST")
    assert json.loads(body)["request_id"] == caller.request_id


async def test_a_declared_length_over_the_cap_never_reaches_the_sdk(
    sessions: StatelessSessions, caller: Caller
) -> None:
    length = str(MAX_BODY_BYTES + 1).encode()
    status, _, body = await ask(sessions, caller, [*JSON, (b"content-length", length)])
    assert (status, json.loads(body)["code"]) == (413, "BODY_TOO_LARGE")


async def test_the_slow_tool_may_stream_in_the_modern_era(
    sessions: StatelessSessions, caller: Caller
) -> None:
    """In streaming mode the SDK insists on a client that takes both; in JSON mode it does not."""
    modern: Raw = [*JSON, (b"mcp-protocol-version", b"2026-07-28"), (b"mcp-method", b"tools/call")]
    async with sessions.run():
        slow, _, _ = await ask(sessions, caller, [*modern, (b"mcp-name", b"chamade_inbox")])
        quick, _, _ = await ask(sessions, caller, [*modern, (b"mcp-name", b"chamade_account")])
    assert (slow, quick) == (406, 400)
