"""A gateway of its own for the demo: the real command, a fresh data folder, a free port."""

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

START_S = 30.0


@dataclass(frozen=True, slots=True)
class RunningGateway:
    url: str
    api_key: str
    claim_link: str
    """Whoever opens it becomes the owner."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def running_gateway(data_dir: Path) -> AsyncGenerator[RunningGateway]:
    """`chamade serve` as a newcomer starts it; the key is read off what it prints."""
    port = free_port()
    command = [str(Path(sys.executable).parent / "chamade"), "serve", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--data-dir",
        str(data_dir),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if not name.startswith("CHAMADE_")},
    )
    assert process.stdout is not None
    printed: list[str] = []
    greeted = asyncio.Event()
    reading = asyncio.create_task(_read(process.stdout, printed, greeted))
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(START_S):
            await _ready(url, process, printed)
            await greeted.wait()
        welcome = "".join(printed)
        key = _told(r"chmd_[A-Za-z0-9]+_[A-Za-z0-9]+", welcome)
        yield RunningGateway(url, key, _told(r"http\S+/welcome/\S+", welcome))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading


async def _read(out: asyncio.StreamReader, printed: list[str], greeted: asyncio.Event) -> None:
    async for line in out:
        printed.append(line.decode())
        if "claude mcp add" in printed[-1]:  # the last line of the first start's greeting
            greeted.set()


def _told(pattern: str, welcome: str) -> str:
    found = re.search(pattern, welcome)
    if found is None:
        raise RuntimeError("the gateway did not tell its person how to get in:\n" + welcome)
    return found[found.lastindex or 0]


async def _ready(url: str, process: asyncio.subprocess.Process, printed: list[str]) -> None:
    async with httpx2.AsyncClient() as http:
        while True:
            if process.returncode is not None:
                raise RuntimeError("the gateway did not start:\n" + "".join(printed))
            try:
                if (await http.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)
