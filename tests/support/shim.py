"""The stdio shims as their users run them: real processes, driven line by line."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.streamable import KEY
from tests.support.waiting import BOUND_S, until

SHIM = Path(__file__).parents[2] / "shim"
COMMANDS = {
    "python": [sys.executable, "-m", "chamade_mcp_shim"],
    "node": ["node", str(SHIM / "node/chamade-mcp-shim.mjs")],
}
Document = dict[str, Any]


def environment(**ours: str) -> dict[str, str]:
    """The surroundings, without what others have set for the shim, and with the path to its Python twin."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHAMADE_")}
    return {**kept, "PYTHONPATH": str(SHIM / "python"), **ours}


class Shim:
    """A running shim. What it says is kept: `messages` in order, `errors` by the line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.messages: list[Document] = []
        self.lines: list[bytes] = []
        self.errors: list[str] = []
        self._ids = 0

    def send(self, message: Document) -> None:
        self.send_line(json.dumps(message, ensure_ascii=False).encode())

    def send_line(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")

    def ask(self, method: str, params: Document | None = None) -> int:
        """Send a request; gives its id."""
        self._ids += 1
        self.send({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params or {}})
        return self._ids

    def call(self, tool: str, **arguments: object) -> int:
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def notify(self, method: str, params: Document | None = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params or {}})

    async def answer(self, id_: object, bound_s: float = BOUND_S) -> Document:
        """The one answer to a request."""
        await until(lambda: self.answers(id_), bound_s=bound_s)
        (answer,) = self.answers(id_)
        return answer

    def answers(self, id_: object) -> list[Document]:
        return [m for m in self.messages if m.get("id") == id_ and "method" not in m]

    async def result(self, id_: object) -> Document:
        answer = await self.answer(id_)
        assert "result" in answer, answer
        return answer["result"]

    async def error(self, id_: object, bound_s: float = BOUND_S) -> Document:
        answer = await self.answer(id_, bound_s)
        assert "error" in answer, answer
        return answer["error"]

    async def initialize(self, version: str = "2025-11-25") -> Document:
        client = {"name": "test", "version": "1"}
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client}
        result = await self.result(self.ask("initialize", params))
        self.notify("notifications/initialized")
        return result

    def pushed(self) -> list[str]:
        return [
            m["params"]["content"] for m in self.messages if m.get("method") == "notifications/claude/channel"
        ]

    async def said(self, text: str) -> None:
        """Wait until a line on standard error holds the text."""
        await until(lambda: any(text in line for line in self.errors), bound_s=BOUND_S)

    async def end(self) -> int:
        """Close standard input; gives the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(BOUND_S):
            return await self.process.wait()


@asynccontextmanager
async def running_shim(
    twin: str, url: str, *arguments: str, key: str = KEY, **variables: str
) -> AsyncGenerator[Shim]:
    process = await asyncio.create_subprocess_exec(
        *COMMANDS[twin],
        *arguments,
        env=environment(CHAMADE_URL=url, CHAMADE_API_KEY=key, **variables),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 25,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    shim = Shim(process)

    async def messages(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            shim.lines.append(line)
            shim.messages.append(json.loads(line))

    async def errors(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            shim.errors.append(line.decode().rstrip("\n"))

    reading = [asyncio.create_task(messages(process.stdout)), asyncio.create_task(errors(process.stderr))]
    try:
        yield shim
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*reading)
    assert not [line for line in shim.errors if key in line], "the key must not be told"
    assert not [line for line in shim.errors if not line.startswith("chamade-mcp-shim: ")], shim.errors
