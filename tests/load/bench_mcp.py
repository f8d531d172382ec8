"""Our MCP endpoint against the SDK's bare low-level server with a trivial tool: one run, two processes.

    .venv/bin/python tests/load/bench_mcp.py                    # our endpoint over the tests' fake API
    .venv/bin/python tests/load/bench_mcp.py --url http://127.0.0.1:8123/mcp/ --key chmd_...   # a gateway

`tools/call chamade_account` over 8 keep-alive connections in both eras, rounds alternating, medians.
The goal is a ratio of at least 0.5.
"""

import argparse
import asyncio
import gc
import json
import logging
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.support.core_api import KEY, FakeCore, authenticate

CONNECTIONS = 8
ROUNDS = 5
ERAS = ("2025-11-25", "2026-07-28")


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    url: str
    key: str
    tool: str


def bare_app() -> Starlette:
    """The least one can write with the SDK, in its fastest mode."""

    async def list_tools(
        _: ServerRequestContext, __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool(name="echo", input_schema={"type": "object"})])

    async def call_tool(_: ServerRequestContext, __: types.CallToolRequestParams) -> types.CallToolResult:
        return types.CallToolResult(content=[types.TextContent(type="text", text="hello")])

    server = Server("bare", on_list_tools=list_tools, on_call_tool=call_tool)
    manager = StreamableHTTPSessionManager(server, stateless=True, json_response=True)
    return Starlette(
        routes=[Route("/mcp/", endpoint=StreamableHTTPASGIApp(manager))], lifespan=lambda _: manager.run()
    )


def our_app() -> Starlette:
    from chamade_mcp.sessions.edge import hosts_for, origins_for
    from chamade_mcp.tools.client import CoreClient
    from chamade_mcp.tools.mcp import mcp_app
    from chamade_mcp.tools.transport import InProcess

    url = "http://localhost"
    mcp = mcp_app(
        CoreClient(InProcess(FakeCore().app())),
        authenticate,
        allowed_hosts=hosts_for(url),
        allowed_origins=origins_for(url),
    )
    return Starlette(routes=mcp.routes, lifespan=lambda _: mcp.run())


def serve(which: str) -> None:
    logging.getLogger("mcp").setLevel(logging.WARNING)
    listener = socket.create_server(("127.0.0.1", 0))
    app = bare_app() if which == "bare" else our_app()
    config = uvicorn.Config(
        app, http="httptools", loop="uvloop", ws="none", access_log=False, log_level="warning"
    )
    gc.collect()
    gc.freeze()
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def started(which: str) -> Generator[str]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", which], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp/"
    finally:
        process.terminate()
        process.wait(10)


def request_bytes(target: Target, era: str) -> bytes:
    params: dict[str, object] = {"name": target.tool, "arguments": {}}
    extra = ""
    if era == "2026-07-28":
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": era,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        extra = f"mcp-method: tools/call\r\nmcp-name: {target.tool}\r\n"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    parts = urlsplit(target.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {target.key}\r\n"
        f"accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n"
        f"mcp-protocol-version: {era}\r\n{extra}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(f"unexpected answer: {head.decode()}")
    _, _, rest = head.partition(b"content-length:")
    return await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))


async def measure(target: Target, era: str, calls: int) -> tuple[float, float]:
    """Requests per second, and the 99th percentile in ms."""
    parts = urlsplit(target.url)
    request = request_bytes(target, era)
    latencies: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for _ in range(calls // CONNECTIONS):
            start = time.perf_counter()
            body = await exchange(reader, writer, request)
            latencies.append(time.perf_counter() - start)
            assert b'"isError":true' not in body, body
            assert b'"result":' in body, body
        writer.close()
        await writer.wait_closed()

    start = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    elapsed = time.perf_counter() - start
    return len(latencies) / elapsed, statistics.quantiles(latencies, n=100)[98] * 1000


async def compare(bare: Target, ours: Target, calls: int) -> None:
    print(f"{'era':12}{'server':8}{'calls/s':>9}{'p99 ms':>9}{'ratio':>8}")
    for era in ERAS:
        rounds: dict[str, list[tuple[float, float]]] = {bare.name: [], ours.name: []}
        for target in (bare, ours):
            await measure(target, era, calls // 4)
        for _ in range(ROUNDS):
            for target in (bare, ours):
                rounds[target.name].append(await measure(target, era, calls))
        base = statistics.median(rate for rate, _ in rounds[bare.name])
        for name, measured in rounds.items():
            rate = statistics.median(rate for rate, _ in measured)
            p99 = statistics.median(p99 for _, p99 in measured)
            print(f"{era:12}{name:8}{rate:9.0f}{p99:9.1f}{rate / base:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a running gateway's MCP endpoint")
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--calls", type=int, default=2000, help="per round")
    parser.add_argument("--serve", choices=("bare", "ours"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with started("bare") as bare_url:
        bare = Target("bare", bare_url, KEY, "echo")
        if options.url:
            asyncio.run(
                compare(bare, Target("ours", options.url, options.key, "chamade_account"), options.calls)
            )
            return
        with started("ours") as our_url:
            asyncio.run(compare(bare, Target("ours", our_url, KEY, "chamade_account"), options.calls))


if __name__ == "__main__":
    main()
