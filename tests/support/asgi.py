"""An ASGI exchange without a server: what goes in is given, what comes out is kept."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message

from chamade_mcp.model.access import Caller
from chamade_mcp.oauth.resource import CallerApp
from tests.support.waiting import until

JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
MODERN_META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Got:
    """An answer as it comes in."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    chunks: list[bytes] = field(default_factory=list[bytes])
    done: bool = False
    hang_up: asyncio.Event = field(default_factory=asyncio.Event)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let no more bytes through."""
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a write waits because of that."""
    aborted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to end such a write, and to lose what it wrote, as a server does that aborts the connection."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The messages of a stream so far, each with the id of its event."""
        found: list[dict[str, Any]] = []
        for block in self.body.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and line[0] != ":")
            if lines.get("data"):
                found.append({"id": lines.get("id"), **json.loads(lines["data"])})
        return found

    async def receive_some(self, count: int) -> list[dict[str, Any]]:
        """Waits until so many messages have come."""
        await until(lambda: len(self.events) >= count)
        return self.events


async def ask(
    app: CallerApp,
    caller: Caller,
    body: object = None,
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    query: str = "",
    got: Got | None = None,
    chunks: Sequence[bytes] | None = None,
) -> Got:
    """One request from beginning to end; run it as a task to look at a stream while it lasts."""
    got = got or Got()
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    parts = list(chunks) if chunks is not None else [content]
    fields = {**(JSON if method == "POST" else {}), **(headers or {})}

    async def receive() -> Message:
        if parts:
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}
        await got.hang_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if got.stalled.is_set():
            got.stuck.set()
            await got.aborted.wait()
            return
        if message["type"] == "http.response.start":
            got.status = message["status"]
            got.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            got.chunks.append(message.get("body", b""))
            got.done = not message.get("more_body", False)

    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": "/mcp",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
        "state": {},
    }
    await app(caller, scope, receive, send)
    return got
