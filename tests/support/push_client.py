"""A client of a push session on a bare socket, so that hundreds of them cost little."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from chamade_mcp.kit.chores import background
from tests.support.waiting import until

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "push", "version": "1"},
    },
}


def headers(key: str, session: str | None = None) -> dict[str, str]:
    fields = {
        "authorization": f"Bearer {key}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
    }
    return fields if session is None else {**fields, "mcp-session-id": session}


async def open_session(http: httpx2.AsyncClient, url: str, key: str) -> str:
    answer = await http.post(f"{url}/mcp/?stateful", headers=headers(key), json=INITIALIZE)
    assert answer.status_code == 200, answer.text
    return answer.headers["mcp-session-id"]


@dataclass
class PushClient:
    """`run` listens, and comes back after every outage, until it is cancelled or told 404."""

    url: str
    key: str
    session: str
    retry_s: float = 0.1
    others: list[str] = field(default_factory=list[str])
    """Where to go, one after the other, when a stream has broken."""
    source: str | None = None
    """The address to connect from."""
    opened: int = 0
    """How many streams it has had."""
    over: int = 0
    """How many of them have ended."""
    status: int = 0
    last_id: str = ""
    cursors: list[int] = field(default_factory=list[int])
    """The places in the log of the events that came, in their order."""
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    keep: bool = False
    """Whether to keep the messages."""

    async def run(self) -> None:
        while self.status != 404:
            try:
                await self._listen()
            except OSError:
                self.status = 0
            self.over += 1
            self.others.append(self.url)
            self.url = self.others.pop(0)
            await asyncio.sleep(self.retry_s)

    async def _listen(self) -> None:
        parts = urlsplit(self.url)
        local = None if self.source is None else (self.source, 0)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, local_addr=local)
        try:
            fields = {"host": parts.netloc, **headers(self.key, self.session), "connection": "close"}
            fields["accept"] = "text/event-stream"
            if self.last_id:
                fields["last-event-id"] = self.last_id
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"GET /mcp/ HTTP/1.1\r\n{head}\r\n".encode())
            self.status = int((await reader.readline())[9:12] or b"0")
            await self._read(reader)
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Line by line; the chunks' sizes between them look like nothing that matters."""
        event_id = ""
        while line := await reader.readline():
            if line.startswith(b"id: "):
                event_id = line[4:].decode().strip()
            elif line.startswith(b"retry: "):
                self.opened += 1
            elif line.startswith(b"data: "):
                if event_id:
                    self.last_id = event_id
                if len(line) > 8:
                    if event_id:
                        self.cursors.append(int(event_id.rpartition("-")[2]))
                    if self.keep:
                        self.messages.append(json.loads(line[6:]))
                event_id = ""


@asynccontextmanager
async def pushed(*clients: PushClient) -> AsyncGenerator[None]:
    """Inside, all of them listen."""
    tasks = [asyncio.create_task(client.run()) for client in clients]
    async with background(*tasks):
        await until(lambda: all(client.opened for client in clients), bound_s=30)
        yield
