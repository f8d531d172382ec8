"""`GET /api/account` against an empty Starlette JSON route behind the same server: one run, two processes.

    .venv/bin/python tests/load/bench_api.py [--seconds 2] [--connections 16] [--path /api/account]

Rounds alternate between the two; medians. Two ratios are printed: requests per second as a client sees them,
and the server's own processor time per request, which a busy machine and a slow client disturb less. The goal
is at least 0.4 of both.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[2]))

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from tests.load.callers import Target, flood

ROUNDS = 5


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


@contextmanager
def running(name: str, path: str, *arguments: str) -> Generator[Target]:
    command = [sys.executable, __file__, "--serve", name, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port, key = process.stdout.readline().split()
            request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n\r\n".encode()
            yield Target(name, int(port), process.pid, lambda: request)
        finally:
            process.terminate()


async def measure(targets: list[Target], connections: int, seconds: float) -> None:
    for target in targets:
        await flood(target, 0.5, connections)
        target.rates.clear()
        target.cpu_us.clear()
        target.waits_s.clear()
    for _ in range(ROUNDS):
        for target in targets:
            await flood(target, seconds, connections)


def report(baseline: Target, gateway: Target) -> None:
    for target in (baseline, gateway):
        waits = statistics.quantiles(target.waits_s, n=100)
        print(
            f"{target.name:>9}: {statistics.median(target.rates):8,.0f} requests/s, "
            f"{statistics.median(target.cpu_us):6.1f} us of processor each, "
            f"p50 {waits[49] * 1e6:,.0f} us, p99 {waits[98] * 1e6:,.0f} us"
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
