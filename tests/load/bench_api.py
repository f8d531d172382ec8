"""`GET /api/account` against an empty Starlette JSON route behind the same server: one run, two processes.

    .venv/bin/python tests/load/bench_api.py [--seconds 2] [--connections 16] [--path /api/account]

Rounds alternate between the two; medians. Two ratios are printed: requests per second as a client sees them,
and the server's own processor time per request, which a busy machine and a slow client disturb less. The goal
is at least 0.4 of both.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build

ROUNDS = 5
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.I)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


async def serve_baseline() -> None:
    async def empty(request: Request) -> JSONResponse:
        del request
        return JSONResponse({})

    async def nothing_to_drain() -> None:
        return None

    listener = listen(Settings(port=0))
    print(listener.getsockname()[1], "-", flush=True)
    await Server(Starlette(routes=[Route("/", empty)]), drain=nothing_to_drain).serve([listener])


async def serve_gateway(data_dir: Path) -> None:
    listener = listen(Settings(port=0))
    port = listener.getsockname()[1]
    async with build(Settings(data_dir=data_dir, port=port)) as gateway:
        await gateway.core.accounts.create("bench@example.org", "a password to measure", verified=True)
        owner = await gateway.core.accounts.find_by_email("bench@example.org")
        assert owner is not None
        key = await gateway.core.accounts.create_key(owner.scope, "bench")
        print(port, key.value, flush=True)
        await Server(gateway.app, drain=gateway.drain).serve([listener])


@dataclass
class Target:
    name: str
    port: int
    pid: int
    request: bytes
    rates: list[float] = field(default_factory=list[float])
    cpu_us: list[float] = field(default_factory=list[float])
    waits_us: list[float] = field(default_factory=list[float])

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


class Caller(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, waits_us: list[float]) -> None:
        self.answered = 0
        self.stopped = False
        self._request = request
        self._waits_us = waits_us
        self._buffer = bytearray()
        self._asked_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        assert length is not None, "an answer without a length"
        if len(self._buffer) < head + 4 + int(length[1]):
            return
        assert self._buffer.startswith(b"HTTP/1.1 200"), bytes(self._buffer)
        self._waits_us.append((time.perf_counter() - self._asked_at) * 1e6)
        self._buffer.clear()
        self.answered += 1
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        if self.stopped:
            self._transport.close()
            return
        self._asked_at = time.perf_counter()
        self._transport.write(self._request)


async def load(target: Target, connections: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    callers: list[Caller] = []
    cpu, started = target.cpu_s(), time.perf_counter()
    for _ in range(connections):
        _, caller = await loop.create_connection(
            lambda: Caller(target.request, target.waits_us), "127.0.0.1", target.port
        )
        callers.append(caller)
    await asyncio.sleep(seconds)
    answered, spent = sum(c.answered for c in callers), time.perf_counter() - started
    target.rates.append(answered / spent)
    target.cpu_us.append((target.cpu_s() - cpu) / answered * 1e6)
    for caller in callers:
        caller.stopped = True
    await asyncio.sleep(0.05)


@contextmanager
def running(name: str, path: str, *arguments: str) -> Generator[Target]:
    command = [sys.executable, __file__, "--serve", name, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port, key = process.stdout.readline().split()
            request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n\r\n"
            yield Target(name, int(port), process.pid, request.encode())
        finally:
            process.terminate()


async def measure(targets: list[Target], connections: int, seconds: float) -> None:
    for target in targets:
        await load(target, connections, 0.5)
        target.rates.clear()
        target.cpu_us.clear()
        target.waits_us.clear()
    for _ in range(ROUNDS):
        for target in targets:
            await load(target, connections, seconds)


def report(baseline: Target, gateway: Target) -> None:
    for target in (baseline, gateway):
        waits = statistics.quantiles(target.waits_us, n=100)
        print(
            f"{target.name:>9}: {statistics.median(target.rates):8,.0f} requests/s, "
            f"{statistics.median(target.cpu_us):6.1f} us of processor each, "
            f"p50 {waits[49]:,.0f} us, p99 {waits[98]:,.0f} us"
        )
    rate = statistics.median(gateway.rates) / statistics.median(baseline.rates)
    cpu = statistics.median(baseline.cpu_us) / statistics.median(gateway.cpu_us)
    print(f"    ratio: {rate:.2f} of the requests per second, {cpu:.2f} by processor time (goal 0.4)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--serve", choices=["baseline", "gateway"], help=argparse.SUPPRESS)
    parser.add_argument("--data-dir", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--path", default="/api/account")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    if options.serve == "baseline":
        uvloop.run(serve_baseline())
    elif options.serve == "gateway":
        uvloop.run(serve_gateway(options.data_dir))
    else:
        with (
            tempfile.TemporaryDirectory() as folder,
            running("baseline", "/") as baseline,
            running("gateway", options.path, "--data-dir", folder) as gateway,
        ):
            uvloop.run(measure([baseline, gateway], options.connections, options.seconds))
            report(baseline, gateway)


if __name__ == "__main__":
    main()
