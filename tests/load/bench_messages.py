"""Direct messages in and out against an empty Starlette JSON route: one run, a process each; and what one
costs as the store fills.

    .venv/bin/python tests/load/bench_messages.py [--most 1000000] [--core 3] [--connections 64]
        [--plot docs/img/messages.svg]

    inbound   a platform's webhook: JSON parsed, message and event committed, pushed; answered after that
    outbound  POST /api/dm/chat: key checked, message committed, sent on the platform, its state committed
    floor     the same webhook, where a thread commits a row for the message and one for the event by the bare
              driver, and nothing else is done

Both go to two hundred conversations in turn: those of one conversation wait for each other, to keep their
order. A rate is that of as many connections as `--connections`, for the empty route too: with 64 every server
has all that it can do, and the gateway commits together what comes together; with few a commit has few.

Goals: at least 0.3 of the empty route's rate; p99 under 50 ms at half of the own rate, inbound until the
event is at a reader of `GET /api/events`, outbound until it is answered; a cost that is flat from 1,000 to
1,000,000 stored messages. The platform is the scripted one, which answers at once: what is measured is the
gateway.
"""

import argparse
import asyncio
import itertools
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

sys.path.insert(0, str(Path(__file__).parents[2]))

from chamade_mcp.app.collector import settle
from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.kit.registry import Registry
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from tests.load.callers import Caller, Target, flood
from tests.load.messages_floor import floor_app
from tests.load.messages_plot import draw

EMAIL = "bench@example.org"
CONVERSATIONS = 200
PACED_CONNECTIONS = 64
SIZES = (1_000, 10_000, 100_000, 1_000_000)
PACED_S = 5.0
ROUNDS = 15
_SENT = re.compile(rb"sent at (\d+\.\d+)")


async def nothing_to_drain() -> None:
    return None


async def serve_floor(data_dir: Path) -> None:
    listener, app = listen(Settings(port=0)), floor_app(data_dir, CONVERSATIONS)
    settle()
    print(listener.getsockname()[1], "-", flush=True)
    await Server(app, drain=nothing_to_drain).serve([listener])


async def serve_baseline() -> None:
    async def empty(request: Request) -> JSONResponse:
        del request
        return JSONResponse({})

    listener = listen(Settings(port=0))
    settle()
    print(listener.getsockname()[1], "-", flush=True)
    app = Starlette(routes=[Route("/{path:path}", empty, methods=["POST"])])
    await Server(app, drain=nothing_to_drain).serve([listener])


async def serve_gateway(data_dir: Path) -> None:
    listener, platform = listen(Settings(port=0)), ScriptedConnector()
    settings = Settings(data_dir=data_dir, port=listener.getsockname()[1])
    registry = Registry({SCRIPTED: platform.manifest}, {SCRIPTED: platform})
    async with build(settings, registry=registry) as gateway:
        accounts = gateway.core.accounts
        owner = await accounts.find_by_email(EMAIL)
        if owner is None:
            await accounts.create(EMAIL, "a password to measure", verified=True)
            owner = await accounts.find_by_email(EMAIL)
            assert owner is not None
            for number in range(CONVERSATIONS):
                await platform.write(owner.scope, "hello", conversation=f"person-{number}")
        scope, key = owner.scope, await accounts.create_key(owner.scope, "bench")

        async def hook(request: Request) -> JSONResponse:
            said = json.loads(await request.body())
            await platform.write(scope, said["text"], conversation=said["from"], ref=said["id"])
            return JSONResponse({})

        hooks = Starlette(routes=[Route("/hook", hook, methods=["POST"])])

        async def app(asgi: Scope, receive: Receive, send: Send) -> None:
            await (hooks if asgi["path"] == "/hook" else gateway.app)(asgi, receive, send)

        settle()  # as `chamade serve` does
        print(listener.getsockname()[1], key.value, flush=True)
        await Server(app, drain=gateway.drain).serve([listener])


