"""The official inspector's command line, which checks schemas and answers strictly, in both eras."""

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.tools.registry import TOOLS
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.npm import npm_installed

PACKAGES = {"@modelcontextprotocol/inspector": "2.12.0", "node": "22.23.3"}
BUILD = Path(__file__).parents[3] / "build" / "inspector"
MODULES = BUILD / "node_modules"
BOUND_S = 40.0


@pytest.fixture(scope="module", autouse=True)
def inspector() -> Path:
    return npm_installed(BUILD, PACKAGES)


async def inspect(gateway: GatewayProcess, path: str, era: str, method: str, *more: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        MODULES / "node" / "bin" / "node", MODULES / ".bin" / "mcp-inspector",
        "--cli", f"{gateway.url}{path}", "--transport", "http", "--protocol-era", era, "--quiet",
        "--header", f"Authorization: Bearer {gateway.key}", "--method", method, *more,
        stdout=PIPE, stderr=PIPE, cwd=BUILD,
    )  # fmt: skip
    async with asyncio.timeout(BOUND_S):
        out, said = await process.communicate()
    assert process.returncode == 0, (out, said)
    return json.loads(out)


ENDS = [("/mcp/", "legacy"), ("/mcp/", "modern"), ("/mcp/?stateful", "auto"), ("/mcp-key/", "auto")]
"""Ways in, and the protocol era that is asked for."""


async def test_strictly_inspected(tmp_path: Path) -> None:
    async with gateway_process(tmp_path / "data") as gateway:

        async def account(path: str, era: str) -> dict[str, Any]:
            result = await inspect(gateway, path, era, "tools/call", "--tool-name", "chamade_account")
            return result["structuredContent"]

        told: list[dict[str, Any]] = []
        for path, era in ENDS:
            # Strict: it fails on schemas that some clients cannot take.
            listed = await inspect(gateway, path, era, "tools/list", "--strict")
            assert [tool["name"] for tool in listed["tools"]] == [tool.name for tool in TOOLS]
            told.append(await account(path, era))
            assert told[-1]["platforms"]["web"]["status"] == "ok"
        await gateway.kill()
        await gateway.start()
        assert [await account(path, era) for path, era in ENDS] == told
