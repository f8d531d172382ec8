"""Push sessions: how fast an event reaches its client, what a session weighs, how long opening one takes.

    .venv/bin/python tests/load/bench_push.py [--sessions 1000] [--rate 200] [--seconds 10] [--elsewhere]

`--sessions` streams are open on a server of its own; events are published there, spread over the accounts,
at `--rate` a second; with `--elsewhere` by a process of its own on the same store, as a gateway does for its
workers. Goals: p99 under 50 ms from publishing to the client's socket, under 60 kB a session
(the SDK's stateful server: 82 to 97), pauses of the collector under 10 ms, a session opened in under 5 ms.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

sys.path.insert(0, str(Path(__file__).parents[2]))

from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.model.events import Event, EventType
from chamade_mcp.model.ids import AccountId, AgentId
from chamade_mcp.oauth.resource import ProtectedResource
from chamade_mcp.sessions.edge import LOOPBACK_HOSTS, LOOPBACK_ORIGINS, Edge
from chamade_mcp.store.database import Database
from tests.load.bench_mcp import Echo
from tests.support.mcp_house import McpHouse, mcp_house
from tests.support.push_client import INITIALIZE, headers
from tests.support.waiting import until

PER_ACCOUNT = 10
IDLE_S = 5.0
Publish = Callable[[float, float], Coroutine[Any, Any, None]]


def resident_kb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1000


class Pauses:
    """How long the collector has held up everything, by itself."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        """Since it was last told."""
        self.asked = False
        self._began = 0.0
        gc.callbacks.append(self._heard)

    def collect(self) -> None:
        """Asked for by the bench, which does not count."""
        self.asked = True
        gc.collect()
        self.asked = False

    def _heard(self, phase: str, info: dict[str, int]) -> None:
        del info
        if phase == "start":
            self._began = time.perf_counter()
        elif not self.asked:
            self.longest_s = max(self.longest_s, time.perf_counter() - self._began)


class Server:
    """The transport, and two switches: ``/publish`` begins, ``/weight`` tells the memory in use."""

    def __init__(self, house: McpHouse, publish: Publish) -> None:
        self._house = house
        self._publish = publish
        self._publishing: asyncio.Task[None] | None = None
        self.pauses = Pauses()
        self._mcp = Edge(
            ProtectedResource(house.sessions.endpoint(Echo()), house.authenticate),
            allowed_hosts=LOOPBACK_HOSTS,
            allowed_origins=LOOPBACK_ORIGINS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/mcp"):
            await self._mcp(scope, receive, send)
            return
        if scope["path"] == "/publish":
            rate, seconds = map(float, scope["query_string"].decode().split(","))
            self._publishing = asyncio.create_task(self._publish(rate, seconds))
        self.pauses.collect()
        told = {
            "kb": resident_kb(),
            "cpu_s": time.process_time(),
            "streams": self._house.sessions.streams,
            "longest_s": self.pauses.longest_s,
        }
        self.pauses.longest_s = 0.0
        body = json.dumps(told).encode()
        fields = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})


async def publish(hub: MemoryHub, accounts: int, rate: float, seconds: float) -> None:
    begin = time.monotonic()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        account, agent = (f"{kind}_k{number % accounts}" for kind in ("acct", "agent"))
        payload = {"type": "dm_chat", "platform": "web", "text": "hello", "at": time.time()}
        await hub.publish(Event(AccountId(account), AgentId(agent), EventType.DM_CHAT, payload))


async def publish_elsewhere(path: Path, accounts: int, rate: float, seconds: float) -> None:
    """By a process that nobody is connected to."""
    options = (str(path), str(accounts), str(rate), str(seconds))
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, "--publish", *options)
    assert await process.wait() == 0


async def publish_alone(path: Path, accounts: int, rate: float, seconds: float) -> None:
    database = Database(path)
    await publish(MemoryHub(database, SystemClock()), accounts, rate, seconds)
    database.close()


async def serve(accounts: int, *, elsewhere: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chamade.db"
        async with mcp_house(path, retry_ms=1000, follows=elsewhere) as house:
            for number in range(accounts):
                await house.admit(f"k{number}")
            by = partial(publish_elsewhere, path) if elsewhere else partial(publish, house.hub)
            listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
            server = Server(house, partial(by, accounts))
            config = uvicorn.Config(
                server,
                http="httptools",
                ws="none",
                lifespan="off",
                log_level="warning",
            )
            config.access_log = False
            server.pauses.collect()
            gc.freeze()
            print(listener.getsockname()[1], flush=True)
            await uvicorn.Server(config).serve([listener])


@asynccontextmanager
async def connection(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def exchange(port: int, head: str, body: bytes = b"") -> tuple[str, bytes]:
    async with connection(port) as (reader, writer):
        writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        answer = await reader.read()
    top, _, rest = answer.partition(b"\r\n\r\n")
    return top.decode(), rest


def request(method: str, path: str, port: int, **fields: str) -> str:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\nhost: localhost:{port}\r\n{lines}"


async def open_session(port: int, key: str) -> tuple[str, float]:
    fields = {name.replace("-", "_"): value for name, value in headers(key).items()}
    began = time.perf_counter()
    top, _ = await exchange(
        port, request("POST", "/mcp/?stateful", port, **fields), json.dumps(INITIALIZE).encode()
    )
    took = time.perf_counter() - began
    session = next(line for line in top.split("\r\n") if line.startswith("mcp-session-id: "))
    return session.partition(": ")[2], took


async def listen(port: int, key: str, session: str, opened: asyncio.Semaphore, late: list[float]) -> None:
    fields = {name.replace("-", "_"): value for name, value in headers(key, session).items()}
    async with connection(port) as (reader, writer):
        writer.write((request("GET", "/mcp/", port, **fields) + "\r\n").encode())
        while line := await reader.readline():
            if line.startswith(b"retry: "):
                opened.release()
            elif line.startswith(b"data: {"):
                sent = json.loads(json.loads(line[6:])["params"]["content"])["at"]
                late.append(time.time() - sent)


async def weight(port: int, query: str = "/weight") -> dict[str, float]:
    return json.loads((await exchange(port, request("GET", query, port)))[1])


async def measure(port: int, sessions: int, rate: float, seconds: float) -> None:
    took: list[float] = []
    keys = [f"k{number // PER_ACCOUNT}" for number in range(sessions)]
    found: list[str] = []
    for key in keys:
        session, needed = await open_session(port, key)
        found.append(session)
        took.append(needed)
    before = await weight(port)
    opened, late = asyncio.Semaphore(0), list[float]()
    listening = [
        asyncio.create_task(listen(port, key, session, opened, late))
        for key, session in zip(keys, found, strict=True)
    ]
    for _ in range(sessions):
        await opened.acquire()
    after = await weight(port)
    await asyncio.sleep(IDLE_S)
    idle = await weight(port)
    expected = int(rate * seconds) * min(PER_ACCOUNT, sessions)
    await weight(port, f"/publish?{rate},{seconds}")
    await until(lambda: len(late) >= expected, bound_s=seconds * 3 + 10)
    end = await weight(port)
    for task in listening:
        task.cancel()
    cuts = statistics.quantiles(late, n=100)
    print(f"{sessions} sessions, {PER_ACCOUNT} an account, {rate:g} events/s, {len(late)} deliveries")
    print(f"event to client   p50 {cuts[49] * 1000:6.1f} ms   p99 {cuts[98] * 1000:6.1f} ms")
    print(f"memory            {(after['kb'] - before['kb']) / sessions:6.1f} kB a session with its stream")
    cpu = (idle["cpu_s"] - after["cpu_s"]) / IDLE_S
    print(f"idle              {cpu * 100:6.2f} % of a core, all streams open")
    opening_ms, pushing_ms = (
        max(s["longest_s"] for s in some) * 1000 for some in ((before, after), (idle, end))
    )
    print(f"collector         {pushing_ms:6.1f} ms at most, {opening_ms:.1f} while the streams are opened")
    open_ms = statistics.quantiles(took, n=100)
    print(f"opening           p50 {open_ms[49] * 1000:6.1f} ms   p99 {open_ms[98] * 1000:6.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--elsewhere", action="store_true", help="events come from another process")
    parser.add_argument("--publish", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.serve:
        uvloop.run(serve(options.serve, elsewhere=options.elsewhere))
        return
    if options.publish:
        path, accounts, rate, seconds = options.publish
        asyncio.run(publish_alone(Path(path), int(accounts), float(rate), float(seconds)))
        return
    accounts = max(1, options.sessions // PER_ACCOUNT)
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(accounts), *(["--elsewhere"] if options.elsewhere else [])],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        asyncio.run(measure(port, options.sessions, options.rate, options.seconds))
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
