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

import httpx2
import pytest

from tests.support.gateway_process import gateway_process
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
        self.pushed: list[dict[str, Any]] = []

    async def call(self, method: str, params: dict[str, object], number: int) -> dict[str, Any]:
        await self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while True:
            message = await self._read()
            if message.get("id") == number:
                return message["result"]

    async def hear(self, platform: str, state: str) -> None:
        """Waits until that was pushed of a call."""
        while not any(told == (platform, state) for told in map(_of_a_call, self.pushed)):
            await self._read()

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, self.said
        message = json.loads(line)
        if message.get("method") == "notifications/claude/channel":
            self.pushed.append(message)
        return message

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


def _of_a_call(message: dict[str, Any]) -> tuple[str, str]:
    event = json.loads(message["params"]["content"])
    return event.get("platform", ""), event.get("state", "")


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


async def test_tools_and_push_go_on_after_a_kill(proxy: Path, tmp_path: Path) -> None:
    async with gateway_process(tmp_path / "data") as gateway, httpx2.AsyncClient(timeout=20) as http:
        own = {"x-api-key": gateway.key}

        async def ring() -> None:
            """A call that begins and ends."""
            made = (await http.post(f"{gateway.url}/api/call", headers=own, json={"platform": "web"})).json()
            await http.delete(f"{gateway.url}/api/call/{made['call_id']}", headers=own)

        person = Person(http, gateway.url)
        await person.sign_in(gateway.email, gateway.password)
        async with bridged(proxy, f"{gateway.url}/mcp/?stateful", tmp_path, person) as bridge:
            await bridge.open()
            before = await bridge.account(2)
            await ring()
            await bridge.hear("web", "ended")
            await gateway.kill()
            await gateway.start()
            assert (await bridge.account(3))["platforms"] == before["platforms"]
            bridge.pushed.clear()
            await ring()
            await bridge.hear("web", "ended")
            assert bridge.asked == 1, bridge.said
