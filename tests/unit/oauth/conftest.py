"""The gateway in memory, the rest of the world too, and time that stands still."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.kit.testing import VirtualClock
from tests.support.oauth import CALLBACK, EMAIL, PASSWORD, Elsewhere, Person, Program

URL = "https://voice.example.org"


@dataclass(slots=True)
class World:
    gateway: Gateway
    clock: VirtualClock
    elsewhere: Elsewhere
    http: httpx2.AsyncClient
    """Without cookies: programs."""
    person: Person
    database_path: Path

    def program(self, method: str = "none", **known: str) -> Program:
        return Program(self.http, URL, method=method, **known)

    async def registered(self, method: str = "none", uris: Sequence[str] = (CALLBACK,)) -> Program:
        program = self.program(method)
        response = await program.register(uris)
        assert response.status_code == 201, response.text
        return program

    async def tokens(self, program: Program, **changes: str | None) -> dict[str, str]:
        """What a client has after the whole flow."""
        response = await program.redeem(await self.person.answer(program.address(**changes)))
        assert response.status_code == 200, response.text
        return response.json()

    async def api(self, token: str, path: str = "/api/account", method: str = "GET") -> httpx2.Response:
        return await self.http.request(method, f"{URL}{path}", headers={"authorization": f"Bearer {token}"})


def browser(gateway: Gateway) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(gateway.app), base_url=URL)


@pytest.fixture
async def world(database_path: Path) -> AsyncGenerator[World]:
    clock, elsewhere = VirtualClock(), Elsewhere()
    settings = Settings(data_dir=database_path.parent, public_url=URL)
    async with build(settings, clock=clock, outbound=elsewhere.outbound()) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True, name="Ann")
        async with browser(gateway) as http, browser(gateway) as cookies:
            yield World(gateway, clock, elsewhere, http, Person(cookies, URL), database_path)
