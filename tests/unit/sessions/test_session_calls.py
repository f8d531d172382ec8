"""Inside a session: wishes, relays, calls that take long."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chamade_mcp.core.mcp_sessions import key_of
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import Caller
from chamade_mcp.model.events import EventType
from chamade_mcp.model.permissions import PermissionRequest
from chamade_mcp.sessions import turn
from chamade_mcp.sessions.http import Endpoint
from chamade_mcp.sessions.methods import MOST_URI_CHARACTERS, MOST_URIS
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry
from tests.support.asgi import Got, ask
from tests.support.core_api import CURSOR, KEY, FakeCore
from tests.support.mcp_house import McpHouse, mcp_house
from tests.support.session_client import (
    Document,
    in_session,
    initialize,
    listening,
    request,
)
from tests.support.waiting import BOUND_S, until

# --- wishes and relays --------------------------------------------------------------------------------------


async def test_subscribed_transcripts_tell_of_new_lines(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    session = await initialize(endpoint, ada)
    uri = "chamade://calls/call_1/transcript"
    headers = in_session(session)
    subscribed = await ask(endpoint, ada, request("resources/subscribe", {"uri": uri}), headers)
    assert subscribed.json["result"] == {}
    async with listening(endpoint, ada, session) as got:
        await world.publish(ada.principal.scope, "hi", EventType.CALL_TRANSCRIPT)
        events = await got.receive_some(2)
        assert events[1]["method"] == "notifications/resources/updated"
        assert events[1]["params"] == {"uri": uri}
        await ask(endpoint, ada, request("resources/unsubscribe", {"uri": uri}), headers)
        await world.publish(ada.principal.scope, "hi", EventType.CALL_TRANSCRIPT)
        await world.publish(ada.principal.scope, "hi")
        assert [e["method"] for e in (await got.receive_some(4))[2:]] == ["notifications/claude/channel"] * 2


async def test_a_client_follows_so_many_resources_and_no_more(endpoint: Endpoint, ada: Caller) -> None:
    headers = in_session(await initialize(endpoint, ada))

    async def follow(uri: str) -> Document:
        return (await ask(endpoint, ada, request("resources/subscribe", {"uri": uri}), headers)).json

    for number in range(MOST_URIS):
        assert (await follow(f"chamade://calls/call_{number}/transcript"))["result"] == {}
    assert (await follow("chamade://calls/call_0/transcript"))["result"] == {}, "that one is followed already"
    for uri in ("chamade://calls/call_x/transcript", "x" * (MOST_URI_CHARACTERS + 1)):
        error = (await follow(uri))["error"]
        assert (error["code"], error["data"]) == (-32602, {"field": "uri"})


class Desk:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Caller, str, PermissionRequest]] = []

    async def requested(self, caller: Caller, session: str, request: PermissionRequest) -> None:
        self.asked.append((caller, session, request))


async def test_permission_requests_reach_the_desk_and_verdicts_the_client(
    database_path: Path, core_client: CoreClient
) -> None:
    desk = Desk()
    async with mcp_house(database_path, clock=VirtualClock()) as world:
        await world.admit("ada")
        ada, endpoint = world.caller("ada"), world.sessions.endpoint(Registry(core_client), desk)
        session = await initialize(endpoint, ada)
        params = {"request_id": "abcde", "tool_name": "Bash", "description": "runs", "input_preview": "ls"}
        note = {
            "jsonrpc": "2.0",
            "method": "notifications/claude/channel/permission_request",
            "params": params,
        }
        assert (await ask(endpoint, ada, note, in_session(session))).status == 202
        ((caller, named, asked),) = desk.asked
        assert (caller, named) == (ada, key_of(session))
        assert asked == PermissionRequest("abcde", "Bash", "runs", "ls")
        async with listening(endpoint, ada, session) as got:
            await world.sessions.tell_verdict(named, "abcde", allow=True)
            await world.sessions.tell_verdict("somebody else's", "abcde", allow=False)
            (verdict,) = await got.receive_some(1)
        assert verdict["method"] == "notifications/claude/channel/permission"
        assert verdict["params"] == {"request_id": "abcde", "behavior": "allow"}


@pytest.mark.parametrize("params", [{}, {"request_id": 5}, {"request_id": ""}, {"request_id": "x" * 65}])
async def test_broken_permission_requests_reach_nobody(
    database_path: Path, core_client: CoreClient, params: Document
) -> None:
    desk = Desk()
    async with mcp_house(database_path, clock=VirtualClock()) as world:
        await world.admit("ada")
        ada, endpoint = world.caller("ada"), world.sessions.endpoint(Registry(core_client), desk)
        session = await initialize(endpoint, ada)
        note = {
            "jsonrpc": "2.0",
            "method": "notifications/claude/channel/permission_request",
            "params": params,
        }
        assert (await ask(endpoint, ada, note, in_session(session))).status == 202
    assert desk.asked == []


# --- calls that take long -----------------------------------------------------------------------------------


WAIT: Document = {
    "name": "chamade_inbox",
    "arguments": {"last_message_cursor": CURSOR, "wait": 55},
}


@pytest.fixture
async def waiting(
    endpoint: Endpoint, world: McpHouse, core_api: FakeCore
) -> AsyncGenerator[tuple[Caller, str, Got, "asyncio.Task[Got]"]]:
    """A long-poll that has reached the API: who asked, the session, the answer to come, and its task."""
    await world.admit(KEY)  # the key that the fake API knows
    caller = world.caller(KEY)
    session, got = await initialize(endpoint, caller), Got()
    polling = ask(endpoint, caller, request("tools/call", WAIT, "poll"), in_session(session), got=got)
    task = asyncio.create_task(polling)
    await asyncio.wait_for(core_api.polling.wait(), BOUND_S)
    yield caller, session, got, task
    task.cancel()


async def test_a_call_can_be_cancelled(
    endpoint: Endpoint, core_api: FakeCore, waiting: tuple[Caller, str, Got, "asyncio.Task[Got]"]
) -> None:
    caller, session, got, task = waiting
    params = {"requestId": "another", "reason": "no need"}
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
    assert (await ask(endpoint, caller, note, in_session(session))).status == 202
    assert not task.done()
    params["requestId"] = "poll"
    assert (await ask(endpoint, caller, note, in_session(session))).status == 202
    await asyncio.wait_for(task, BOUND_S)
    assert (got.json["id"], got.json["error"]["code"]) == ("poll", -32800)
    assert core_api.poll_over.is_set()


async def test_a_call_ends_with_its_client(
    core_api: FakeCore, waiting: tuple[Caller, str, Got, "asyncio.Task[Got]"]
) -> None:
    _, _, got, task = waiting
    got.hang_up.set()
    await asyncio.wait_for(task, BOUND_S)
    assert core_api.poll_over.is_set()
    assert got.status == 0


async def test_a_call_ends_with_its_session(
    endpoint: Endpoint, core_api: FakeCore, waiting: tuple[Caller, str, Got, "asyncio.Task[Got]"]
) -> None:
    caller, session, got, task = waiting
    assert (await ask(endpoint, caller, headers=in_session(session), method="DELETE")).status == 200
    await asyncio.wait_for(task, BOUND_S)
    assert got.json["error"]["code"] == -32800


async def test_a_long_silence_becomes_a_stream_with_pings(
    endpoint: Endpoint,
    core_api: FakeCore,
    monkeypatch: pytest.MonkeyPatch,
    ada: Caller,
) -> None:
    monkeypatch.setattr(turn, "PING_EVERY_S", 0.05)
    caller = Caller(ada.principal, KEY)
    got = Got()
    task = asyncio.create_task(ask(endpoint, caller, request("tools/call", WAIT, 9), got=got))
    await until(lambda: got.body.count(b": ping") >= 2)
    assert (got.status, got.headers["content-type"]) == (200, "text/event-stream")
    core_api.news.set()
    await asyncio.wait_for(task, BOUND_S)
    assert got.events[-1]["result"]["isError"] is False