def fill(database: Path, most: int) -> None:
    """As many stored messages and events as that: copies of the first, each in its place, and counted."""
    with sqlite3.connect(database) as db:
        for table, counter in (("messages", "message_seq"), ("events", "event_seq")):
            columns: list[str] = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            new = {"seq": "n", "id": "'msg_' || n", "ref": "'ref_' || n", "before_seq": "NULL"}
            chosen = ", ".join(new.get(column, column) for column in columns)
            last: int = db.execute(f"SELECT max(seq) FROM {table}").fetchone()[0]
            db.execute(
                "WITH RECURSIVE numbers(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
                f"INSERT INTO {table} SELECT {chosen} "
                f"FROM numbers, (SELECT * FROM {table} ORDER BY seq LIMIT 1)",
                [last + 1, max(last + 1, most)],
            )
            db.execute(f"UPDATE accounts SET {counter} = (SELECT max(seq) FROM {table})")
        # Else the usage of all of them would be counted meanwhile.
        db.execute("UPDATE accounts SET usage_seq = message_seq")


async def pace(target: Target, rate: float) -> None:
    """Requests at a rate of their own, whatever the answers take; all are answered."""
    loop, idle = asyncio.get_running_loop(), asyncio.LifoQueue[Caller]()
    callers = [
        (await loop.create_connection(lambda: Caller(target, idle.put_nowait), "127.0.0.1", target.port))[1]
        for _ in range(PACED_CONNECTIONS)
    ]
    began = loop.time()
    for number in range(int(rate * PACED_S)):
        await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
        (await idle.get()).ask()
    async with asyncio.timeout(30):
        for _ in callers:
            (await idle.get()).close()


