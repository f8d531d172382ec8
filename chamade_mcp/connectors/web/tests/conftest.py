from collections.abc import AsyncGenerator

import pytest

from chamade_mcp.connectors.web.tests.harness import World, live_world


@pytest.fixture
async def world() -> AsyncGenerator[World, None]:
    async with live_world() as served:
        yield served
