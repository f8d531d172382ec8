"""Connectors: their webhooks against an empty Starlette JSON route behind the same server, and what a hundred
bots of people's own weigh.

    .venv/bin/python tests/load/bench_connectors.py [--messages 3000] [--bots 101] [--only telegram]
        [--core 3]

A webhook is signed as its platform signs, ahead of time, and bears one message of one of fifty people. It
counts from the first request until the last message is committed; Nextcloud's says only that there is
something to read, and what the gateway then reads is part of it. The empty route is sent the same requests.
The goal is at least 0.25 of its rate. Two ratios are printed: by the clock, and by the server's own processor
time, which a busy machine disturbs less.

The bots ask for themselves: Telegram's and Nextcloud's by polling, Slack's and Discord's over a socket; those
of Teams wait to be called. An account has one of each. The goals: a hundred of them take less than 250 MB,
and the 101st costs no more than the 2nd.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

sys.path.insert(0, str(Path(__file__).parents[2]))

from chamade_mcp.app.collector import settle
from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from chamade_mcp.model.ids import Platform
from tests.load.bench_start import rss_mb
from tests.load.callers import Caller, Target
from tests.load.connector_rows import ASKING, CALLED, CONNECTED, Called, Row, Say
from tests.support.server import serve

CONNECTIONS = 40
"""So many Telegram opens unless it is told otherwise."""
ROUNDS = 5
GIVE_UP_S = 60.0
SETTLED_S = 3.0
SAMPLE = 20
"""So many bots, four of each platform, stand for the 2nd, and as many for the last."""


async def serve_baseline() -> None:
    async def empty(request: Request) -> JSONResponse:
        del request
        return JSONResponse({})

    async def nothing_to_drain() -> None:
        return None

    listener = listen(Settings(port=0))
    print(listener.getsockname()[1], "[]", flush=True)
    app = Starlette(routes=[Route("/{path:path}", empty, methods=["POST"])])
    await Server(app, drain=nothing_to_drain).serve([listener])


async def serve_gateway(
    data_dir: Path, platforms: Mapping[Platform, Mapping[str, str]], accounts: int
) -> None:
    listener = listen(Settings(port=0))
    port = listener.getsockname()[1]
    settings = Settings(data_dir=data_dir, port=port, platforms=platforms, reply_timeout_s=3600)
    async with build(settings) as gateway:
        keys: list[str] = []
        for number in range(accounts):
            email = f"bench{number}@example.org"
            await gateway.core.accounts.create(email, "a password to measure", verified=True)
            owner = await gateway.core.accounts.find_by_email(email)
            assert owner is not None
            keys.append((await gateway.core.accounts.create_key(owner.scope, "bench")).value)
        settle()  # as `chamade serve` does
        print(port, json.dumps(keys, separators=(",", ":")), flush=True)
        await Server(gateway.app, drain=gateway.drain).serve([listener])


@dataclass(frozen=True, slots=True)
class Process:
    port: int
    pid: int
    keys: Sequence[str]
    database: Path

    def cpu_s(self) -> float:
        """Of all its threads, in nanoseconds' steps."""
        return (
            sum(int(one.read_text().split()[0]) for one in Path(f"/proc/{self.pid}/task").glob("*/schedstat"))
            / 1e9
        )

    def stored(self) -> int:
        """Messages that are committed."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM messages").fetchone()[0]

    @asynccontextmanager
    async def api(self, account: int = 0) -> AsyncGenerator[httpx2.AsyncClient]:
        headers = {"x-api-key": self.keys[account]}
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30
        ) as api:
            yield api


@contextmanager
def running(
    name: str,
    folder: Path,
    platforms: Mapping[str, Mapping[str, str]],
    accounts: int = 1,
    core: int | None = None,
) -> Generator[Process]:
    """A server; on that core alone, if there is one."""
    told = ["--data-dir", str(folder), "--platforms", json.dumps(platforms), "--accounts", str(accounts)]
    with subprocess.Popen(
        [sys.executable, __file__, "--serve", name, *told], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            port, keys = process.stdout.readline().split()
            yield Process(int(port), process.pid, json.loads(keys), folder / "chamade.db")
        finally:
            process.terminate()


@asynccontextmanager
async def emulated(rows: Sequence[Row]) -> AsyncGenerator[dict[str, Mapping[str, str]]]:
    """What who runs the gateway sets."""
    async with AsyncExitStack() as stack:
        platforms: dict[str, Mapping[str, str]] = {}
        for row in rows:

            @asynccontextmanager
            async def app(url: str, row: Row = row) -> AsyncGenerator[ASGIApp]:
                platforms[row.platform] = row.settings(url)
                async with row.running():
                    yield row.app

            await stack.enter_async_context(serve(app))
        yield platforms


async def connect(api: httpx2.AsyncClient, bot: Mapping[str, Any]) -> str:
    """The connection's id, once its link is up."""
    made = await api.post("/api/bot-tokens", json={**bot, "access": "open"})
    assert made.status_code == 200, made.text
    connection: str = made.json()["id"]
    async with asyncio.timeout(GIVE_UP_S):
        while (await api.get(f"/api/connections/{connection}")).json()["status"] != "ok":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return connection


# --- webhooks ----------------------------------------------------------------------------------------------


@dataclass
class Measured:
    name: str
    rates: list[float] = field(default_factory=list[float])
    cpu_us: list[float] = field(default_factory=list[float])

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def cost_us(self) -> float:
        return statistics.median(self.cpu_us)


