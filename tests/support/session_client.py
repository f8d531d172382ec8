"""What a client of sessions says, over the transport without a server."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import Caller
from chamade_mcp.sessions.http import Endpoint
from tests.support.asgi import Got, ask
from tests.support.waiting import BOUND_S, until

Document = dict[str, Any]
CLIENT: Document = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def request(method: str, params: Document | None = None, id: object = 1) -> Document:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}


async def initialize(endpoint: Endpoint, caller: Caller, **client: object) -> str:
    got = await ask(endpoint, caller, request("initialize", {**CLIENT, **client}), query="stateful")
    assert got.status == 200, got.body
    return got.headers["mcp-session-id"]


def in_session(session: str, **more: str) -> dict[str, str]:
    return {"mcp-session-id": session, **more}


@asynccontextmanager
async def listening(
    endpoint: Endpoint, caller: Caller, session: str, last_event_id: str | None = None
) -> AsyncGenerator[Got]:
    """Inside, the session's stream is open; at the end the client hangs up."""
    headers = in_session(session, accept="text/event-stream")
    if last_event_id is not None:
        headers["last-event-id"] = last_event_id
    got = Got()
    task = asyncio.create_task(ask(endpoint, caller, headers=headers, method="GET", got=got))
    try:
        await until(lambda: got.status or task.done())
        if task.done():
            await task
        yield got
        got.hang_up.set()
        await asyncio.wait_for(task, BOUND_S)
    finally:
        task.cancel()


async def pass_time(clock: VirtualClock, seconds: int) -> None:
    """In small steps, so that the housekeeping, which waits for the database, comes along."""
    for _ in range(seconds // 2):
        await clock.advance(2)
        await until(lambda: clock.sleeping >= 2)


def texts(got: Got) -> list[str]:
    """The texts of the direct messages that were pushed."""
    return [
        json.loads(event["params"]["content"])["text"]
        for event in got.events
        if event.get("method") == "notifications/claude/channel"
    ]
