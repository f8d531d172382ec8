"""What a call socket still has to send: messages before audio, nothing without bound."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message

from chamade_mcp.api.outbox import AUDIO_FRAMES, CallOutbox
from chamade_mcp.kit.outbox import TEXT_MESSAGES
from tests.support.waiting import BOUND_S


class Wire:
    """The far end; `open` lets it read."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.sent: list[Any] = []
        self._grown = asyncio.Condition()

    async def send(self, message: Message) -> None:
        await self.open.wait()
        if message["type"] == "websocket.close":
            self.sent.append((message["code"], message["reason"]))
        else:
            self.sent.append(message.get("text") or message.get("bytes"))
        async with self._grown:
            self._grown.notify_all()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(BOUND_S), self._grown:
            await self._grown.wait_for(lambda: len(self.sent) >= count)


async def test_messages_overtake_audio_and_the_close_comes_last() -> None:
    outbox, wire = CallOutbox(), Wire()
    outbox.hear(b"1")
    outbox.tell("a")
    outbox.hear(b"2")
    outbox.close(1000, "over")
    outbox.close(1011, "too late")
    await outbox.drain(wire.send)
    assert wire.sent == ["a", (1000, "over")]


async def test_what_is_told_in_order_divides_the_audio() -> None:
    outbox, wire = CallOutbox(), Wire()
    outbox.hear(b"old")
    outbox.tell("event")
    outbox.tell_in_order("settings")
    outbox.hear(b"new")
    writing = asyncio.create_task(outbox.drain(wire.send))
    await wire.has(4)
    outbox.close(1000, "")
    await writing
    assert wire.sent[:4] == ["event", b"old", "settings", b"new"]


async def test_audio_flows_in_its_order_while_nothing_else_waits() -> None:
    outbox, wire = CallOutbox(), Wire()
    writing = asyncio.create_task(outbox.drain(wire.send))
    for number in range(10):
        outbox.hear(bytes([number + 1]))
        await asyncio.sleep(0)
    await wire.has(10)
    outbox.close(1000, "")
    await writing
    assert wire.sent[:10] == [bytes([number + 1]) for number in range(10)]
    assert outbox.audio_dropped == 0


async def test_a_slow_client_loses_the_oldest_audio_counted() -> None:
    outbox, wire = CallOutbox(), Wire()
    wire.open.clear()
    for number in range(AUDIO_FRAMES + 7):
        outbox.hear(b"%d" % number)
    assert outbox.audio_dropped == 7
    writing = asyncio.create_task(outbox.drain(wire.send))
    wire.open.set()
    await wire.has(AUDIO_FRAMES)
    assert wire.sent[0] == b"7"
    outbox.close(1000, "")
    await writing


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    outbox, wire = CallOutbox(), Wire()
    for number in range(TEXT_MESSAGES + 1):
        outbox.tell(str(number))
    await outbox.drain(wire.send)
    assert wire.sent == [(1011, "Too slow to keep up with the call's events")]


async def test_half_a_surrogate_pair_does_not_break_the_socket() -> None:
    outbox, wire = CallOutbox(), Wire()
    outbox.tell("a\ud800b")
    outbox.close(1000, "")
    await outbox.drain(wire.send)
    assert wire.sent[0].encode() == b"a?b"


async def test_a_peer_that_is_gone_ends_the_writing() -> None:
    async def gone(message: Message) -> None:
        raise ConnectionResetError

    outbox = CallOutbox()
    outbox.tell("a")
    with pytest.raises(ConnectionResetError):
        await outbox.drain(gone)
