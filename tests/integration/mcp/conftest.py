"""A gateway's MCP endpoint on loopback, and the official SDK's client in both protocol eras."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.routing import Router
from starlette.types import ASGIApp

from chamade_mcp.sessions.edge import hosts_for, origins_for
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.mcp import mcp_app
from chamade_mcp.tools.transport import InProcess
from tests.support.core_api import KEY, FakeCore, authenticate
from tests.support.mcp_house import mcp_house
from tests.support.server import serve


class Connect(Protocol):
    """Opens a client at the URL with the key, or with the fake API's."""

    def __call__(self, url: str, key: str = KEY) -> AbstractAsyncContextManager[Client]: ...


@pytest.fixture
async def gateway(core_api: FakeCore, tmp_path: Path) -> AsyncGenerator[str]:
    """Base URL of a running gateway with the contract's API behind its tools."""

    @asynccontextmanager
    async def build(url: str) -> AsyncGenerator[ASGIApp]:
        async with mcp_house(tmp_path / "chamade.db") as house:
            mcp = mcp_app(
                CoreClient(InProcess(core_api.app())),
                authenticate,
                house.sessions,
                allowed_hosts=hosts_for(url),
                allowed_origins=origins_for(url),
            )
            yield Router(mcp.routes)

    async with serve(build) as url:
        yield url


@pytest.fixture(params=["legacy", "2026-07-28", "auto"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Opens the SDK's client at a URL: by handshake, by the stateless era, and letting it choose."""
    mode: str = request.param

    @asynccontextmanager
    async def open_client(url: str, key: str = KEY) -> AsyncGenerator[Client]:
        headers = {"authorization": f"Bearer {key}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=10) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            yield client

    return open_client
