"""The bundle for Claude Desktop: reproducible, valid by the official tool, and it works once unpacked."""

import asyncio
import json
import zipfile
from pathlib import Path

import pytest

from chamade_mcp.web.client_files import bundle
from tests.support import shim
from tests.support.npm import npm_installed
from tests.support.shim import SHIM, running_shim
from tests.support.streamable import Endpoint

MCPB = "2.1.2"
TOOLS = SHIM.parent / "build/mcpb-tools"
URL = "https://gateway.example.org"


async def run(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(180):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def build(out: Path) -> Path:
    out.write_bytes(bundle(URL))
    return out


def test_the_same_gateway_gives_the_same_bytes() -> None:
    assert bundle(URL) == bundle(URL) != bundle("https://other.example.org")


async def test_the_official_tool_finds_it_valid(tmp_path: Path) -> None:
    tool = npm_installed(TOOLS, {"@anthropic-ai/mcpb": MCPB}) / ".bin/mcpb"
    packed = build(tmp_path / "chamade.mcpb")
    await run(tool, "unpack", packed, tmp_path / "unpacked")
    assert "validation passes" in await run(tool, "validate", tmp_path / "unpacked/manifest.json")


async def test_it_asks_for_the_key_and_keeps_it_secret(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path / "chamade.mcpb")) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["server"]["entry_point"] in archive.namelist()
    asked = manifest["user_config"]
    assert (asked["api_key"]["sensitive"], asked["api_key"]["required"]) == (True, True)
    assert asked["url"]["default"] == URL


async def test_the_server_in_it_runs(
    tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(build(tmp_path / "chamade.mcpb")) as archive:
        archive.extractall(tmp_path / "installed")
        config = json.loads(archive.read("manifest.json"))["server"]["mcp_config"]
    arguments = [each.replace("${__dirname}", str(tmp_path / "installed")) for each in config["args"]]
    monkeypatch.setitem(shim.COMMANDS, "bundle", [config["command"], *arguments])
    async with running_shim("bundle", endpoint.url) as running:
        await running.result(running.ask("ping"))
