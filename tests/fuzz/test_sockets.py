"""The short way of binary frames against uvicorn's own, for the same bytes cut in the same way."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from chamade_mcp.app.sockets import FrameEdges, SocketProtocol, binary_payload
from chamade_mcp.kit.frames import Frames as ServerFrames
from chamade_mcp.kit.frames import frames_of
from tests.support.waiting import BOUND_S

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
LARGEST = 2_000
BYE = b"bye"
"""The application closes when it hears it."""

Frames = Sequence[bytes]


def sent(kind: Opcode, data: bytes, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(kind, data, fin).serialize(mask=mask)


def long_headed(size: int, width: int) -> bytes:
    """A binary frame that tells its size in more bytes than it needs."""
    return bytes([0x82, 0x80 | (126 if width == 2 else 127)]) + size.to_bytes(width, "big") + bytes(4 + size)


def with_first(byte: int) -> bytes:
    """A frame of any kind there is and is not, reserved bits included."""
    return bytes([byte]) + sent(Opcode.BINARY, b"odd")[1:]


FRAME = st.one_of(
    st.builds(sent, st.just(Opcode.BINARY), st.binary(max_size=300)),
    st.builds(sent, st.just(Opcode.BINARY), st.sampled_from([125, 126, LARGEST, LARGEST + 1]).map(bytes)),
    st.just(sent(Opcode.BINARY, BYE)),
    st.builds(sent, st.just(Opcode.TEXT), st.text(max_size=20).map(str.encode)),
    st.builds(
        sent,
        st.sampled_from([Opcode.BINARY, Opcode.TEXT, Opcode.CONT]),
        st.sampled_from([b"", b"ab", b"c" * 200]),
        st.booleans(),
    ),
    st.builds(sent, st.sampled_from([Opcode.PING, Opcode.PONG]), st.just(b"x")),
    st.just(sent(Opcode.CLOSE, b"\x03\xe8")),
    st.just(sent(Opcode.BINARY, b"bare", mask=False)),
    st.builds(long_headed, st.integers(0, 130), st.sampled_from([2, 8])),
    st.builds(with_first, st.integers(0x00, 0xFF)),
)


class Wire(asyncio.Transport):
    """What is written, and whether reading was stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def outcome(
    kind: type[WebSocketsSansIOProtocol], chunks: Frames
) -> tuple[list[Message], bytes, int, bool]:
    """What the application was given, what went out, what nobody has taken and whether more is read, when
    each chunk is a read of its own."""
    received: list[Message] = []
    over = asyncio.Event()

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            received.append(message)
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") == BYE:
                await send({"type": "websocket.close", "code": 4000})
                await over.wait()
                return
            await send({"type": "websocket.send", **{k: v for k, v in message.items() if k != "type"}})

    config = uvicorn.Config(echo, ws_max_size=LARGEST, ws_per_message_deflate=False, log_config=None, ws=kind)
    config.load()
    protocol, wire = kind(config, ServerState(), {}), Wire()
    protocol.connection_made(wire)
    protocol.data_received(REQUEST)
    await settle(protocol)
    opened = len(wire.written)
    for chunk in chunks:
        if wire.closed:
            break
        protocol.data_received(chunk)
        await settle(protocol)
    untaken, reading = protocol.queue.qsize(), wire.reading
    over.set()
    protocol.connection_lost(None)
    await asyncio.wait_for(asyncio.gather(*protocol.tasks), BOUND_S)
    return received, wire.written[opened:], untaken, reading


async def settle(protocol: WebSocketsSansIOProtocol) -> None:
    """The application has taken all there is, and waits."""
    for _ in range(100):
        await asyncio.sleep(0)
        if protocol.queue.empty():
            break
    for _ in range(3):
        await asyncio.sleep(0)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


INSIDE = b"\x82\x8a" + bytes(4) + sent(Opcode.BINARY, b"fake")
"""A frame whose payload looks like one."""


