"""The real gateway in this process, with one account, one key and platforms that behave as told."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import httpx2
import pytest

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.kit.manifest import Window
from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing import ScriptedConnector
from chamade_mcp.kit.testing_bots import ScriptedBots
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.ids import Platform
from tests.support.elsewhere import Elsewhere

EMAIL = "owner@example.org"
PASSWORD = "correct horse battery"
BASE_URL = "http://127.0.0.1:8000"
FILE_CAP = 1024 * 1024


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    owner: Principal
    key: str
    scripted: ScriptedConnector
    """Everything works there."""
    ears: ScriptedConnector
    """There one can listen but not speak, and messages are short."""
    bots: ScriptedBots
    """There people bring their own bots."""
    windowed: ScriptedConnector
    """There the agent may write only a day after the person has."""
    elsewhere: Elsewhere
    """The servers that URLs may name."""

    async def new_key(self, *permissions: Permission) -> str:
        made = await self.gateway.core.accounts.create_key(
            self.owner.scope, "another", permissions=frozenset(permissions or Permission)
        )
        return made.value

    async def other_account(self, *, verified: bool = True) -> str:
        """The key of somebody else."""
        accounts = self.gateway.core.accounts
        await accounts.create("other@example.org", PASSWORD, verified=verified)
        other = await accounts.find_by_email("other@example.org")
        assert other is not None
        return (await accounts.create_key(other.scope, "other")).value


@pytest.fixture
async def house(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[House]:
    """Parametrized indirectly: with further settings."""
    scripted = ScriptedConnector(dials=True)
    ears = ScriptedConnector(
        frozenset({Capability.AUDIO_IN, Capability.READ, Capability.WRITE}), platform=Platform("ears")
    )
    ears.manifest = replace(ears.manifest, text_limit=40)
    bots = ScriptedBots()
    windowed = ScriptedConnector(platform=Platform("whatsapp"), window=Window(86400, 7 * 86400))
    found = discover()
    ours = {one.manifest.platform: one for one in (scripted, ears, bots, windowed)}
    registry = Registry(
        MappingProxyType({**found.manifests, **{name: one.manifest for name, one in ours.items()}}),
        MappingProxyType({**found.connectors, **ours}),
        # No test may reach a platform: its address is a port at which nobody listens.
        {name: {"api_url": "http://127.0.0.1:9"} for name, m in found.manifests.items() if not m.embedded},
    )
    settings = Settings(
        data_dir=tmp_path / "data", files_max_size_mb=1, files_quota_mb=8, max_concurrent_calls=3
    ).model_copy(update=getattr(request, "param", {}))
    elsewhere = Elsewhere()
    async with build(settings, registry=registry, outbound=elsewhere.outbound()) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True)
        owner = await gateway.core.accounts.find_by_email(EMAIL)
        assert owner is not None
        key = await gateway.core.accounts.create_key(owner.scope, "test")
        yield House(gateway, owner, key.value, scripted, ears, bots, windowed, elsewhere)


def client_of(house: House, **headers: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(house.gateway.app)
    return httpx2.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


@pytest.fixture
async def api(house: House) -> AsyncGenerator[httpx2.AsyncClient]:
    """Calls with the key."""
    async with client_of(house, **{"x-api-key": house.key}) as client:
        yield client


@pytest.fixture
async def person(house: House) -> AsyncGenerator[httpx2.AsyncClient]:
    """The owner, in a browser."""
    async with client_of(house, origin=BASE_URL) as browser:
        signed_in = await browser.post("/api/sign-in", json={"email": EMAIL, "password": PASSWORD})
        signed_in.raise_for_status()
        yield browser


@pytest.fixture
async def nobody(house: House) -> AsyncGenerator[httpx2.AsyncClient]:
    """Calls without one."""
    async with client_of(house) as client:
        yield client


@pytest.fixture
async def ws_url(house: House) -> AsyncGenerator[str]:
    listener = listen(Settings(host="127.0.0.1", port=0))
    server = Server(house.gateway.app, drain=house.gateway.drain)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(serving, 10)
