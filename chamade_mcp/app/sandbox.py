"""`chamade sandbox`: a gateway tied to emulated platforms, and a page that plays the people on them.

Nothing of it outlives the command. An agent's author tries an agent without an account anywhere.
"""

import asyncio
import logging
import secrets
import socket
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import uvloop

from chamade_mcp.app.beside import served_beside
from chamade_mcp.app.first_start import OWNER_EMAIL, claude_command, make_owner
from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings, own_url
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.manifest import Manifest, described
from chamade_mcp.kit.sandbox import Stage
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import Access, ConnectionState
from chamade_mcp.model.ids import Platform
from chamade_mcp.web.sandbox import Playing, sandbox_page

log = logging.getLogger(__name__)

_START_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    url: str
    """The gateway's."""
    page_url: str
    password: str
    """Of `OWNER_EMAIL`: nobody keeps what is forgotten with the command."""
    key: str
    serving: asyncio.Task[None]
    """Ends with a signal."""


def run(settings: Settings, page_port: int) -> None:
    """Returns once a signal has stopped it. Raises `SettingsError`."""
    uvloop.run(_run(settings, page_port))


async def _run(settings: Settings, page_port: int) -> None:
    with tempfile.TemporaryDirectory(prefix="chamade-sandbox-") as folder:
        async with sandbox(settings, Path(folder), page_port) as it:
            print(
                f"The gateway: {it.url}",
                f"Play the people: {it.page_url}",
                f"Sign in: {OWNER_EMAIL}, password {it.password}",
                f"API key: {it.key}",
                "Give it to Claude Code:",
                claude_command(it.url, it.key),
                "Everything is forgotten when this ends (Ctrl+C).",
                sep="\n",
                flush=True,
            )
            await asyncio.wait({it.serving})


def stages() -> dict[Platform, tuple[Manifest, Stage]]:
    """The platforms whose connectors can be played."""
    found: dict[Platform, tuple[Manifest, Stage]] = {}
    for name, manifest in described().items():
        module = f"chamade_mcp.connectors.{name}.sandbox"
        if manifest.available and find_spec(module) is not None:
            found[name] = manifest, import_module(module).stage()
    return found


@asynccontextmanager
async def sandbox(settings: Settings, folder: Path, page_port: int = 0) -> AsyncGenerator[Sandbox]:
    """Everything up, and a bot of the first account's connected on every platform."""
    played = stages()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings))
        port: int = listener.getsockname()[1]
        # Whatever address a real gateway on this machine has outside: this one is here, and for a moment.
        settings = settings.model_copy(update={"port": port, "public_url": own_url(settings.host, port)})
        platforms: dict[Platform, Mapping[str, str]] = {}
        for name, (_, stage) in played.items():
            await stack.enter_async_context(stage.running())
            url = await stack.enter_async_context(served_beside(stage.app))
            platforms[name] = stage.settings(url, settings.public_url)
        settings = settings.model_copy(update={"data_dir": folder, "platforms": platforms})
        settings = settings.model_copy(update={"database_url": f"sqlite:///{folder / 'chamade.db'}"})
        gateway = await stack.enter_async_context(build(settings))
        password = secrets.token_urlsafe(12)
        key = await make_owner(gateway.core.accounts, password)
        assert key is not None, "the folder is new"
        serving = await stack.enter_async_context(_serving(gateway, listener))
        owner = await gateway.core.accounts.find_by_email(OWNER_EMAIL)
        assert owner is not None
        await _connect(gateway, settings.public_url, owner, played)
        playing = [Playing(name, m.title, stage, _labels(m)) for name, (m, stage) in played.items()]
        page = sandbox_page(playing, settings.public_url)
        page_url = await stack.enter_async_context(served_beside(page, page_port))
        yield Sandbox(settings.public_url, page_url, password, key, serving)


def _labels(manifest: Manifest) -> Mapping[str, str]:
    return {field.name: field.label for field in (manifest.bot.fields if manifest.bot else ())}


async def _connect(
    gateway: Gateway, url: str, owner: Principal, played: Mapping[Platform, tuple[Manifest, Stage]]
) -> None:
    clock = SystemClock()
    for name, (_, stage) in played.items():
        listed = await gateway.core.connections.register(owner, name, stage.bot(), Access.OPEN)
        async with asyncio.timeout(_START_S):
            while gateway.core.connections.get(owner.bounds, listed.id).state is not ConnectionState.OK:
                await clock.sleep(0.02)
        await stage.connected(f"{url}/api/hooks/{name}/{listed.id}")


@asynccontextmanager
async def _serving(gateway: Gateway, listener: socket.socket) -> AsyncGenerator[asyncio.Task[None]]:
    ready = asyncio.Event()
    server = Server(gateway.app, drain=gateway.drain, ready=ready.set)
    task = asyncio.create_task(server.serve([listener]), name="sandbox gateway")
    try:
        async with asyncio.timeout(_START_S):
            await ready.wait()
        yield task
    finally:
        server.should_exit = True
        await task
