"""Sessions: who gets in, how they end, what other processes see of them."""

from pathlib import Path
from typing import cast

import pytest

from chamade_mcp.core.mcp_sessions import McpSessions
from chamade_mcp.core.notices import Notices
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import Caller
from chamade_mcp.sessions.channel import verdict_message
from chamade_mcp.sessions.endpoint import Sessions
from chamade_mcp.sessions.http import Endpoint
from chamade_mcp.sessions.sse import frame
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry
from tests.support.asgi import MODERN_META, ask
from tests.support.mcp_house import McpHouse, mcp_house
from tests.support.requirement import requirement
from tests.support.session_client import (
    CLIENT,
    Document,
    in_session,
    initialize,
    listening,
    pass_time,
    request,
    texts,
)
from tests.support.waiting import until

# --- opening ------------------------------------------------------------------------------------------------


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


# --- belonging ----------------------------------------------------------------------------------------------


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


@requirement("R-240")
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
    again = Sessions(world.store, world.hub, clock).endpoint(Registry(core_client))
    assert (await ask(again, ada, request("ping"), in_session(session))).status == 200
    clock.jump(2 * 86400)
    again = Sessions(world.store, world.hub, clock).endpoint(Registry(core_client))
    assert (await ask(again, ada, request("ping"), in_session(session))).status == 404


# --- revocation ---------------------------------------------------------------------------------------------


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


# --- processes ----------------------------------------------------------------------------------------------


async def test_a_session_goes_on_in_another_process(
    endpoint: Endpoint, ada: Caller, world: McpHouse, core_client: CoreClient
) -> None:
    """Two sets of sessions on one store, each with its own memory."""
    clock = cast(VirtualClock, world.clock)
    other = Sessions(McpSessions(world.database, clock, Notices(clock)), world.hub, clock, retry_ms=50)
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


async def test_a_client_that_listens_is_there_however_little_happens(
    endpoint: Endpoint, ada: Caller, world: McpHouse, core_client: CoreClient
) -> None:
    session = await initialize(endpoint, ada)
    clock = cast(VirtualClock, world.clock)
    async with listening(endpoint, ada, session) as got:
        await pass_time(clock, 4)
        clock.jump(31 * 86400)
        await clock.advance(3600)
        await pass_time(clock, 4)
        again = Sessions(world.store, world.hub, clock).endpoint(Registry(core_client))
        assert (await ask(again, ada, request("ping"), in_session(session))).status == 200
        assert not got.done


async def test_what_could_not_be_told_here_waits_in_the_store(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    session = await initialize(endpoint, ada)
    (live,) = world.sessions._live._live.values()  # pyright: ignore[reportPrivateUsage]
    live.waiting_frames.append(frame(verdict_message("abcde", allow=True)))  # the stream broke before
    await pass_time(cast(VirtualClock, world.clock), 60)
    assert world.sessions.known == 0
    async with listening(endpoint, ada, session) as got:
        (verdict,) = await got.receive_some(1)
    assert verdict["params"] == {"request_id": "abcde", "behavior": "allow"}
