"""The official TypeScript SDK's client against a gateway that is killed and comes back."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.npm import npm_installed

PACKAGES = {"@modelcontextprotocol/client": "2.4.0", "node": "22.23.3"}
BUILD = Path(__file__).parents[3] / "build" / "typescript-client"
SCRIPT = Path(__file__).with_name("typescript_client.mjs")
BOUND_S = 30.0
CALLS = 3


@pytest.fixture(scope="module")
def script() -> Path:
    """Beside the packages, since Node looks for them from there."""
    npm_installed(BUILD, PACKAGES)
    return Path(shutil.copy(SCRIPT, BUILD / SCRIPT.name))


class Agent:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.pushed: list[dict[str, Any]] = []
        """Events, in the order in which they came."""
        self._more = asyncio.Condition()

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if said.get("method") == "notifications/claude/channel":
                async with self._more:
                    self.pushed.append(json.loads(said["params"]["content"]))
                    self._more.notify_all()
            elif "method" not in said:
                self._answers.put_nowait(said)

    async def answer(self) -> dict[str, Any]:
        return await asyncio.wait_for(self._answers.get(), BOUND_S)

    async def use(self, tool: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{tool}\n".encode())
        answer = await self.answer()
        assert "error" not in answer, answer
        return answer

    async def hears(self, count: int) -> None:
        async with asyncio.timeout(BOUND_S), self._more:
            await self._more.wait_for(lambda: len(self.pushed) >= count)


@asynccontextmanager
async def agent_at(script: Path, url: str, key: str, mode: str) -> AsyncGenerator[Agent]:
    node = BUILD / "node_modules" / "node" / "bin" / "node"
    process = await asyncio.create_subprocess_exec(node, script, url, key, mode, stdin=PIPE, stdout=PIPE)
    agent = Agent(process)
    listening = asyncio.create_task(agent.listen())
    try:
        yield agent
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def restart(gateway: GatewayProcess) -> None:
    await gateway.kill()
    await gateway.start()


async def ring(gateway: GatewayProcess) -> list[str]:
    """Opens calls and leaves them: events of which each must be told once."""
    made: list[str] = []
    headers = {"authorization": f"Bearer {gateway.key}"}
    async with httpx2.AsyncClient(base_url=gateway.url, headers=headers, timeout=BOUND_S) as api:
        for _ in range(CALLS):
            call = (await api.post("/api/call", json={"platform": "web"})).raise_for_status().json()
            path = f"/api/call/{call['call_id']}"
            async with asyncio.timeout(BOUND_S):
                while (await api.get(path)).json()["state"] != "active":
                    pass
            (await api.delete(path)).raise_for_status()
            made.append(call["call_id"])
    return made


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_stateless_client_goes_on_after_a_restart(script: Path, tmp_path: Path, mode: str) -> None:
    async with (
        gateway_process(tmp_path / "data") as gateway,
        agent_at(script, f"{gateway.url}/mcp/", gateway.key, mode) as agent,
    ):
        assert await agent.answer() == {"connected": None}
        before = await agent.use("chamade_account")
        assert before["content"]["platforms"]["web"]["status"] == "ok"
        await restart(gateway)
        after = await agent.use("chamade_account")
        assert after["content"] == before["content"]
        assert agent.pushed == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_session_and_its_push_survive_a_kill(script: Path, tmp_path: Path, mode: str) -> None:
    """`auto` asks by `server/discover` first, and falls back to the handshake, or push would not work."""
    async with (
        gateway_process(tmp_path / "data") as gateway,
        agent_at(script, f"{gateway.url}/mcp/?stateful", gateway.key, mode) as agent,
    ):
        session = (await agent.answer())["connected"]
        assert session is not None
        assert (await agent.use("chamade_account"))["session"] == session
        rung = await ring(gateway)
        over = [("call_state", call, state) for call in rung for state in ("active", "ended")]
        await agent.hears(len(over))
        await restart(gateway)
        assert (await agent.use("chamade_account"))["session"] == session
        again = await ring(gateway)
        over += [("call_state", call, state) for call in again for state in ("active", "ended")]
        await agent.hears(len(over))
        # A request after the last event: what would still come a second time has come by then.
        await agent.use("chamade_account")
        assert [(e["type"], e["call_id"], e.get("state")) for e in agent.pushed] == over
