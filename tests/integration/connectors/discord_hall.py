"""A gateway, and the emulated Discord that its bots are at."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from chamade_mcp.connectors.discord.emulator import DiscordEmulator
from tests.support.hosted import Hosted, hosted
from tests.support.server import serve


@dataclass(frozen=True, slots=True)
class Hall:
    """A gateway, and the Discord its bots are at."""

    discord: DiscordEmulator
    gateway: Hosted

    async def connect(self, token: str, **more: Any) -> str:
        """The connection's id, once events come."""
        made = await self.register(token, **more)
        connection: str = made["id"]
        await self.gateway.state(connection, "ok")
        return connection

    async def register(self, token: str, expect: int = 200, **more: Any) -> dict[str, Any]:
        app = {"bot_token": token, "discord_app_id": self.discord.bot(token).app_id}
        bot = {"platform": "discord", "access": "open", **app}
        return await self.gateway.post("/api/bot-tokens", expect, **{**bot, **more})


@asynccontextmanager
async def emulated() -> AsyncGenerator[tuple[DiscordEmulator, str]]:
    discord = DiscordEmulator()
    discord.limits.window_s = 0.5

    @asynccontextmanager
    async def app(url: str) -> AsyncGenerator[ASGIApp]:
        async with discord.running():
            yield discord.app

    async with serve(app) as url:
        yield discord, f"{url}/api/v10"


@asynccontextmanager
async def opened(folder: Path, discord: DiscordEmulator, url: str, **settings: str) -> AsyncGenerator[Hall]:
    """`settings` are what who runs the gateway sets besides."""
    async with hosted(folder / "data", {"discord": {"api_url": url, **settings}}) as gateway:
        yield Hall(discord, gateway)
