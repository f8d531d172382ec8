"""A gateway tied to an emulated Microsoft Teams."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from chamade_mcp.connectors.teams.emulator import TeamsEmulator
from tests.support.hosted import Hosted, hosted
from tests.support.server import serve

COMMON = "/api/hooks/teams"
"""Where activities of every bot go."""


@dataclass(frozen=True, slots=True)
class Office:
    """A gateway, and the Microsoft it is tied to."""

    teams: TeamsEmulator
    gateway: Hosted

    async def connect(self, app_id: str, *, access: str = "open") -> str:
        """The connection's id, once its link is up and activities come."""
        made = await self.register(app_id, access=access)
        connection: str = made["id"]
        await self.gateway.state(connection, "ok")
        self.teams.set_endpoint(app_id, self.gateway.url + COMMON)
        return connection

    async def register(self, app_id: str, expect: int = 200, **more: Any) -> dict[str, Any]:
        bot = self.teams.bot(app_id)
        settings = {"app_id": app_id, "tenant_id": bot.tenant, "bot_name": bot.name}
        told = {"platform": "teams", "bot_token": bot.secret, "access": "open", "settings": settings, **more}
        return await self.gateway.post("/api/bot-tokens", expect, **told)


@asynccontextmanager
async def office(folder: Path, teams: TeamsEmulator | None = None, **settings: str) -> AsyncGenerator[Office]:
    teams = teams or TeamsEmulator()

    @asynccontextmanager
    async def app(url: str) -> AsyncGenerator[ASGIApp]:
        teams.at(url)
        async with teams.running():
            yield teams.app

    async with serve(app) as url:
        told = {"api_url": f"{url}/teams", "login_url": url, **settings}
        async with hosted(folder / "data", {"teams": told}) as gateway:
            yield Office(teams, gateway)
