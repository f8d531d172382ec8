"""The official suite against our transport with its fixtures: what each revision requires of a server."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from chamade_mcp.sessions.edge import LOOPBACK_HOSTS, LOOPBACK_ORIGINS, Edge
from tests.conformance.fixtures import Fixtures
from tests.support.mcp_house import mcp_house
from tests.support.npm import npm_installed
from tests.support.server import serve

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "conformance"
SUITE = BUILD / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
NODE = BUILD / "node_modules" / "node" / "bin" / "node"
SUITE_S = 300
EXPECTED = HERE / "expected-failures.yml"


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    printed: str


async def run(*command: str | Path, cwd: Path, bound_s: float) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), bound_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode())


@pytest.fixture
def suite() -> Path:
    """The suite and a Node it runs on, in exact versions."""
    npm_installed(BUILD, json.loads((HERE / "package.json").read_text())["dependencies"])
    return SUITE


@pytest.fixture
async def server(tmp_path: Path) -> AsyncGenerator[str]:
    """Our transport without authentication, as the suite brings no key."""

    @asynccontextmanager
    async def build(url: str) -> AsyncGenerator[ASGIApp]:
        async with mcp_house(tmp_path / "chamade.db") as house:
            await house.admit("suite")
            endpoint = house.sessions.endpoint(Fixtures())
            caller = house.caller("suite")

            async def admitted(scope: Scope, receive: Receive, send: Send) -> None:
                await endpoint(caller, scope, receive, send)

            yield Edge(admitted, allowed_hosts=LOOPBACK_HOSTS, allowed_origins=LOOPBACK_ORIGINS)

    async with serve(build) as url:
        yield url.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize(
    ("revision", "path", "least"),
    [("2025-11-25", "/mcp?stateful", 80), ("2026-07-28", "/mcp", 160)],
    ids=["2025-11-25", "2026-07-28"],
)
async def test_what_a_revision_requires(
    suite: Path, server: str, tmp_path: Path, revision: str, path: str, least: int
) -> None:
    """`least` checks pass, so that a suite which stops looking does not count as success."""
    results = tmp_path / "results"
    outcome = await run(
        NODE,
        suite,
        "server",
        *("--url", server + path, "--requirements", revision),
        *("--expected-failures", EXPECTED, "-o", results),
        cwd=tmp_path,
        bound_s=SUITE_S,
    )
    plain = re.sub(r"\x1b\[[0-9;]*m", "", outcome.printed)
    assert outcome.code == 0, plain
    checks = {found.parent.name: _statuses(found) for found in results.rglob("checks.json")}
    assert sum(statuses.count("SUCCESS") for statuses in checks.values()) >= least, plain
    failed = {name for name, statuses in checks.items() if "FAILURE" in statuses}
    assert all(name.startswith("server-tasks-") for name in failed), failed


def _statuses(checks: Path) -> list[str]:
    return [check["status"] for check in json.loads(checks.read_text(encoding="utf-8"))]
