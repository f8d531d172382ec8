"""A small MCP endpoint over Streamable HTTP that behaves, and misbehaves in any way a test asks for.

On raw sockets, because the worst failures lie below what an HTTP server lets one do.
"""

import asyncio
import contextlib
import json
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.waiting import until

Document = dict[str, Any]
MODERN = "io.modelcontextprotocol/protocolVersion"
KEY = "chmd_abcdefghij_0123456789"
TOOLS: list[Document] = [
    {"name": "echo", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
    {
        "name": "act",
        "inputSchema": {
            "type": "object",
            "properties": {
                "where": {"type": "string", "x-mcp-header": "Place"},
                "in": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
            },
        },
    },
]


@dataclass(slots=True)
class Seen:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the client has closed the connection."""

    @property
    def message(self) -> Document:
        return json.loads(self.body) if self.body else {}

    @property
    def name(self) -> str:
        """What it asks for: the method of JSON-RPC, `response`, or that of HTTP where there is no body."""
        return str(self.message.get("method", "response")) if self.body else self.method


class Exchange:
    """A request and the way to answer it."""

    def __init__(self, endpoint: "Endpoint", seen: Seen, writer: asyncio.StreamWriter) -> None:
        self.endpoint = endpoint
        self.seen = seen
        self.writer = writer

    def answer(self, status: int, body: bytes = b"", /, **headers: str) -> None:
        fields = {"content-length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)

    def reply(self, document: Document, status: int = 200, /, **headers: str) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        self.answer(status, body, **{"content-type": "application/json; charset=utf-8", **headers})

    def result(self, result: Document, **headers: str) -> None:
        self.reply({"jsonrpc": "2.0", "id": self.seen.message["id"], "result": result}, **headers)

    def begin_stream(self) -> None:
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self.writer.write(head.encode())

    def chunk(self, data: bytes) -> None:
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def event(self, document: Document | None, id_: str = "") -> None:
        data = "" if document is None else json.dumps(document, ensure_ascii=False)
        self.chunk((f"id: {id_}\n" if id_ else "").encode() + f"data: {data}\n\n".encode())

    def drop(self) -> None:
        self.writer.transport.abort()


Fault = Callable[[Exchange], Awaitable[None]]


@dataclass(slots=True)
class Log:
    """A session's events, and who listens."""

    events: list[tuple[str, Document]] = field(default_factory=list[tuple[str, Document]])
    listeners: list[Exchange] = field(default_factory=list[Exchange])


@dataclass
class Endpoint:
    """State in plain sight. `next` holds what goes wrong, by `Seen.name`, one per request."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list[Seen])
    done: list[Document] = field(default_factory=list[Document])
    """Arguments of the tool `act`, once per call that was carried out."""
    sessions: dict[str, Log] = field(default_factory=dict[str, Log])
    next: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque[Fault]))
    retry_ms: int = 10
    tls: ssl.SSLContext | None = None
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def count(self, name: str) -> int:
        return sum(1 for seen in self.seen if seen.name == name)

    async def saw(self, name: str, times: int = 1) -> Seen:
        """Wait for a request; gives the last one of that name."""
        await until(lambda: self.count(name) >= times, bound_s=15)
        return [seen for seen in self.seen if seen.name == name][-1]

    @property
    def log(self) -> Log:
        (log,) = self.sessions.values()
        return log

    async def listening(self, times: int = 1) -> None:
        await until(lambda: sum(len(log.listeners) for log in self.sessions.values()) >= times, bound_s=15)

    def push(self, text: str) -> None:
        """Tell every session something."""
        for session, log in self.sessions.items():
            note = {"jsonrpc": "2.0", "method": "notifications/claude/channel", "params": {"content": text}}
            log.events.append((f"{session}-{len(log.events) + 1}", note))
            for listener in log.listeners:
                listener.event(note, log.events[-1][0])

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=1 << 24, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, *, forget: bool = False) -> None:
        """As a crash would: nothing is said to anybody."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for log in self.sessions.values():
            log.listeners.clear()
        if forget:
            self.sessions.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, EOFError):
                while not writer.is_closing():
                    await self._one(reader, writer)
        finally:
            self._tasks.discard(task)
            self._open.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(method, target, headers, body)
        self.seen.append(seen)
        exchange = Exchange(self, seen, writer)
        faults = self.next[seen.name]
        watching = asyncio.create_task(_watch(reader, writer, seen))
        answering = asyncio.ensure_future(faults.popleft()(exchange) if faults else self.behave(exchange))
        try:
            await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            answering.cancel()
            await asyncio.gather(watching, answering, return_exceptions=True)
        await writer.drain()

    async def behave(self, exchange: Exchange) -> None:
        seen, message = exchange.seen, exchange.seen.message
        if seen.headers.get("authorization") != f"Bearer {KEY}":
            problem = {
                "code": "INVALID_API_KEY",
                "detail": "Invalid or missing API key",
                "action": "ask_human",
            }
            exchange.reply(problem, 401)
            return
        session = seen.headers.get("mcp-session-id")
        if session is not None and session not in self.sessions:
            error = {"code": -32001, "message": "Session not found"}
            exchange.reply({"jsonrpc": "2.0", "id": "server-error", "error": error}, 404)
        elif seen.method == "GET":
            await self._listen(exchange, session)
        elif seen.method == "DELETE":
            self.sessions.pop(session or "", None)
            exchange.answer(204)
        elif "id" not in message or "method" not in message:
            exchange.answer(202)
        else:
            self._request(exchange, message)

    def _request(self, exchange: Exchange, message: Document) -> None:
        params: Document = message.get("params", {})
        match message["method"]:
            case "initialize":
                headers: dict[str, str] = {}
                if "stateful" in exchange.seen.target:
                    headers["mcp_session_id"] = f"session-{self.count('initialize')}"
                    self.sessions[headers["mcp_session_id"]] = Log()
                info = {"name": "fake", "version": "1"}
                told = {"protocolVersion": params["protocolVersion"], "capabilities": {}, "serverInfo": info}
                exchange.result(told, **headers)
            case "tools/list":
                exchange.result({"tools": TOOLS})
            case "tools/call":
                arguments: Document = params.get("arguments", {})
                if params["name"] == "act":
                    self.done.append(arguments)
                exchange.result({"content": [{"type": "text", "text": arguments.get("text", "")}]})
            case "ping":
                exchange.result({})
            case unknown:
                error = {"code": -32601, "message": f"Method not found: {unknown}"}
                exchange.reply({"jsonrpc": "2.0", "id": message["id"], "error": error}, 404)

    async def _listen(self, exchange: Exchange, session: str | None) -> None:
        if session is None:
            exchange.answer(405, allow="POST")
            return
        log = self.sessions[session]
        exchange.begin_stream()
        exchange.chunk(f"retry: {self.retry_ms}\nid: {session}-0\n\n: ping\n\n".encode())
        after = int(
            exchange.seen.headers.get("last-event-id", f"{session}-{len(log.events)}").rpartition("-")[2]
        )
        for id_, note in log.events[after:]:
            exchange.event(note, id_)
        log.listeners.append(exchange)
        try:
            await exchange.seen.gone.wait()
        finally:
            if exchange in log.listeners:
                log.listeners.remove(exchange)


async def _watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
    """Notice that the client goes away. Reading would do, and might swallow the next request's first byte."""
    await until(lambda: reader.at_eof() or writer.is_closing(), bound_s=600)
    seen.gone.set()


@asynccontextmanager
async def open_endpoint(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Endpoint]:
    endpoint = Endpoint(tls=tls)
    await endpoint.start()
    try:
        yield endpoint
    finally:
        await endpoint.stop()
