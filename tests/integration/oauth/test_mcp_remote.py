"""mcp-remote, the bridge that most stdio clients use, signs in by itself and keeps what it got."""

import asyncio
import json
import os
import re
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.npm import npm_installed
from tests.support.oauth import Person
from tests.support.requirement import requirement
from tests.support.visitors import House

VERSION = "0.15.1"
BUILD = Path(__file__).parents[3] / "build" / "mcp-remote"
PROXY = BUILD / "node_modules" / "mcp-remote" / "dist" / "proxy.js"
BOUND_S = 40.0
_ADDRESS = re.compile(r"https?://\S+/authorize\?\S+")


@pytest.fixture
def proxy() -> Path:
    npm_installed(BUILD, {"mcp-remote": VERSION})
    return PROXY


class Bridge:
    """The bridge as its client sees it: JSON-RPC, one message per line."""

    def __init__(self, process: Process, person: Person) -> None:
        self._process = process
        self._person = person
        self.said = ""
        self.asked = 0
        """How often a person had to say yes."""

    async def call(self, method: str, params: dict[str, object], number: int) -> dict[str, Any]:
        await self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        assert self._process.stdout is not None
        while True:
            line = await self._process.stdout.readline()
            assert line, self.said
            message = json.loads(line)
            if message.get("id") == number:
                return message["result"]

    async def open(self) -> None:
        told: dict[str, object] = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        await self.call("initialize", told, 1)
        await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def account(self, number: int) -> dict[str, Any]:
        result = await self.call("tools/call", {"name": "chamade_account", "arguments": {}}, number)
        return result["structuredContent"]

    async def listen(self) -> None:
        """Reads what it prints; goes where it sends its person."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.said += line.decode()
            found = _ADDRESS.search(line.decode())
            if found is not None:
                self.asked += 1
                await self._person.http.get(await self._person.answer(found[0]))

    async def _send(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def bridged(proxy: Path, url: str, home: Path, person: Person) -> AsyncGenerator[Bridge]:
    # A browser of its own would only be in the way: the address is printed, too.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MCP_REMOTE_CONFIG_DIR": str(home / "auth"),
        "BROWSER": "true",
    }
    process = await asyncio.create_subprocess_exec(
        *("node", proxy, url, "--transport", "http-only", "--allow-http"),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    bridge = Bridge(process, person)
    listening = asyncio.create_task(bridge.listen())
    try:
        async with asyncio.timeout(BOUND_S):
            yield bridge
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


@requirement("R-264")
async def test_the_address_alone_is_enough(house: House, proxy: Path, person: Person, tmp_path: Path) -> None:
    async with bridged(proxy, f"{house.url}/mcp/", tmp_path, person) as bridge:
        await bridge.open()
        assert "platforms" in await bridge.account(2)
        assert bridge.asked == 1
    async with house.agent() as agent:
        (grant,) = (await agent.get("/api/grants")).json()["grants"]
        assert "MCP" in grant["client_name"]
    async with bridged(proxy, f"{house.url}/mcp/", tmp_path, person) as again:
        await again.open()
        assert "platforms" in await again.account(2)
        assert again.asked == 0, again.said
