"""The log as it goes out live: where a stream begins, what it says of lost cursors, and slow readers."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Message

from chamade_mcp.api.live_feed import LiveFeed, live_feed
from chamade_mcp.core.retention import EVENTS_KEPT, Retention
from chamade_mcp.model.access import Principal
from chamade_mcp.model.events import Cursor, Event, EventType
from chamade_mcp.sessions.streams import PING_EVERY_S, WRITE_DEADLINE_S, Streams
from tests.support.house import House
from tests.support.waiting import until


def line(event: bytes, _: Cursor) -> bytes:
    return event + b"\n"


def events(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(one) for one in raw.splitlines() if one.startswith(b"{")]


async def happen(house: House, owner: Principal, count: int, text: str = "") -> None:
    for number in range(count):
        payload = {"type": "call_state", "number": number, "text": text}
        await house.hub.publish(Event(owner.account, owner.scope.agent, EventType.CALL_STATE, payload))


async def opening(house: House, owner: Principal, after: str | None) -> dict[str, Any]:
    (first,) = events((await live_feed(house.hub, owner.scope, after, line)).opening)
    return first


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


class Reader:
    """Takes `appetite` bytes, then nothing more."""

    def __init__(self, appetite: int) -> None:
        self.taken = b""
        self.handed = 0
        self._appetite = appetite

    async def chunk(self, frames: bytes) -> None:
        self.handed += len(frames)
        if self.handed > self._appetite:
            await asyncio.Event().wait()
        self.taken += frames


async def listen(house: House, owner: Principal, feed: LiveFeed, reader: Reader, streams: Streams) -> None:
    stream = streams.new("", owner.scope, "key_1", reader)
    await streams.serve(stream, feed, {}, never, feed.opening)


async def test_a_stream_begins_where_its_client_stopped(house: House) -> None:
    owner = await house.owner()
    await happen(house, owner, 3)
    assert await opening(house, owner, None) == {"type": "ready", "seq": 3}
    for cursor in (0, 1, 3):
        assert await opening(house, owner, str(cursor)) == {"type": "ready", "seq": cursor}


@pytest.mark.parametrize("cursor", ["4", "-1", "x", "1e1", "9" * 30, "2026-11-20T10:00:00Z|msg_1", "\u0663"])
async def test_an_impossible_cursor_is_told(house: House, cursor: str) -> None:
    owner = await house.owner()
    await happen(house, owner, 3)
    told = await opening(house, owner, cursor)
    assert "inbox" in told.pop("detail")
    assert told == {"type": "reset", "seq": 3, "oldest": 1, "newest": 3}


async def test_what_is_older_than_a_week_goes_and_its_cursor_is_told_as_expired(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    retention = Retention(house.database, house.clock, house.inbox.messages_removed)
    await happen(house, owner, 5)
    await happen(house, other, 1)
    await house.clock.advance(EVENTS_KEPT.total_seconds())
    await happen(house, owner, 2)
    assert await retention.sweep() == 0
    await house.clock.advance(1)
    assert await retention.sweep() == 6
    assert (await opening(house, owner, "5"))["type"] == "ready"
    expired = await opening(house, owner, "4")
    assert (expired["type"], expired["oldest"], expired["newest"], expired["seq"]) == ("reset", 6, 7, 7)
    assert await house.hub.kept(other.account) == (2, 1)
    assert (await opening(house, other, "1"))["type"] == "ready"
    assert (await opening(house, other, "0"))["type"] == "reset"


async def test_a_clock_that_was_set_back_keeps_what_is_young(house: House) -> None:
    owner = await house.owner()
    await happen(house, owner, 1)
    house.clock.jump(-timedelta(days=30).total_seconds())
    await happen(house, owner, 1)
    house.clock.jump(timedelta(days=31).total_seconds())
    assert await Retention(house.database, house.clock, house.inbox.messages_removed).sweep() == 0
    await house.clock.advance(EVENTS_KEPT.total_seconds())
    assert await Retention(house.database, house.clock, house.inbox.messages_removed).sweep() == 2


async def test_a_reader_that_stalls_is_cut_and_comes_back_without_a_gap(house: House) -> None:
    owner = await house.owner()
    await happen(house, owner, 600, "x" * 500)
    streams = Streams(house.hub, house.clock)
    looking = asyncio.create_task(streams.look_after())
    slow = Reader(appetite=100_000)
    feed = await live_feed(house.hub, owner.scope, "0", line)
    listening = asyncio.create_task(listen(house, owner, feed, slow, streams))
    await until(lambda: slow.handed > 100_000)
    assert slow.handed < 1 << 20  # nothing piles up behind a reader that stalls
    (stream,) = streams.open
    await house.clock.advance(WRITE_DEADLINE_S + 1)
    assert house.hub.subscribers == 0  # it holds nothing of the hub any more; the server ends the write
    listening.cancel()
    await asyncio.wait({listening})
    seen = [event["seq"] for event in events(slow.taken)]
    quick = Reader(appetite=1 << 30)
    feed = await live_feed(house.hub, owner.scope, str(seen[-1]), line)
    listening = asyncio.create_task(listen(house, owner, feed, quick, streams))
    await until(lambda: b'"seq":600' in quick.taken)
    seen += [event["seq"] for event in events(quick.taken)[1:]]
    assert seen[0] == 0
    assert seen[1:] == list(range(1, 601))
    assert stream not in streams.open
    for task in (listening, looking):
        task.cancel()
        await asyncio.wait({task})


async def test_silence_is_filled_with_pings(house: House) -> None:
    owner = await house.owner()
    streams = Streams(house.hub, house.clock)
    looking = asyncio.create_task(streams.look_after())
    reader = Reader(appetite=1 << 20)
    feed = await live_feed(house.hub, owner.scope, None, line)
    listening = asyncio.create_task(listen(house, owner, feed, reader, streams))
    await until(lambda: reader.taken)
    for pings in range(1, 4):
        for _ in range(int(PING_EVERY_S)):
            await house.clock.advance(1)
        await until(lambda count=pings: reader.taken.count(b": ping") >= count)
    for task in (listening, looking):
        task.cancel()
        await asyncio.wait({task})
