"""A program of examples/, run as its README says."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.visitors import House
from tests.support.waiting import BOUND_S

ROOT = Path(__file__).parents[2]
START_S = 60.0
"""Big frameworks take their time to be imported on a busy machine."""


class Program:
    """What a process prints, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        """The next that it prints."""
        assert self._process.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await self._process.stdout.readline()).decode()
        assert line, (await self._process.communicate())[1].decode()
        return line.strip()

    async def link(self) -> str:
        """The last word of the next line."""
        return (await self.line()).split()[-1]

    async def ended(self) -> None:
        """By itself, and well."""
        _, errors = await asyncio.wait_for(self._process.communicate(), BOUND_S)
        assert self._process.returncode == 0, errors.decode()


@asynccontextmanager
async def running(
    python: Path, script: Path, variables: Mapping[str, str] | None = None
) -> AsyncGenerator[Program]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        python, script, env={**os.environ, **(variables or {})}, stdout=pipe, stderr=pipe
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


@asynccontextmanager
async def running_example(
    name: str, house: House, *, python: Path = Path(sys.executable), **variables: str
) -> AsyncGenerator[Program]:
    ours = {
        "CHAMADE_URL": house.url,
        "CHAMADE_API_KEY": house.key,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    async with running(python, ROOT / "examples" / name, ours) as program:
        yield program
