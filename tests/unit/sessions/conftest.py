"""The transport over the contract's API, with sessions in a real database."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import Caller
from chamade_mcp.sessions.http import Endpoint
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry
from tests.support.mcp_house import McpHouse, mcp_house


@pytest.fixture
async def world(database_path: Path) -> AsyncGenerator[McpHouse]:
    async with mcp_house(database_path, clock=VirtualClock()) as house:
        await house.admit("ada")
        yield house


@pytest.fixture
def ada(world: McpHouse) -> Caller:
    return world.caller("ada")


@pytest.fixture
def endpoint(world: McpHouse, core_client: CoreClient) -> Endpoint:
    return world.sessions.endpoint(Registry(core_client))
