"""The commands themselves: options, wrong settings, packages, how fast they start."""

import asyncio
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

import chamade_mcp_shim
from tests.support.shim import COMMANDS, SHIM, environment, running_shim
from tests.support.streamable import KEY, Endpoint

BOUND_S = 120.0
"""Packages may have to be fetched."""
STARTS = 5
START_S = 0.5


async def run(
    *command: str | Path, cwd: Path = SHIM, variables: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env=environment(**variables or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(BOUND_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_version_and_help(twin: str) -> None:
    version = f"chamade-mcp-shim {chamade_mcp_shim.__version__}\n"
    assert await run(*COMMANDS[twin], "--version") == (0, version, "")
    status, out, err = await run(*COMMANDS[twin], "--help")
    assert (status, err) == (0, "")
    for word in ("CHAMADE_API_KEY", "CHAMADE_URL", "CHAMADE_MCP_URL", "--stateful", "--version"):
        assert word in out


async def test_wrong_settings(twin: str) -> None:
    for variables, told in (
        ({}, "CHAMADE_API_KEY is not set"),
        ({"CHAMADE_API_KEY": KEY, "CHAMADE_URL": "localhost"}, "CHAMADE_URL is no URL"),
    ):
        status, out, err = await run(*COMMANDS[twin], variables=variables)
        assert (status, out) == (2, "")
        assert err.startswith(f"chamade-mcp-shim: {told}")
        assert err.count("\n") == 1
    status, out, err = await run(*COMMANDS[twin], "--statefull", variables={"CHAMADE_API_KEY": KEY})
    assert (status, out) == (2, "")
    assert "--statefull" in err


async def test_no_input_is_the_end(twin: str, endpoint: Endpoint) -> None:
    variables = {"CHAMADE_API_KEY": KEY, "CHAMADE_URL": endpoint.url}
    assert await run(*COMMANDS[twin], variables=variables) == (0, "", "")
    assert endpoint.seen == []


async def test_the_start_is_quick(twin: str, endpoint: Endpoint) -> None:
    """From nothing to the first answer of the gateway; what else the machine does can only add to it."""
    times: list[float] = []
    clock = asyncio.get_running_loop().time
    for _ in range(STARTS):
        started = clock()
        async with running_shim(twin, endpoint.url) as shim:
            await shim.result(shim.ask("ping"))
            times.append(clock() - started)
    assert min(times) < START_S, times


def test_the_versions_are_one() -> None:
    texts = [
        json.loads((SHIM / "node/package.json").read_text(encoding="utf-8"))["version"],
        json.loads((SHIM / "mcpb/manifest.json").read_text(encoding="utf-8"))["version"],
        *re.findall(r"VERSION = '(.*)'", (SHIM / "node/chamade-mcp-shim.mjs").read_text(encoding="utf-8")),
    ]
    assert texts == [chamade_mcp_shim.__version__] * 3


def test_the_documents_name_every_variable() -> None:
    text = (SHIM / "README.md").read_text(encoding="utf-8")
    read = set(
        re.findall(r'get\("(CHAMADE_\w+)"', (SHIM / "python/chamade_mcp_shim/settings.py").read_text())
    )
    assert len(read) == 3
    assert set(re.findall(r"^\| `(CHAMADE_\w+)` \|", text, re.M)) == read


async def test_the_python_package_runs_by_uvx(tmp_path: Path) -> None:
    source = tmp_path / "python"
    shutil.copytree(SHIM / "python", source, ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        Path(sys.executable).parent / "uvx",
        "--quiet",
        "--from",
        source,
        "chamade-mcp-shim",
        "--version",
    ]
    status, out, err = await run(*command, cwd=tmp_path, variables={"PYTHONPATH": ""})
    assert (status, out) == (0, f"chamade-mcp-shim {chamade_mcp_shim.__version__}\n"), err


async def test_the_node_package_runs_by_npx(tmp_path: Path) -> None:
    status, out, err = await run("npm", "pack", "--silent", SHIM / "node", cwd=tmp_path)
    assert status == 0, err
    packed = tmp_path / out.strip()
    command = ["npx", "--yes", "--offline", "--package", packed, "chamade-mcp-shim", "--version"]
    status, out, err = await run(*command, cwd=tmp_path)
    assert (status, out) == (0, f"chamade-mcp-shim {chamade_mcp_shim.__version__}\n"), err


@pytest.mark.parametrize("name", ["python", "node"])
def test_the_packages_bring_the_licence(name: str) -> None:
    licence = (SHIM.parent / "LICENSE").read_bytes()
    assert (SHIM / name / "LICENSE").read_bytes() == licence
