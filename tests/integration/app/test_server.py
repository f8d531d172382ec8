"""The HTTP server against clients that are slow, silent or gone."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from urllib.parse import quote

import pytest
import websockets
from starlette.types import Message, Receive, Scope, Send

from chamade_mcp.app.guard import GuardedProtocol
from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.server import PEER_GONE_S, Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.sessions.streams import HANG_UP, WRITE_DEADLINE
from tests.support.waiting import BOUND_S, until

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hasty(GuardedProtocol):
    head_timeout_s = 0.3
    body_timeout_s = 0.3
    body_bytes_per_s = 100_000.0  # far below what a busy machine moves


class Application:
    """Counts what reaches it. ``/echo`` answers with the length of the body, ``/early`` before reading any,
    ``/slow`` once it was let go, ``/unread`` reads only then, ``/listening`` hears who hangs up; ``/flood``
    and ``/patient`` write without end, the first only to whoever reads on."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.go = asyncio.Event()
        self.waits = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._echo_socket(receive, send)
            return
        path = scope["path"]
        if path == "/early":
            await self._answer(send, b"no")
            return
        if path in ("/flood", "/patient"):
            if path == "/flood":
                scope["state"][WRITE_DEADLINE] = 0.3
            await self._flood(send)
            return
        if path == "/listening":
            scope["state"][HANG_UP] = self.gone.set
            self.waits.set()
            await self.go.wait()
        if path == "/unread":
            await self.go.wait()
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                return
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        if path == "/slow":
            self.waits.set()
            await self.go.wait()
        await self._answer(send, str(size).encode())

    async def _answer(self, send: Send, body: bytes) -> None:
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _flood(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        flood: Message = {"type": "http.response.body", "body": b"x" * 65536, "more_body": True}
        while not self.go.is_set():
            await send(flood)
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})

    async def _echo_socket(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})


class Running:
    def __init__(self, app: Application, server: Server, port: int) -> None:
        self.app, self.server, self.port = app, server, port
        self.drained = 0

    async def drain(self) -> None:
        self.drained += 1
        self.app.go.set()

    async def connect(self) -> Peer:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    listener = listen(Settings(host="127.0.0.1", port=0))
    app = Application()

    async def drain() -> None:
        await it.drain()

    server = Server(app, drain=drain, protocol=Hasty)
    it = Running(app, server, listener.getsockname()[1])
    task = asyncio.create_task(server.serve([listener]))
    yield it
    server.should_exit = True
    await asyncio.wait_for(task, 10)


async def rest(peer: Peer, within: float = 5) -> bytes:
    """All until the server closes; fails when it does not."""
    reader, writer = peer
    try:
        return await asyncio.wait_for(reader.read(), within)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def answer_body(peer: Peer, size: int) -> bytes:
    await asyncio.wait_for(peer[0].readuntil(b"\r\n\r\n"), BOUND_S)
    return await asyncio.wait_for(peer[0].readexactly(size), BOUND_S)


async def test_a_silent_connection_is_closed_without_a_word(running: Running) -> None:
    assert await rest(await running.connect()) == b""


@pytest.mark.parametrize("part", [b"G", b"GET /echo HTTP/1.1\r\nHost: x\r\n", b"POST /echo HTTP/1.1\r\nX: "])
async def test_half_a_head_is_answered_408(running: Running, part: bytes) -> None:
    peer = await running.connect()
    peer[1].write(part)
    said = await rest(peer)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"REQUEST_TIMEOUT" in said


async def test_a_head_that_trickles_gets_no_more_time(running: Running) -> None:
    def trickle() -> bytes:
        # A plain socket: it has what came before the reset that a line too many meets; a stream forgets it.
        with socket.create_connection(("127.0.0.1", running.port), timeout=0.05) as peer:
            peer.sendall(b"GET /echo HTTP/1.1\r\n")
            for number in range(1000):
                with contextlib.suppress(TimeoutError):
                    return peer.recv(4096)
                peer.sendall(b"X-%d: y\r\n" % number)
        return b""

    began = time.monotonic()
    assert (await asyncio.to_thread(trickle)).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 2


async def test_half_a_body_is_answered_408_and_the_application_is_told(running: Running) -> None:
    peer = await running.connect()
    peer[1].write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert (await rest(peer)).startswith(b"HTTP/1.1 408 ")
    await asyncio.wait_for(running.app.gone.wait(), BOUND_S)


async def test_no_408_follows_an_answer_that_came_before_the_body(running: Running) -> None:
    peer = await running.connect()
    peer[1].write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    said = await rest(peer)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"\r\n\r\nno")


