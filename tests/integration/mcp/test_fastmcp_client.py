"""fastmcp's client against a gateway that is killed and comes back."""

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway_process import gateway_process
from tests.support.pip import pip_installed

BUILD = Path(__file__).parents[3] / "build" / "fastmcp"
SCRIPT = Path(__file__).with_name("fastmcp_client.py")
BOUND_S = 30.0


@pytest.mark.parametrize("path", ["/mcp/", "/mcp/?stateful"])
async def test_it_goes_on_after_a_kill(tmp_path: Path, path: str) -> None:
    python = pip_installed(BUILD, ["fastmcp==4.1.2"])
    async with gateway_process(tmp_path / "data") as gateway:
        process = await asyncio.create_subprocess_exec(
            python, SCRIPT, f"{gateway.url}{path}", gateway.key, stdin=PIPE, stdout=PIPE
        )

        async def account() -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"chamade_account\n")
            return json.loads(await asyncio.wait_for(process.stdout.readline(), BOUND_S))

        try:
            before = await account()
            assert before["platforms"]["web"]["status"] == "ok"
            await gateway.kill()
            await gateway.start()
            assert await account() == before
        finally:
            process.kill()
            await process.wait()
