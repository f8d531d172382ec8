"""What is pushed: each event once, to whom it belongs, through outages and over slow readers."""

import asyncio
import json
from typing import cast

import pytest

from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import Caller
from chamade_mcp.model.events import EventType
from chamade_mcp.sessions.http import Endpoint
from tests.support.mcp_house import McpHouse
from tests.support.requirement import requirement
from tests.support.session_client import (
    initialize,
    listening,
    texts,
)
from tests.support.waiting import BOUND_S, until


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


@requirement("R-235")
async def test_events_are_pushed_once_in_the_words_of_channels(
    endpoint: Endpoint, ada: Caller, world: McpHouse
) -> None:
    session = await initialize(endpoint, ada)
    assert world.hub.subscribers == 0
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
        await asyncio.wait_for(stalled.stuck.wait(), BOUND_S)
        await clock.advance(9)
        assert world.hub.subscribers == 1
        await clock.advance(2)
        assert world.hub.subscribers == 0
        async with listening(endpoint, ada, session) as again:
            await again.receive_some(1)
        stalled.aborted.set()
    assert (texts(stalled), texts(again)) == ([], ["never seen"])