async def test_a_body_that_keeps_coming_is_given_its_time(running: Running) -> None:
    peer = await running.connect()
    size, piece = 8_000_000, 200_000
    peer[1].write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(size // piece):
        peer[1].write(b"x" * piece)
        await peer[1].drain()
        await asyncio.sleep(0.02)  # 40 of these: well past the grace
    assert await answer_body(peer, 7) == b"8000000"
    peer[1].close()


async def test_the_clock_stands_still_while_the_application_does_not_read(running: Running) -> None:
    peer = await running.connect()
    size = 20_000_000
    peer[1].write(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    writing = asyncio.create_task(_write_all(peer, b"x" * size))
    await asyncio.sleep(4 * Hasty.body_timeout_s)
    running.app.go.set()
    assert await answer_body(peer, 8) == b"20000000"
    await asyncio.wait_for(writing, BOUND_S)
    peer[1].close()


async def _write_all(peer: Peer, data: bytes) -> None:
    peer[1].write(data)
    await peer[1].drain()


async def test_a_complete_request_may_take_as_long_as_it_likes(running: Running) -> None:
    peer = await running.connect()
    peer[1].write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(4 * Hasty.head_timeout_s)
    running.app.go.set()
    assert await answer_body(peer, 1) == b"0"
    # and the connection is kept for the next one, past the time for a head
    await asyncio.sleep(2 * Hasty.head_timeout_s)
    peer[1].write(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await answer_body(peer, 1) == b"0"
    # of which half is not enough
    peer[1].write(b"GET /ec")
    assert (await rest(peer)).startswith(b"HTTP/1.1 408 ")


async def test_blank_lines_do_not_hold_a_connection(running: Running) -> None:
    peer = await running.connect()
    peer[1].write(b"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await answer_body(peer, 1) == b"0"
    peer[1].write(b"\r\n")
    assert await rest(peer) == b""


async def test_a_websocket_outlives_the_time_for_a_head(running: Running) -> None:
    async with websockets.connect(f"ws://127.0.0.1:{running.port}/", compression=None) as ws:
        await asyncio.sleep(3 * Hasty.head_timeout_s)
        await ws.send(b"\x01" * 1920)
        assert await asyncio.wait_for(ws.recv(), BOUND_S) == b"\x01" * 1920
        assert ws.protocol.extensions == []


async def test_a_websocket_message_over_the_limit_closes_with_1009(running: Running) -> None:
    async with websockets.connect(f"ws://127.0.0.1:{running.port}/", compression=None) as ws:
        await ws.send(b"x" * (1024 * 1024 + 1))
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(ws.recv(), BOUND_S)
        assert ws.close_code == 1009


async def test_the_server_does_not_name_itself(running: Running) -> None:
    peer = await running.connect()
    peer[1].write(b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"server:" not in (await rest(peer)).lower()


async def test_a_reader_with_a_deadline_that_takes_nothing_is_cut(running: Running) -> None:
    _, writer = await running.connect()  # whose reader stops after a while, as nobody reads
    writer.write(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
    began = time.monotonic()
    await until(lambda: not running.server.server_state.connections, bound_s=10)
    assert time.monotonic() - began >= 0.3
    running.app.go.set()
    writer.close()


async def test_who_hangs_up_is_heard_without_reading(running: Running) -> None:
    peer = await running.connect()
    peer[1].write(b"GET /listening HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(running.app.waits.wait(), BOUND_S)
    assert not running.app.gone.is_set()
    peer[1].close()
    await asyncio.wait_for(running.app.gone.wait(), BOUND_S)


async def test_who_leaves_after_the_answer_did_not_hang_up(running: Running) -> None:
    running.app.go.set()
    peer = await running.connect()
    peer[1].write(b"GET /listening HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await answer_body(peer, 1) == b"0"
    peer[1].close()
    await until(lambda: not running.server.server_state.connections)
    assert not running.app.gone.is_set()


async def test_requests_sent_together_are_answered_in_turn(running: Running) -> None:
    peer = await running.connect()
    heads = [b"GET /slow", b"GET /early", b"GET /echo"]
    peer[1].write(b"".join(head + b" HTTP/1.1\r\nHost: x\r\n\r\n" for head in heads))
    await asyncio.wait_for(running.app.waits.wait(), BOUND_S)
    running.app.go.set()
    assert [await answer_body(peer, size) for size in (1, 2, 1)] == [b"0", b"no", b"0"]
    peer[1].close()


async def test_a_reader_who_pauses_gets_all_the_rest(running: Running) -> None:
    peer = await running.connect()
    peer[1].write(b"GET /patient HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    for _ in range(3):
        await asyncio.wait_for(peer[0].readexactly(1 << 20), BOUND_S)
    running.app.go.set()
    assert (await rest(peer)).endswith(b"0\r\n\r\n")


async def test_a_poll_ends_with_its_client(tmp_path: Path) -> None:
    listener = listen(Settings(port=0))
    settings = Settings(data_dir=tmp_path, port=listener.getsockname()[1])
    async with build(settings) as gateway:
        core = gateway.core
        await core.accounts.create("a@example.org", "correct horse battery", verified=True)
        owner = await core.accounts.find_by_email("a@example.org")
        assert owner is not None
        key = await core.accounts.create_key(owner.scope, "test")
        server = Server(gateway.app, drain=gateway.drain)
        serving = asyncio.create_task(server.serve([listener]))
        path = f"/api/inbox?wait=55&last_message_cursor={quote(await core.inbox.cursor(owner))}"
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key.value}\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", settings.port)
        writer.write(head.encode())
        hub = cast(MemoryHub, core.hub)
        await until(lambda: hub.subscribers == 1)
        writer.close()
        await until(lambda: hub.subscribers == 0)
        server.should_exit = True
        await asyncio.wait_for(serving, 10)


async def test_a_stop_drains_first_and_finishes_what_waits(running: Running) -> None:
    peer = await running.connect()
    peer[1].write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(running.app.waits.wait(), BOUND_S)
    running.server.should_exit = True
    assert (await rest(peer)).endswith(b"\r\n\r\n0")
    assert running.drained == 1


def test_a_taken_port_is_told_with_its_variable() -> None:
    with listen(Settings(host="127.0.0.1", port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"^CHAMADE_PORT: cannot listen on 127.0.0.1:{port} "):
            listen(Settings(host="127.0.0.1", port=port))


def test_a_host_that_does_not_resolve_is_told() -> None:
    with pytest.raises(SettingsError, match=r"^CHAMADE_HOST: cannot resolve"):
        listen(Settings(host="no-such-host.invalid", port=0))


def test_accepted_sockets_notice_a_dead_peer() -> None:
    with (
        listen(Settings(host="127.0.0.1", port=0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        timeout_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert timeout_ms == PEER_GONE_S * 1000
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
