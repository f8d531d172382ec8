"""Thousands of requests made from the API's own document: what it promises is what happens."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import uvicorn

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import build
from tests.support.elsewhere import Elsewhere

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
EXAMPLES = 15
BOUND_S = 240


@dataclass
class Running:
    """A gateway on an event loop and a thread of its own, so that a blocking client can call it."""

    data_dir: Path
    key: str = ""
    url: str = ""
    up: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings(
            data_dir=self.data_dir, public_url=self.url, files_max_size_mb=1, max_concurrent_calls=10_000
        )
        async with build(settings, outbound=Elsewhere().outbound()) as gateway:
            await gateway.core.accounts.create("owner@example.org", "a password of many words", verified=True)
            owner = await gateway.core.accounts.find_by_email("owner@example.org")
            assert owner is not None
            self.key = (await gateway.core.accounts.create_key(owner.scope, "schemathesis")).value
            config = uvicorn.Config(
                gateway.app, http="httptools", ws="none", lifespan="off", access_log=False, log_level="error"
            )
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            self.up.set()
            await asyncio.to_thread(self.stop.wait)
            server.should_exit = True
            await serving


@contextmanager
def running(data_dir: Path) -> Generator[Running]:
    gateway = Running(data_dir)
    thread = threading.Thread(target=gateway.run)
    thread.start()
    try:
        assert gateway.up.wait(30), "the gateway did not start"
        yield gateway
    finally:
        gateway.stop.set()
        thread.join(30)


def test_the_api_keeps_its_own_document(tmp_path: Path) -> None:
    with running(tmp_path / "data") as gateway:
        paths = httpx2.get(f"{gateway.url}/openapi.json").json()["paths"]
        # The tool leaves out what it reads the document from, and what its configuration says, with reasons.
        told = tomllib.loads(CONFIG.read_text())["operations"]
        left_out = {one["include-name"] for one in told if not one.get("enabled", True)} | {
            "GET /openapi.json"
        }
        named = [f"{method.upper()} {path}" for path, item in paths.items() for method in item]
        assert left_out < set(named)
        operations = len(named) - len(left_out)
        finished = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG),
                "run", f"{gateway.url}/openapi.json", "-H", f"Authorization: Bearer {gateway.key}",
                "--phases", "coverage,fuzzing,stateful", "--max-examples", str(EXAMPLES),
                "--checks", "all", "--seed", "20261120", "--wait-for-schema", "10",
            ],
            env=os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
            cwd=tmp_path, capture_output=True, text=True, timeout=BOUND_S, check=False,
        )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert f"{operations} passed" in finished.stdout, finished.stdout
