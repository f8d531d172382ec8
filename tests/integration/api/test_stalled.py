"""A reader of the event stream that stops reading, as a laptop that sleeps does, and wakes up again."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import pytest

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.sessions.streams import WRITE_DEADLINE_S
from tests.integration.api.conftest import House
from tests.support.waiting import until

EVENTS, READ_FIRST = 200, 10
PADDING = "x" * 60_000
"""All of it is more than the buffers of the system take for a reader that does not read."""
BOUND_S, LATE_S = 30.0, 10.0
_EVENT = re.compile(rb"^id: (\d+)\ndata: (.*)", re.M)


@dataclass
class Running:
    server: Server
    port: int


@pytest.fixture
async def running(house: House) -> AsyncGenerator[Running]:
    listener = listen(Settings(host="127.0.0.1", port=0))
    server = Server(house.gateway.app, drain=house.gateway.drain)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield Running(server, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, BOUND_S)


@dataclass
class Reader:
    """On a bare socket with a small buffer: what is not asked for stays with the server."""

    peer: socket.socket
    last_id: int = 0
    texts: list[str] = field(default_factory=list[str])
    """Of the events that came whole."""
    _rest: bytes = b""

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int, key: str, last_id: int = 0) -> AsyncGenerator[Self]:
        loop = asyncio.get_running_loop()
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            peer.setblocking(False)
            await loop.sock_connect(peer, ("127.0.0.1", port))
            head = f"GET /api/events HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {key}\r\n"
            head += f"last-event-id: {last_id}\r\n\r\n"
            await loop.sock_sendall(peer, head.encode())
            yield cls(peer)

    async def read(self, to_id: int) -> None:
        """Up to that event, or to the end of the connection."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(BOUND_S):
            while self.last_id < to_id:
                try:
                    piece = await loop.sock_recv(self.peer, 1 << 20)
                except ConnectionResetError:
                    return
                if not piece:
                    return
                self._take(self._rest + piece)

    def _take(self, received: bytes) -> None:
        *whole, self._rest = received.split(b"\n\n")
        for frame in whole:
            found = _EVENT.search(frame)
            if found is not None:
                self.last_id = int(found[1])
                event = json.loads(found[2])
                if event["type"] == "dm_chat":
                    self.texts.append(event["text"])


async def test_a_reader_that_stalls_is_cut_after_its_budget_and_resumes_without_a_gap(
    house: House, running: Running
) -> None:
    connections = running.server.server_state.connections
    wanted = [f"{number}{PADDING}" for number in range(1, EVENTS + 1)]
    async with (
        Reader.open(running.port, house.key) as stalled,
        Reader.open(running.port, house.key) as awake,
    ):
        await until(lambda: len(connections) == 2)
        reading = asyncio.create_task(awake.read(EVENTS))
        for number, text in enumerate(wanted, 1):
            await house.scripted.write(house.owner.scope, text)
            if number <= READ_FIRST:
                await stalled.read(number)
        began = time.monotonic()
        await reading
        assert awake.texts == wanted, "who reads on is not held up"
        await until(lambda: len(connections) == 1, bound_s=BOUND_S)
        assert time.monotonic() - began < WRITE_DEADLINE_S + LATE_S
        await stalled.read(EVENTS)
        assert READ_FIRST <= stalled.last_id < EVENTS
        async with Reader.open(running.port, house.key, last_id=stalled.last_id) as back:
            await back.read(EVENTS)
            assert stalled.texts + back.texts == wanted
