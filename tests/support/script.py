"""A script that runs in a Python of its own, and tells in JSON what it has found."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_BOUND_S = 60


@asynccontextmanager
async def script(python: Path, *given: object) -> AsyncGenerator[Process]:
    """`given`: its file, and what it is started with. It ends with the block."""
    process = await asyncio.create_subprocess_exec(
        python, *map(str, given), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def line(process: Process) -> str:
    """The next one that it prints. What is wrong with a script that has ended is shown."""
    assert process.stdout is not None, "piped"
    found = await asyncio.wait_for(process.stdout.readline(), _BOUND_S)
    assert found, (await process.communicate())[1].decode()
    return found.decode().strip()


async def result(process: Process) -> Any:
    """What it prints last, once it has ended well."""
    out, problems = await asyncio.wait_for(process.communicate(), _BOUND_S)
    assert process.returncode == 0, problems.decode()
    return json.loads(out.splitlines()[-1])


async def run(python: Path, *given: object) -> Any:
    """The `result` of a script that asks nothing."""
    async with script(python, *given) as process:
        return await result(process)