async def burst(process: Process, say: Say, count: int, measured: Measured, *, stores: bool) -> None:
    """All of it as fast as it goes, until what it says is committed."""
    left, idle, done = count, 0, asyncio.Event()

    def go_on(caller: Caller) -> None:
        nonlocal left, idle
        if left:
            left -= 1
            caller.ask()
            return
        caller.close()
        idle += 1
        if idle == CONNECTIONS:
            done.set()

    loop, before = asyncio.get_running_loop(), process.stored() if stores else 0
    target = Target(measured.name, process.port, process.pid, say)
    cpu, began = process.cpu_s(), time.perf_counter()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Caller(target, go_on), "127.0.0.1", process.port)
    async with asyncio.timeout(GIVE_UP_S):
        await done.wait()
        while stores and process.stored() < before + count:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.005)
    measured.rates.append(count / (time.perf_counter() - began))
    measured.cpu_us.append((process.cpu_s() - cpu) / count * 1e6)


async def webhooks(folder: Path, names: Sequence[str], messages: int, core: int | None) -> None:
    rows = [CALLED[name]() for name in names]
    async with emulated(rows) as platforms:
        with (
            running("baseline", folder, {}, core=core) as bare,
            running("gateway", folder, platforms, core=core) as gateway,
        ):
            for number, row in enumerate(rows):
                await webhook(bare, gateway, row, number, messages)


async def webhook(bare: Process, gateway: Process, row: Called, number: int, messages: int) -> None:
    bot = row.bot(number, called=True)
    async with gateway.api() as api:
        connection = await connect(api, bot)
    empty, ours = Measured("empty route"), Measured(row.platform)
    for each in range(ROUNDS + 1):
        say = row.says(bot, connection, bare.port, messages)
        await burst(bare, say, messages, empty, stores=False)
        say = row.says(bot, connection, gateway.port, messages)
        await burst(gateway, say, messages, ours, stores=True)
        if not each:  # everybody has a conversation now
            for measured in (empty, ours):
                measured.rates.clear()
                measured.cpu_us.clear()
    print(
        f"{row.platform:>9}: {ours.rate:7,.0f}/s, {ours.cost_us:6.1f} us of processor each;"
        f" empty route {empty.rate:7,.0f}/s, {empty.cost_us:5.1f} us;"
        f" ratio {ours.rate / empty.rate:.2f},"
        f" {empty.cost_us / ours.cost_us:.2f} by processor time (goal 0.25)",
        flush=True,
    )


# --- bots --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_ms: float
    """With what the others did meanwhile."""
    wall_ms: float
    mb: float


async def bots(folder: Path, count: int) -> None:
    rows = [make() for make in CONNECTED.values()]
    asks, accounts = [name in ASKING for name in CONNECTED], -(-count // len(rows))
    async with emulated(rows) as platforms:
        with running("gateway", folder, platforms, accounts) as gateway:
            await asyncio.sleep(SETTLED_S)
            idle_mb, costs = rss_mb(gateway.pid), list[Cost]()
            for number in range(count):
                account, which = divmod(number, len(rows))
                async with gateway.api(account) as api:
                    costs.append(
                        await one_more(gateway, api, rows[which].bot(number, called=not asks[which]))
                    )
            await asyncio.sleep(SETTLED_S)
            cpu = gateway.cpu_s()
            await asyncio.sleep(SETTLED_S)
            share = (gateway.cpu_s() - cpu) / SETTLED_S
            beyond = rss_mb(gateway.pid) - idle_mb
    print(
        f"{count} bots: {beyond:.0f} MB beyond the idle {idle_mb:.0f} (goal 250);"
        f" {share:.1%} of a core while nobody writes"
    )
    for name, found, others in (("2nd", costs[1 : 1 + SAMPLE], 0.0), ("last", costs[-SAMPLE:], share)):
        print(
            f"  about the {name}: {statistics.median(c.cpu_ms - others * c.wall_ms for c in found):.1f} ms of"
            f" processor, {statistics.median(c.wall_ms for c in found):.0f} ms until it is up,"
            f" {statistics.mean(c.mb for c in found) * 1024:.0f} kB"
        )


async def one_more(gateway: Process, api: httpx2.AsyncClient, bot: Mapping[str, Any]) -> Cost:
    mb, cpu, began = rss_mb(gateway.pid), gateway.cpu_s(), time.perf_counter()
    await connect(api, bot)
    return Cost(
        (gateway.cpu_s() - cpu) * 1000, (time.perf_counter() - began) * 1000, rss_mb(gateway.pid) - mb
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--serve", choices=["baseline", "gateway"], help=argparse.SUPPRESS)
    parser.add_argument("--data-dir", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--platforms", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--accounts", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--bots", type=int, default=101)
    parser.add_argument("--core", type=int, help="for the servers of webhooks; the emulators run anywhere")
    parser.add_argument("--only", choices=[*CALLED, "bots"])
    options = parser.parse_args()
    if options.serve == "baseline":
        uvloop.run(serve_baseline())
    elif options.serve == "gateway":
        uvloop.run(serve_gateway(options.data_dir, options.platforms, options.accounts))
    else:
        chosen = [name for name in CALLED if options.only in (None, name)]
        with tempfile.TemporaryDirectory() as folder:
            uvloop.run(webhooks(Path(folder), chosen, options.messages, options.core))
        if options.only in (None, "bots"):
            with tempfile.TemporaryDirectory() as folder:
                uvloop.run(bots(Path(folder), options.bots))


if __name__ == "__main__":
    main()
