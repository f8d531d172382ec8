"""The official suite against our authorization server: its metadata, and a code flow with a person."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.conformance.test_suite import NODE, suite
from tests.support.oauth import Person, Program
from tests.support.visitors import House, open_house

if TYPE_CHECKING:
    from asyncio.subprocess import Process

BOUND_S = 60.0
_ADDRESS = re.compile(r"https?://\S+/authorize\?\S+")
__all__ = ["suite"]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    async with open_house(tmp_path / "data") as house:
        yield house


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def follow(process: "Process", person: Person) -> str:
    """What the suite prints; the address that it asks somebody to visit is visited."""
    assert process.stdout is not None
    printed, visited = "", False
    async for line in process.stdout:
        printed += line.decode()
        found = None if visited else _ADDRESS.search(printed)
        if found is not None:
            visited = True
            await person.http.get(await person.answer(found[0]))
    return printed


def checks_in(results: Path) -> dict[str, list[dict[str, str]]]:
    return {found.parent.name: json.loads(found.read_text()) for found in results.rglob("checks.json")}


async def test_the_suite_has_nothing_to_find_fault_with(suite: Path, house: House, tmp_path: Path) -> None:
    port = free_port()
    async with httpx2.AsyncClient() as http, httpx2.AsyncClient() as cookies:
        program = Program(http, house.url)
        await program.register([f"http://127.0.0.1:{port}/callback"])
        process = await asyncio.create_subprocess_exec(
            *(NODE, suite, "authorization", "--url", house.url, "--client-id", program.client_id),
            *("--resource", f"{house.url}/mcp", "--port", str(port), "-o", tmp_path / "out"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(BOUND_S):
                printed = await follow(process, Person(cookies, house.url))
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert code == 0, printed
    checks = checks_in(tmp_path)
    for scenario in ("metadata-endpoint", "authorization-code-grant"):
        (told,) = [found for name, found in checks.items() if scenario in name]
        assert [check["status"] for check in told if check["status"] != "SUCCESS"] == [], told
        assert told
