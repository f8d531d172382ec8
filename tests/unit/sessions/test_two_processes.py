"""A client's connections end in different processes: what comes to one is heard by the other at once."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chamade_mcp.core.mcp_sessions import key_of
from chamade_mcp.model.access import Caller
from chamade_mcp.model.events import EventType
from chamade_mcp.sessions.http import Endpoint
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry
from tests.conformance.fixtures import Fixtures
from tests.support.asgi import Got, ask
from tests.support.core_api import CURSOR, KEY, FakeCore
from tests.support.mcp_house import McpHouse, mcp_house
from tests.support.session_client import in_session, initialize, listening, request, texts
from tests.support.waiting import BOUND_S, until

URI = "chamade://calls/call_1/transcript"


@dataclass
class Elsewhere:
    """The other process."""

    world: McpHouse
    endpoint: Endpoint


@pytest.fixture
async def elsewhere(
    world: McpHouse, database_path: Path, core_client: CoreClient
) -> AsyncGenerator[Elsewhere]:
    async with mcp_house(database_path, clock=world.clock) as other:
        other.keys = world.keys
        yield Elsewhere(other, other.sessions.endpoint(Registry(core_client)))


async def test_a_session_that_ends_here_is_over_there(
    endpoint: Endpoint, ada: Caller, elsewhere: Elsewhere
) -> None:
    session = await initialize(endpoint, ada)
    async with listening(elsewhere.endpoint, ada, session) as there:
        assert (await ask(endpoint, ada, headers=in_session(session), method="DELETE")).status == 200
        await until(lambda: there.done)
    assert elsewhere.world.sessions.known == 0
    assert (await ask(elsewhere.endpoint, ada, request("ping"), in_session(session))).status == 404


async def test_the_newest_stream_takes_over_at_once(
    endpoint: Endpoint, ada: Caller, world: McpHouse, elsewhere: Elsewhere
) -> None:
    session = await initialize(endpoint, ada)
    async with listening(endpoint, ada, session) as here:
        await world.publish(ada.principal.scope, "one")
        await here.receive_some(1)
        last = here.events[0]["id"]
        async with listening(elsewhere.endpoint, ada, session, last_event_id=last) as there:
            await until(lambda: here.done)
            await elsewhere.world.publish(ada.principal.scope, "two")
            await there.receive_some(1)
            assert (texts(here), texts(there)) == (["one"], ["two"])


async def test_wishes_told_here_are_kept_there(endpoint: Endpoint, ada: Caller, elsewhere: Elsewhere) -> None:
    session, own = await initialize(endpoint, ada), ada.principal.scope
    async with listening(elsewhere.endpoint, ada, session) as there:
        (known,) = elsewhere.world.sessions._live._live.values()  # pyright: ignore[reportPrivateUsage]
        for method, subscribed in (("resources/subscribe", {URI}), ("resources/unsubscribe", set[str]())):
            told = await ask(endpoint, ada, request(method, {"uri": URI}), in_session(session))
            assert told.json["result"] == {}
            await until(lambda subscribed=subscribed: known.subscriptions == subscribed)
            await elsewhere.world.publish(own, "hi", EventType.CALL_TRANSCRIPT)
        methods = [event["method"] for event in await there.receive_some(3)]
    assert methods.count("notifications/resources/updated") == 1


async def test_a_verdict_comes_to_the_stream_wherever_it_is(
    endpoint: Endpoint, ada: Caller, world: McpHouse, elsewhere: Elsewhere
) -> None:
    session = await initialize(endpoint, ada)
    async with listening(elsewhere.endpoint, ada, session) as there:
        await world.sessions.tell_verdict(key_of(session), "abcde", allow=True)
        (verdict,) = await there.receive_some(1)
    assert verdict["params"] == {"request_id": "abcde", "behavior": "allow"}


async def test_a_verdict_waits_for_the_next_stream_and_is_told_once(
    endpoint: Endpoint, ada: Caller, world: McpHouse, elsewhere: Elsewhere
) -> None:
    session = await initialize(endpoint, ada)
    await world.sessions.tell_verdict(key_of(session), "abcde", allow=False)
    async with listening(elsewhere.endpoint, ada, session) as there:
        (verdict,) = await there.receive_some(1)
        assert verdict["params"] == {"request_id": "abcde", "behavior": "deny"}
    async with listening(endpoint, ada, session) as here:
        await world.publish(ada.principal.scope, "one")
        assert [event["method"] for event in await here.receive_some(1)] == ["notifications/claude/channel"]


async def test_a_call_is_cancelled_from_there(
    endpoint: Endpoint, world: McpHouse, elsewhere: Elsewhere, core_api: FakeCore
) -> None:
    await world.admit(KEY)
    caller, got = world.caller(KEY), Got()
    session = await initialize(endpoint, caller)
    wait = {"name": "chamade_inbox", "arguments": {"last_message_cursor": CURSOR, "wait": 55}}
    polling = ask(endpoint, caller, request("tools/call", wait, "poll"), in_session(session), got=got)
    task = asyncio.create_task(polling)
    await asyncio.wait_for(core_api.polling.wait(), BOUND_S)
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "poll"}}
    assert (await ask(elsewhere.endpoint, caller, note, in_session(session))).status == 202
    await asyncio.wait_for(task, BOUND_S)
    assert got.json["error"]["code"] == -32800


async def test_what_is_asked_here_may_be_answered_there(
    ada: Caller, world: McpHouse, elsewhere: Elsewhere
) -> None:
    asking = world.sessions.endpoint(Fixtures())
    session = await initialize(asking, ada, capabilities={"sampling": {}})
    call = {"name": "test_sampling", "arguments": {"prompt": "say hi"}}
    got = Got()
    task = asyncio.create_task(ask(asking, ada, request("tools/call", call, 5), in_session(session), got=got))
    (asked,) = await got.receive_some(1)
    assert asked["method"] == "sampling/createMessage"
    answer = {
        "jsonrpc": "2.0",
        "id": asked["id"],
        "result": {"role": "assistant", "content": {"type": "text", "text": "hi"}, "model": "m"},
    }
    assert (await ask(elsewhere.endpoint, ada, answer, in_session(session))).status == 202
    await asyncio.wait_for(task, BOUND_S)
    assert "hi" in str(got.events[-1]["result"])
