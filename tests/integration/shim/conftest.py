"""A misbehaving endpoint, and both shims in front of it."""

from collections.abc import AsyncGenerator

import pytest

from tests.support.shim import COMMANDS
from tests.support.streamable import Endpoint, open_endpoint


@pytest.fixture(params=sorted(COMMANDS))
def twin(request: pytest.FixtureRequest) -> str:
    """Which shim: the Python one, the Node one."""
    return request.param


@pytest.fixture
async def endpoint() -> AsyncGenerator[Endpoint]:
    async with open_endpoint() as endpoint:
        yield endpoint