async def read_at(target: Target, key: str, rate: float) -> list[float]:
    """Messages in at that rate: how long each was on its way to a reader of `GET /api/events`, in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=1 << 20)
    writer.write(f"GET /api/events HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {key}\r\n\r\n".encode())
    await reader.readuntil(b"ready")
    reading = asyncio.create_task(_arrivals(reader, int(rate * PACED_S)))
    await pace(target, rate)
    async with asyncio.timeout(30):
        waits = await reading
    writer.close()
    return waits


async def _arrivals(reader: asyncio.StreamReader, count: int) -> list[float]:
    waits: list[float] = []
    while len(waits) < count:
        line = await reader.readline()
        waits += [time.perf_counter() - float(sent) for sent in _SENT.findall(line)]
    return waits


def _inbound(port: int) -> Callable[[], bytes]:
    numbers = itertools.count()

    def request() -> bytes:
        number = next(numbers)
        said = {
            "id": f"{os.getpid()}-{port}-{number}",
            "from": f"person-{number % CONVERSATIONS}",
            "text": f"sent at {time.perf_counter():.6f}",
        }
        return _post("/hook", port, "", said)

    return request


def _outbound(port: int, key: str, conversations: Sequence[str]) -> Callable[[], bytes]:
    answers = itertools.cycle(
        _post(
            "/api/dm/chat",
            port,
            key,
            {"platform": str(SCRIPTED), "conversation_id": one, "text": "a short answer"},
        )
        for one in conversations
    )
    return lambda: next(answers)


def _conversations(port: int, key: str) -> list[str]:
    found: list[str] = []
    while len(found) < CONVERSATIONS:
        page = f"http://127.0.0.1:{port}/api/inbox?offset={len(found)}"
        with urllib.request.urlopen(urllib.request.Request(page, headers={"x-api-key": key})) as answer:
            found += [one["conversation_id"] for one in json.load(answer)["conversations"]]
    return found


def _post(path: str, port: int, key: str, body: object) -> bytes:
    raw = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


@contextmanager
def running(name: str, core: int | None, *arguments: str) -> Generator[tuple[int, int, str]]:
    """Port, process and key of a server; on that core alone, if there is one."""
    command = [sys.executable, __file__, "--serve", name, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            port, key = process.stdout.readline().split()
            yield int(port), process.pid, key
        finally:
            process.terminate()


@dataclass
class Store:
    """A gateway with so many messages in it."""

    stored: int
    key: str
    inbound: Target
    outbound: Target


class Waits(NamedTuple):
    """In seconds, at half of the own rate."""

    read: list[float]
    """Inbound, until a reader of events has it."""
    answered: list[float]
    """Outbound, until it is answered."""


@contextmanager
def gateway(folder: Path, stored: int, core: int | None) -> Generator[Store]:
    arguments = ("--data-dir", str(folder))
    with running("gateway", core, *arguments):
        pass  # makes the account and the store
    fill(folder / "chamade.db", stored)
    with running("gateway", core, *arguments) as (port, pid, key):
        people = _conversations(port, key)
        inbound = Target("inbound", port, pid, _inbound(port))
        yield Store(stored, key, inbound, Target("outbound", port, pid, _outbound(port, key, people)))


async def measure(
    bare: Sequence[Target], stores: Sequence[Store], seconds: float, connections: int
) -> list[Waits]:
    """All of them in turns, and the first of `bare` before each, so that a machine which becomes slower does
    so for all; then how long is waited at each store."""
    empty, *others = [*bare, *(target for store in stores for target in (store.inbound, store.outbound))]
    for target in (empty, *others):
        await flood(target, 0.5, connections)
        target.rates.clear()
        target.cpu_us.clear()
    for _ in range(ROUNDS):
        for target in others:
            await flood(empty, seconds, connections)
            await flood(target, seconds, connections)
            target.ratios.append(target.rates[-1] / empty.rates[-1])
    return [await _at_half(store, seconds, connections) for store in stores]


async def _at_half(store: Store, seconds: float, connections: int) -> Waits:
    """At half of the rates that the machine has just then."""
    inbound, outbound = (replace(one, rates=[], cpu_us=[]) for one in (store.inbound, store.outbound))
    await flood(inbound, 3 * seconds, connections)
    read = await read_at(inbound, store.key, inbound.rates[0] / 2)
    await flood(outbound, 3 * seconds, connections)
    outbound.waits_s = []
    await pace(outbound, outbound.rates[0] / 2)
    return Waits(read, outbound.waits_s)


def run(
    folder: Path, most: int, seconds: float, core: int | None, connections: int
) -> list[dict[str, float]]:
    with ExitStack() as servers:
        stores: list[Store] = []
        for stored in (size for size in SIZES if size <= most):
            place = folder / str(stored)
            stores.append(servers.enter_context(gateway(place, stored, core)))
        port, pid, _ = servers.enter_context(running("baseline", core))
        bare = [Target("empty route", port, pid, _outbound(port, "", ["conv_of_nobody"]))]
        port, pid, _ = servers.enter_context(running("floor", core, "--data-dir", str(folder)))
        bare.append(Target("floor", port, pid, _inbound(port)))
        waits = uvloop.run(measure(bare, stores, seconds, connections))
    _show(bare)
    return [_point(store, each) for store, each in zip(stores, waits, strict=True)]


def _point(store: Store, waits: Waits) -> dict[str, float]:
    print(f"{store.stored:>9,} stored messages")
    _show([store.inbound, store.outbound])
    for what, some in (
        ("inbound, to a reader of events", waits.read),
        ("outbound, to its answer", waits.answered),
    ):
        p50, p99 = statistics.median(some) * 1000, statistics.quantiles(some, n=100)[98] * 1000
        print(f"  at half the rate {what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    inbound, outbound = statistics.median(store.inbound.cpu_us), statistics.median(store.outbound.cpu_us)
    return {"stored": store.stored, "inbound": inbound, "outbound": outbound}


def _show(targets: Sequence[Target]) -> None:
    for target in targets:
        rate, cost_us = statistics.median(target.rates), statistics.median(target.cpu_us)
        line = f"  {target.name:>12}: {rate:8,.0f}/s, {cost_us:6.1f} us of processor each"
        if target.ratios:
            low, middle, high = statistics.quantiles(target.ratios)
            line += f", {middle:.2f} of the empty route ({low:.2f} to {high:.2f})"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--serve", choices=["baseline", "floor", "gateway"], help=argparse.SUPPRESS)
    parser.add_argument("--data-dir", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=0.35)
    parser.add_argument("--core", type=int, help="for the servers; those that ask them run anywhere")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.serve == "baseline":
        uvloop.run(serve_baseline())
    elif options.serve == "floor":
        uvloop.run(serve_floor(options.data_dir))
    elif options.serve == "gateway":
        uvloop.run(serve_gateway(options.data_dir))
    else:
        with tempfile.TemporaryDirectory() as folder:
            points = run(Path(folder), options.most, options.seconds, options.core, options.connections)
        if options.plot is not None:
            options.plot.write_text(draw(points))


if __name__ == "__main__":
    main()
