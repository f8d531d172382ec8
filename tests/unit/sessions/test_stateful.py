"""Sessions: who gets in, what is remembered, what is pushed, and how they end."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from chamade_mcp.core.mcp_sessions import McpSessions, key_of
from chamade_mcp.core.permissions import NoDesk, PermissionRequest, VerdictLine
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import Caller, Principal
from chamade_mcp.model.events import EventType
from chamade_mcp.sessions.endpoint import Sessions
from chamade_mcp.sessions.http import Endpoint
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry
from tests.support.asgi import MODERN_META, Got, ask
from tests.support.mcp_house import McpHouse, mcp_house
from tests.support.waiting import until

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
        await asyncio.wait_for(task, 5)
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


# --- opening -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["stateful", "stateful=1", "x=y&stateful=no"])
async def test_initialize_opens_a_session_with_channels(endpoint: Endpoint, ada: Caller, query: str) -> None:
    got = await ask(endpoint, ada, request("initialize", CLIENT), query=query)
    result = got.json["result"]
    assert len(got.headers["mcp-session-id"]) >= 32
    assert result["protocolVersion"] == "2025-11-25"
    assert result["capabilities"]["experimental"] == {"claude/channel": {}, "claude/channel/permission": {}}
    assert result["capabilities"]["resources"]["subscribe"] is True


async def test_without_the_query_there_is_no_session(endpoint: Endpoint, ada: Caller) -> None:
    got = await ask(endpoint, ada, request("initialize", CLIENT))
    assert "mcp-session-id" not in got.headers
    assert "experimental" not in got.json["result"]["capabilities"]


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2026-07-28", "2025-11-25"),
        ("x", "2025-11-25"),
    ],
)
async def test_versions_are_negotiated(endpoint: Endpoint, ada: Caller, wanted: str, spoken: str) -> None:
    body = request("initialize", {**CLIENT, "protocolVersion": wanted})
    got = await ask(endpoint, ada, body, query="stateful")
    assert got.json["result"]["protocolVersion"] == spoken


@pytest.mark.parametrize("method", ["server/discover", "tools/list"])
async def test_modern_requests_are_told_what_to_fall_back_to(
    endpoint: Endpoint, ada: Caller, method: str
) -> None:
    headers = {"mcp-protocol-version": "2026-07-28", "mcp-method": method}
    got = await ask(endpoint, ada, request(method, {"_meta": MODERN_META}, 7), headers, query="stateful")
    assert (got.status, got.json["id"], got.json["error"]["code"]) == (400, 7, -32022)
    assert got.json["error"]["data"]["supported"][0] == "2025-11-25"
    assert got.json["error"]["data"]["requested"] == "2026-07-28"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {**CLIENT, "protocolVersion": 3},
        {**CLIENT, "capabilities": None},
        {**CLIENT, "clientInfo": "x" * 9},
        {**CLIENT, "clientInfo": {"name": "x" * 9000}},
    ],
)
async def test_a_broken_initialize_leaves_nothing(
    endpoint: Endpoint, ada: Caller, world: McpHouse, params: Document
) -> None:
    got = await ask(endpoint, ada, request("initialize", params), query="stateful")
    assert got.json["error"]["code"] == -32602
    assert "mcp-session-id" not in got.headers
    assert await world.store.count(ada.principal.account) == 0


async def test_a_session_must_be_opened_first(endpoint: Endpoint, ada: Caller) -> None:
    assert (await ask(endpoint, ada, request("tools/list"), query="stateful")).status == 400
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await ask(endpoint, ada, note, query="stateful")).status == 400
    stream = {"accept": "text/event-stream"}
    assert (await ask(endpoint, ada, headers=stream, method="GET", query="stateful")).status == 400
    assert (await ask(endpoint, ada, method="DELETE", query="stateful")).status == 400


# --- belonging ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "stateful"])
async def test_the_id_alone_makes_a_request_the_sessions(endpoint: Endpoint, ada: Caller, query: str) -> None:
    session = await initialize(endpoint, ada)
    got = await ask(endpoint, ada, request("tools/list"), in_session(session), query=query)
    assert len(got.json["result"]["tools"]) == 15
    assert (await ask(endpoint, ada, request("ping"), in_session(session), query=query)).json["result"] == {}


async def test_it_is_not_initialized_twice(endpoint: Endpoint, ada: Caller) -> None:
    session = await initialize(endpoint, ada)
    got = await ask(endpoint, ada, request("initialize", CLIENT), in_session(session))
    assert (got.status, got.json["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("session", ["nonsense", "x" * 4000, "\xff"])
async def test_unknown_ids_are_not_found(endpoint: Endpoint, ada: Caller, session: str) -> None:
    got = await ask(endpoint, ada, request("tools/list"), in_session(session))
    assert (got.status, got.json["error"]["code"]) == (404, -32001)


async def test_a_stolen_id_opens_nothing(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    """Nobody else's: not with another account's key, not with another key of the same account."""
    session = await initialize(endpoint, ada)
    await world.admit("bob")
    await world.admit("ada2", ada.principal)
    for thief in ("bob", "ada2"):
        caller = world.caller(thief)
        headers = in_session(session, accept="text/event-stream")
        assert (await ask(endpoint, caller, request("ping"), in_session(session))).status == 404
        assert (await ask(endpoint, caller, headers=headers, method="GET")).status == 404
        assert (await ask(endpoint, caller, headers=in_session(session), method="DELETE")).status == 404
    assert (await ask(endpoint, ada, request("ping"), in_session(session))).status == 200


async def test_delete_ends_it(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    session = await initialize(endpoint, ada)
    async with listening(endpoint, ada, session) as got:
        assert (await ask(endpoint, ada, headers=in_session(session), method="DELETE")).status == 200
        await until(lambda: got.done)
    assert (await ask(endpoint, ada, request("ping"), in_session(session))).status == 404
    assert (await ask(endpoint, ada, headers=in_session(session), method="DELETE")).status == 404
    assert world.hub.subscribers == 0


async def test_an_idle_session_expires(
    endpoint: Endpoint, ada: Caller, world: McpHouse, core_client: CoreClient
) -> None:
    session = await initialize(endpoint, ada)
    clock = cast(VirtualClock, world.clock)
    clock.jump(29 * 86400)
    again = Sessions(world.store, world.hub, clock, NoDesk()).endpoint(Registry(core_client))
    assert (await ask(again, ada, request("ping"), in_session(session))).status == 200
    clock.jump(2 * 86400)
    again = Sessions(world.store, world.hub, clock, NoDesk()).endpoint(Registry(core_client))
    assert (await ask(again, ada, request("ping"), in_session(session))).status == 404


# --- the stream --------------------------------------------------------------------------------------------


async def test_a_stream_opens_with_retry_and_an_id(endpoint: Endpoint, ada: Caller) -> None:
    session = await initialize(endpoint, ada)
    async with listening(endpoint, ada, session) as got:
        await until(lambda: got.chunks)
        assert got.headers["content-type"] == "text/event-stream"
        retry, event_id, data = got.body.decode().split("\n")[:3]
        assert (retry, data) == ("retry: 50", "data: ")
        assert event_id.startswith("id: ")
        assert session not in event_id


async def test_older_clients_get_no_empty_event(endpoint: Endpoint, ada: Caller) -> None:
    session = await initialize(endpoint, ada, protocolVersion="2025-06-18")
    async with listening(endpoint, ada, session) as got:
        await until(lambda: got.chunks)
        assert b"data" not in got.body


async def test_events_are_pushed_once_in_the_words_of_channels(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    session = await initialize(endpoint, ada)
    async with listening(endpoint, ada, session) as got:
        await world.publish(ada.principal.scope, "hello")
        await world.publish(ada.principal.scope, "good day", EventType.CALL_TRANSCRIPT)
        await world.publish(ada.principal.scope, "x", EventType.CALL_STATE)
        events = await got.receive_some(3)
        assert world.hub.subscribers == 1
    assert world.hub.subscribers == 0
    assert [e["method"] for e in events] == ["notifications/claude/channel"] * 3
    assert events[0]["params"]["meta"] == {
        "type": "dm_chat",
        "platform": "web",
        "conversation_id": "conv_1",
        "message_id": "msg_hello",
        "sender": "Alice",
        "trust": "untrusted",
    }
    assert events[1]["params"]["meta"]["sender"] == "Bob"
    assert "trust" not in events[2]["params"]["meta"]
    assert texts(got)[0] == "hello"
    assert len({e["id"] for e in events}) == 3


async def test_what_happened_meanwhile_is_replayed(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    scope = ada.principal.scope
    await world.publish(scope, "before the session")
    session = await initialize(endpoint, ada)
    await world.publish(scope, "before the stream")
    async with listening(endpoint, ada, session) as first:
        await first.receive_some(1)
        await world.publish(scope, "one")
        await world.publish(scope, "two")
        await first.receive_some(3)
    await world.publish(scope, "meanwhile")
    async with listening(endpoint, ada, session) as second:
        await second.receive_some(1)
    async with listening(endpoint, ada, session, last_event_id=first.events[0]["id"]) as third:
        await third.receive_some(3)
    assert texts(first) == ["before the stream", "one", "two"]
    assert texts(second) == ["meanwhile"]
    assert texts(third) == ["one", "two", "meanwhile"]


@pytest.mark.parametrize(
    "forged",
    ["{other}", "{tag}-0", "{tag}-999", "{tag}--1", "{mine}" + "9" * 400, "0", "1-1-1", "\xff\xfe", "-", ""],
)
async def test_nothing_of_anybody_else_is_ever_replayed(
    endpoint: Endpoint, ada: Caller, world: McpHouse, forged: str
) -> None:
    """The leak of event stores with common ids: a stream goes on where this session stands, or not at all."""
    await world.admit("bob")
    bob = world.caller("bob")
    await world.publish(ada.principal.scope, "ada's past")
    mine, other = await initialize(endpoint, ada), await initialize(endpoint, bob)
    await world.publish(bob.principal.scope, "bob's secret")
    async with listening(endpoint, bob, other) as bobs:
        await bobs.receive_some(1)
    await world.publish(ada.principal.scope, "first")
    async with listening(endpoint, ada, mine) as got:
        await got.receive_some(1)
    seen: str = got.events[0]["id"]
    forged = forged.format(mine=seen, other=bobs.events[0]["id"], tag=seen.partition("-")[0])
    async with listening(endpoint, ada, mine, last_event_id=forged) as again:
        await world.publish(ada.principal.scope, "second")
        await again.receive_some(1)
    assert texts(again) == ["second"]


async def test_who_was_away_for_too_long_is_told(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    session = await initialize(endpoint, ada)
    for text in ("one", "two", "three"):
        await world.publish(ada.principal.scope, text)
    await world.forget_events(ada.principal.scope, up_to=2)
    async with listening(endpoint, ada, session) as got:
        reset, kept = await got.receive_some(2)
    assert reset["params"]["meta"] == {"type": "reset"}
    assert json.loads(reset["params"]["content"])["oldest"] == 3
    assert json.loads(kept["params"]["content"])["text"] == "three"
    async with listening(endpoint, ada, session) as again:
        await world.publish(ada.principal.scope, "four")
        assert len(await again.receive_some(1)) == 1


async def test_the_newest_stream_takes_over(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    session = await initialize(endpoint, ada)
    async with listening(endpoint, ada, session) as old, listening(endpoint, ada, session) as new:
        await until(lambda: old.done)
        await world.publish(ada.principal.scope, "hello")
        await new.receive_some(1)
        assert (old.status, new.status, world.hub.subscribers) == (200, 200, 1)
    assert (texts(old), texts(new)) == ([], ["hello"])


async def test_two_sessions_of_one_agent_both_hear(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    one, two = await initialize(endpoint, ada), await initialize(endpoint, ada)
    async with listening(endpoint, ada, one) as first, listening(endpoint, ada, two) as second:
        await world.publish(ada.principal.scope, "hello")
        await first.receive_some(1)
        await second.receive_some(1)
    assert first.events[0]["id"] != second.events[0]["id"]


async def test_silence_is_broken_by_pings(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    session = await initialize(endpoint, ada)
    clock = cast(VirtualClock, world.clock)
    async with listening(endpoint, ada, session) as got:
        await until(lambda: got.chunks)
        await clock.advance(8)
        assert got.body.count(b": ping") == 0
        await clock.advance(2)
        await until(lambda: got.body.count(b": ping") == 1)
        await clock.advance(10)
        await until(lambda: got.body.count(b": ping") == 2)


async def test_a_reader_that_stalls_lets_go_of_the_hub(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    session = await initialize(endpoint, ada)
    clock = cast(VirtualClock, world.clock)
    async with listening(endpoint, ada, session) as stalled:
        await until(lambda: stalled.chunks)
        stalled.stalled.set()
        await world.publish(ada.principal.scope, "never seen")
        await asyncio.wait_for(stalled.stuck.wait(), 5)
        await clock.advance(9)
        assert world.hub.subscribers == 1
        await clock.advance(2)
        assert world.hub.subscribers == 0
        async with listening(endpoint, ada, session) as again:
            await again.receive_some(1)
        stalled.aborted.set()
    assert (texts(stalled), texts(again)) == ([], ["never seen"])


# --- wishes and relays -------------------------------------------------------------------------------------


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


class Desk:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Principal, str, PermissionRequest, VerdictLine]] = []

    async def requested(
        self, principal: Principal, session: str, request: PermissionRequest, line: VerdictLine
    ) -> None:
        self.asked.append((principal, session, request, line))


async def test_permission_requests_reach_the_desk_and_verdicts_the_client(
    database_path: Path, core_client: CoreClient
) -> None:
    desk = Desk()
    async with mcp_house(database_path, clock=VirtualClock(), desk=desk) as world:
        await world.admit("ada")
        ada, endpoint = world.caller("ada"), world.sessions.endpoint(Registry(core_client))
        session = await initialize(endpoint, ada)
        params = {"request_id": "abcde", "tool_name": "Bash", "description": "runs", "input_preview": "ls"}
        note = {
            "jsonrpc": "2.0",
            "method": "notifications/claude/channel/permission_request",
            "params": params,
        }
        assert (await ask(endpoint, ada, note, in_session(session))).status == 202
        ((principal, named, asked, line),) = desk.asked
        assert (principal, named) == (ada.principal, key_of(session))
        assert asked == PermissionRequest("abcde", "Bash", "runs", "ls")
        async with listening(endpoint, ada, session) as got:
            await line.tell_verdict(named, "abcde", allow=True)
            await line.tell_verdict("somebody else's", "abcde", allow=False)
            (verdict,) = await got.receive_some(1)
        assert verdict["method"] == "notifications/claude/channel/permission"
        assert verdict["params"] == {"request_id": "abcde", "behavior": "allow"}


@pytest.mark.parametrize("params", [{}, {"request_id": 5}, {"request_id": ""}, {"request_id": "x" * 65}])
async def test_broken_permission_requests_reach_nobody(
    database_path: Path, core_client: CoreClient, params: Document
) -> None:
    desk = Desk()
    async with mcp_house(database_path, clock=VirtualClock(), desk=desk) as world:
        await world.admit("ada")
        ada, endpoint = world.caller("ada"), world.sessions.endpoint(Registry(core_client))
        session = await initialize(endpoint, ada)
        note = {
            "jsonrpc": "2.0",
            "method": "notifications/claude/channel/permission_request",
            "params": params,
        }
        assert (await ask(endpoint, ada, note, in_session(session))).status == 202
    assert desk.asked == []


# --- revocation --------------------------------------------------------------------------------------------


async def test_a_revoked_key_takes_its_sessions_with_it(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    session = await initialize(endpoint, ada)
    await world.admit("bob")
    bob = world.caller("bob")
    bobs = await initialize(endpoint, bob)
    async with listening(endpoint, ada, session) as got, listening(endpoint, bob, bobs) as other:
        assert ada.principal.key is not None
        await world.sessions.end_sessions(ada.principal.key)
        await until(lambda: got.done)
        assert not other.done
    assert (await ask(endpoint, ada, request("ping"), in_session(session))).status == 404
    assert (await ask(endpoint, bob, request("ping"), in_session(bobs))).status == 200


async def test_a_key_that_expires_or_is_revoked_elsewhere_ends_its_streams_soon(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    """The command line revokes keys in a process of its own."""
    session = await initialize(endpoint, ada)
    clock = cast(VirtualClock, world.clock)
    await world.expire_key("ada", in_s=60)
    async with listening(endpoint, ada, session) as got:
        await pass_time(clock, 50)
        assert not got.done
        await pass_time(clock, 24)
        assert got.done
    assert (await ask(endpoint, ada, request("ping"), in_session(session))).status == 404


async def test_an_account_takes_its_streams_with_it(endpoint: Endpoint, ada: Caller, world: McpHouse) -> None:
    session = await initialize(endpoint, ada)
    async with listening(endpoint, ada, session) as got:
        await world.sessions.leave(ada.principal.account)
        await until(lambda: got.done)
    assert world.sessions.streams == 0


# --- processes ---------------------------------------------------------------------------------------------


async def test_a_session_goes_on_in_another_process(
    endpoint: Endpoint, ada: Caller, world: McpHouse, core_client: CoreClient
) -> None:
    """Two sets of sessions on one store, each with its own memory."""
    clock = cast(VirtualClock, world.clock)
    other = Sessions(McpSessions(world.database, clock), world.hub, clock, NoDesk(), retry_ms=50)
    elsewhere = other.endpoint(Registry(core_client))
    async with other.run():
        session = await initialize(endpoint, ada)
        assert (await ask(elsewhere, ada, request("ping"), in_session(session))).status == 200
        async with listening(endpoint, ada, session) as here:
            await world.publish(ada.principal.scope, "one")
            await here.receive_some(1)
            await clock.advance(2)
            async with listening(elsewhere, ada, session, last_event_id=here.events[0]["id"]) as there:
                await clock.advance(12)
                await until(lambda: here.done)  # it saw that the other took over
                await world.publish(ada.principal.scope, "two")
                await there.receive_some(1)
                assert (texts(here), texts(there)) == (["one"], ["two"])
        assert (await ask(elsewhere, ada, headers=in_session(session), method="DELETE")).status == 200
        await clock.advance(12)
        assert (await ask(endpoint, ada, request("ping"), in_session(session))).status == 404


async def test_what_was_pushed_is_known_after_a_restart(database_path: Path, core_client: CoreClient) -> None:
    async with mcp_house(database_path) as before:
        await before.admit("ada")
        ada, endpoint = before.caller("ada"), before.sessions.endpoint(Registry(core_client))
        session = await initialize(endpoint, ada)
        async with listening(endpoint, ada, session) as first:
            await before.publish(ada.principal.scope, "one")
            await first.receive_some(1)
    async with mcp_house(database_path) as after:
        await after.publish(ada.principal.scope, "two")
        endpoint = after.sessions.endpoint(Registry(core_client))
        async with listening(endpoint, ada, session) as second:
            await second.receive_some(1)
    assert (texts(first), texts(second)) == (["one"], ["two"])


async def test_a_drain_ends_streams_and_keeps_the_session(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    session = await initialize(endpoint, ada)
    async with listening(endpoint, ada, session) as got:
        world.sessions.drain()
        await until(lambda: got.done)
    assert (await ask(endpoint, ada, request("ping"), in_session(session))).status == 200


async def test_sessions_nobody_uses_are_forgotten_here_and_not_in_the_store(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    sessions = [await initialize(endpoint, ada) for _ in range(20)]
    clock = cast(VirtualClock, world.clock)
    assert world.sessions.known == 20
    await pass_time(clock, 60)
    assert world.sessions.known == 0
    for session in sessions:
        assert (await ask(endpoint, ada, request("ping"), in_session(session))).status == 200
