"""`chamade serve` and `chamade worker` as processes that can be killed and started again."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from tests.demo.gateway import free_port
from tests.support.oauth import fields_of

START_S = 60.0
CHAMADE = Path(sys.executable).parent / "chamade"


class Process:
    """On one port for all its lives."""

    def __init__(self, command: str, data_dir: Path, *options: str, **settings: str) -> None:
        self._port = free_port()
        self._environment = {**os.environ, **settings}
        self._command = (command, "--port", str(self._port), "--data-dir", str(data_dir), *options)
        self._process: asyncio.subprocess.Process | None = None
        self.log = data_dir.with_name(f"{data_dir.name}-{command}-{self._port}.log")
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Returns once it serves."""
        with self.log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                CHAMADE, *self._command, env=self._environment, stdout=out, stderr=out
            )
        async with asyncio.timeout(START_S), httpx2.AsyncClient() as http:
            while not await self._ready(http):
                assert self._process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.02)

    async def _ready(self, http: httpx2.AsyncClient) -> bool:
        try:
            return (await http.get(f"{self.url}/readyz")).status_code == 200
        except httpx2.TransportError:
            return False

    async def kill(self) -> None:
        """As a power cut does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> int:
        """As `systemctl restart` does, the first half. Gives what it exits with."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
        return await self._process.wait()


class GatewayProcess(Process):
    def __init__(self, data_dir: Path, **settings: str) -> None:
        super().__init__("serve", data_dir, **settings)
        self.key = ""
        """Of the first account, as its address and its password."""
        self.email, self.password = "owner@example.org", "correct horse battery"

    async def start(self) -> None:
        """At the first start, the account is made the owner's by the link that is told."""
        await super().start()
        if self.key:
            return
        told = re.search(
            r"^(http\S+/welcome/\S+)$.*Bearer (chmd_\w+)", self.log.read_text(), re.DOTALL | re.M
        )
        assert told is not None
        link, self.key = told.groups()
        async with httpx2.AsyncClient(headers={"origin": self.url}) as http:
            form = fields_of(await http.get(link))
            made = await http.post(link, data={**form, "email": self.email, "password": self.password})
            assert made.status_code == 303, made.text


@asynccontextmanager
async def gateway_process(data_dir: Path, **settings: str) -> AsyncGenerator[GatewayProcess]:
    gateway = GatewayProcess(data_dir, **settings)
    try:
        await gateway.start()
        yield gateway
    finally:
        await gateway.kill()


@asynccontextmanager
async def worker_process(data_dir: Path, gateway: GatewayProcess) -> AsyncGenerator[Process]:
    worker = Process("worker", data_dir, "--core", gateway.url)
    try:
        await worker.start()
        yield worker
    finally:
        await worker.kill()