async def test_a_peer_waits_for_an_application_that_does_not_read() -> None:
    taken: list[Message] = []
    may_read = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await may_read.wait()
        while (message := await receive())["type"] != "websocket.disconnect":
            taken.append(message)

    wire = Wire()
    protocol = await opened(slow, wire)
    waiting = 0
    while wire.reading:
        protocol.data_received(sent(Opcode.BINARY, bytes([waiting])))
        waiting += 1
        assert waiting <= 4
    may_read.set()
    await settle(protocol)
    assert wire.reading
    assert [message["bytes"] for message in taken] == [bytes([each]) for each in range(waiting)]
    protocol.connection_lost(None)
    await asyncio.wait_for(asyncio.gather(*protocol.tasks), BOUND_S)


async def taken_in_order(chunks: Frames, pauses: Sequence[int]) -> tuple[list[Message], int]:
    """What came by either way, in its order, and how much of it without a queue. After each chunk the loop
    makes so many turns."""
    came: list[Message] = []
    at_once: list[bytes] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        def take(payload: bytes) -> None:
            at_once.append(payload)
            came.append({"type": "websocket.receive", "bytes": payload})

        await receive()
        await send({"type": "websocket.accept"})
        frames = frames_of(scope)
        assert frames is not None
        frames.give_to(take)
        while (message := await receive())["type"] != "websocket.disconnect":
            await turns(2)  # it is busy for a while, and waits for nothing that comes
            came.append(message)

    protocol = await opened(application, Wire())
    for chunk, pause in zip(chunks, itertools.cycle(pauses), strict=False):
        protocol.data_received(chunk)
        await turns(pause)
    while not protocol.queue.empty():
        await turns(1)
    await turns(10)
    protocol.connection_lost(None)
    await asyncio.wait_for(asyncio.gather(*protocol.tasks), BOUND_S)
    return came, len(at_once)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def opened(application: ASGIApp, wire: Wire) -> SocketProtocol:
    config = uvicorn.Config(application, ws_per_message_deflate=False, log_config=None, ws=SocketProtocol)
    config.load()
    protocol = SocketProtocol(config, ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(REQUEST)
    await settle(protocol)
    return protocol


@given(
    kinds=st.lists(st.sampled_from([Opcode.BINARY, Opcode.BINARY, Opcode.TEXT]), max_size=12),
    places=st.lists(st.integers(0, 200), max_size=6),
    pauses=st.lists(st.integers(0, 9), min_size=1, max_size=5),
)
@example(kinds=[Opcode.BINARY, Opcode.TEXT, Opcode.BINARY, Opcode.BINARY], places=[], pauses=[9])
@example(kinds=[Opcode.TEXT, Opcode.BINARY, Opcode.BINARY, Opcode.BINARY], places=[], pauses=[0])
@example(kinds=[Opcode.TEXT, Opcode.BINARY, Opcode.TEXT, Opcode.BINARY], places=[], pauses=[2])
def test_the_way_without_a_queue_keeps_the_order(
    kinds: Sequence[Opcode], places: Sequence[int], pauses: Sequence[int]
) -> None:
    frames = [sent(kind, b"%d" % number) for number, kind in enumerate(kinds)]
    for chunks in (frames, cut(b"".join(frames), places)):
        came, at_once = asyncio.run(taken_in_order(chunks, pauses))
        texts = [message.get("text") or message["bytes"].decode() for message in came]
        assert texts == [str(number) for number in range(len(kinds))]
        if chunks is frames and pauses == [9]:
            assert at_once == kinds.count(Opcode.BINARY)


async def test_what_the_taker_cannot_take_comes_by_the_queue() -> None:
    came: list[Message] = []

    def refuse(payload: bytes) -> None:
        raise ValueError(payload)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        frames = frames_of(scope)
        assert frames is not None
        frames.give_to(refuse)
        came.extend([await receive(), await receive()])

    protocol = await opened(application, Wire())
    for payload in (b"1", b"2"):
        protocol.data_received(sent(Opcode.BINARY, payload))
        await settle(protocol)
    assert [message["bytes"] for message in came] == [b"1", b"2"]
    protocol.connection_lost(None)
    await asyncio.wait_for(asyncio.gather(*protocol.tasks), BOUND_S)


async def test_frames_are_written_at_once_while_the_socket_takes_them() -> None:
    offered: list[ServerFrames] = []
    over = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        early = frames_of(scope)
        assert early is not None
        assert not early.write(b"before the handshake is over")
        await send({"type": "websocket.accept"})
        offered.append(early)
        await over.wait()
        await send({"type": "websocket.close", "code": 1000})

    wire = Wire()
    protocol = await opened(application, wire)
    frames, begun = offered[0], len(wire.written)
    assert frames.write(b"1")
    protocol.pause_writing()
    assert not frames.write(b"2")
    protocol.resume_writing()
    assert frames.write(bytes(300))
    assert not frames.write(bytes(1 << 16)), "longer ones are sent"
    expected = sent(Opcode.BINARY, b"1", mask=False) + sent(Opcode.BINARY, bytes(300), mask=False)
    assert wire.written[begun:] == expected
    over.set()
    await settle(protocol)
    assert not frames.write(b"after the close")
    protocol.connection_lost(None)
    assert not frames.write(b"when it is gone")
    await asyncio.wait_for(asyncio.gather(*protocol.tasks), BOUND_S)


@given(st.lists(FRAME, max_size=8))
def test_frames_that_come_one_by_one(frames: Frames) -> None:
    assert asyncio.run(outcome(SocketProtocol, frames)) == asyncio.run(
        outcome(WebSocketsSansIOProtocol, frames)
    )


@given(st.lists(FRAME, max_size=6), st.lists(st.integers(0, 10_000), max_size=8))
@example([sent(Opcode.BINARY, BYE), *[sent(Opcode.BINARY, b"too late")] * 6], [9, 23, 37, 51, 65, 79])
@example([INSIDE], [6])
@example([INSIDE, sent(Opcode.BINARY, b"next")], [6, 16])
@example([sent(Opcode.BINARY, bytes(300))], [2])
@example([sent(Opcode.BINARY, bytes(300))] * 2, [4, 310])
def test_frames_cut_anywhere(frames: Frames, places: Sequence[int]) -> None:
    chunks = cut(b"".join(frames), places)
    assert asyncio.run(outcome(SocketProtocol, chunks)) == asyncio.run(
        outcome(WebSocketsSansIOProtocol, chunks)
    )


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_any_bytes(junk: bytes, places: Sequence[int]) -> None:
    chunks = cut(junk, places)
    assert asyncio.run(outcome(SocketProtocol, chunks)) == asyncio.run(
        outcome(WebSocketsSansIOProtocol, chunks)
    )


@given(st.lists(st.integers(0, 70_000), max_size=5), st.lists(st.integers(0, 400_000), max_size=20))
def test_edges_are_found_however_frames_are_cut(sizes: Sequence[int], places: Sequence[int]) -> None:
    frames = [sent(Opcode.BINARY, bytes(size)) for size in sizes]
    ends = {0}
    for frame in frames:
        ends.add(max(ends) + len(frame))
    edges, at = FrameEdges(), 0
    for chunk in cut(b"".join(frames), places):
        edges.follow(chunk)
        at += len(chunk)
        assert edges.between == (at in ends)


@given(st.binary(max_size=70_000))
def test_a_whole_frame_is_its_payload(payload: bytes) -> None:
    frame = sent(Opcode.BINARY, payload)
    assert binary_payload(frame) == (payload if len(payload) < 1 << 16 else None)


@pytest.mark.parametrize("change", [b"", b"\x00"])
@given(frame=FRAME.filter(lambda frame: len(frame) > 1), at=st.integers(1, 400))
def test_less_or_more_than_a_frame_is_none(change: bytes, frame: bytes, at: int) -> None:
    other: Any = frame + change if change else frame[: at % len(frame)]
    assert binary_payload(other) is None
