"""Our MCP endpoint against the SDK's bare low-level server with a trivial tool: one run, a process each.

    .venv/bin/python tests/load/bench_mcp.py

    bare      the SDK in its fastest mode, `echo`            the baseline
    route     an empty Starlette route that answers JSON     what there is to win at most
    echo      our transport with the same tool               goal: 3.0 by handshake, 1.5 in the modern era
    gateway   `chamade serve`: key, database, account        goal: 1.0 with `chamade_account`

8 keep-alive connections, rounds alternating, medians.
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
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[2]))

from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.core.mcp_sessions import McpSessions
from chamade_mcp.core.notices import Notices
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.model.events import Event
from chamade_mcp.oauth.resource import ProtectedResource
from chamade_mcp.sessions.edge import LOOPBACK_HOSTS, LOOPBACK_ORIGINS, Edge
from chamade_mcp.sessions.endpoint import Sessions
from chamade_mcp.sessions.surface import INVALID_PARAMS, Exchange, JsonObject, ProtocolFault
from chamade_mcp.store.database import Database
from chamade_mcp.store.migrate import migrate
from tests.demo.gateway import running_gateway
from tests.support.core_api import KEY, authenticate

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


class Echo:
    """A `Surface` with the same trivial tool."""

    name = title = "echo"
    version = "1"
    instructions = ""
    logs = False
    tools: Sequence[JsonObject] = (
        {"name": "echo", "description": "says hello", "inputSchema": {"type": "object"}},
    )
    resources = resource_templates = prompts = ()
    slow_tools: frozenset[str] = frozenset()

    async def call(self, tool: str, arguments: Mapping[str, object], exchange: Exchange) -> JsonObject:
        return {"content": [{"type": "text", "text": "hello"}], "isError": False}

    async def read(self, uri: str, exchange: Exchange) -> JsonObject:
        raise ProtocolFault(INVALID_PARAMS, "no resources")

    async def prompt(self, name: str, arguments: Mapping[str, str], exchange: Exchange) -> JsonObject:
        raise ProtocolFault(INVALID_PARAMS, "no prompts")

    def changed_resource(self, event: Event) -> str | None:
        return None


def echo_app(folder: Path) -> Starlette:
    """Our transport with everything in front of it: edge checks, authentication."""
    migrate(folder / "chamade.db")
    database, clock = Database(folder / "chamade.db"), SystemClock()
    sessions = Sessions(McpSessions(database, clock, Notices(clock)), MemoryHub(database, clock), clock)
    guarded = Edge(
        ProtectedResource(sessions.endpoint(Echo()), authenticate),
        allowed_hosts=LOOPBACK_HOSTS,
        allowed_origins=LOOPBACK_ORIGINS,
    )
    return Starlette(routes=[Route("/mcp/", endpoint=guarded)], lifespan=lambda _: sessions.run())


def route_app() -> Starlette:
    async def answer(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})

    return Starlette(routes=[Route("/mcp/", answer, methods=["POST"])])


def serve(which: str) -> None:
    logging.getLogger("mcp").setLevel(logging.WARNING)
    listener = socket.create_server(("127.0.0.1", 0))
    folder = Path(tempfile.mkdtemp())
    app = {"bare": bare_app, "route": route_app, "echo": lambda: echo_app(folder)}[which]()
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


async def compare(targets: Sequence[Target], calls: int) -> None:
    print(f"{'era':12}{'server':10}{'calls/s':>9}{'p99 ms':>9}{'ratio':>8}")
    for era in ERAS:
        rounds: dict[str, list[tuple[float, float]]] = {target.name: [] for target in targets}
        for target in targets:
            await measure(target, era, calls // 4)
        for _ in range(ROUNDS):
            for target in targets:
                rounds[target.name].append(await measure(target, era, calls))
        base = statistics.median(rate for rate, _ in rounds[targets[0].name])
        for name, measured in rounds.items():
            rate = statistics.median(rate for rate, _ in measured)
            p99 = statistics.median(p99 for _, p99 in measured)
            print(f"{era:12}{name:10}{rate:9.0f}{p99:9.1f}{rate / base:8.2f}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=2000, help="per round")
    parser.add_argument("--serve", choices=("bare", "route", "echo"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    with ExitStack() as processes, tempfile.TemporaryDirectory() as folder:
        targets = [
            Target(name, processes.enter_context(started(name)), KEY, "echo")
            for name in ("bare", "route", "echo")
        ]
        async with running_gateway(Path(folder) / "data") as gateway:
            targets.append(Target("gateway", f"{gateway.url}/mcp/", gateway.api_key, "chamade_account"))
            await compare(targets, options.calls)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve(sys.argv[sys.argv.index("--serve") + 1])
    else:
        asyncio.run(main())
