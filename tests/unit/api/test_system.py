"""Whether requests are taken, and what is in the way when they are not."""

import httpx2
import pytest

from chamade_mcp.api.access import Gate
from chamade_mcp.api.dispatch import Dispatch
from chamade_mcp.api.errors import Problems
from chamade_mcp.api.routing import Router
from chamade_mcp.api.system import SystemGroup
from chamade_mcp.kit.testing import VirtualClock
from tests.support.problems import assert_problem
from tests.unit.api.test_dispatch import Doors


@pytest.mark.parametrize(
    ("ready", "answers", "detail"),
    [(True, False, "The database does not answer"), (False, True, "Starting or shutting down")],
)
async def test_what_is_in_the_way_is_named(ready: bool, answers: bool, detail: str) -> None:
    async def database_answers() -> bool:
        return answers

    group = SystemGroup(lambda: ready, database_answers, VirtualClock()).group()
    gate = Gate(doors := Doors(), b"chamade", "http://gateway.test")
    app = Problems(Dispatch(Router(group.operations), gate, doors, large_body_bytes=1))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://gateway.test"
    ) as client:
        problem = assert_problem(await client.get("/readyz"), 503, "NOT_READY")
        assert problem["detail"] == detail
        assert (await client.get("/healthz")).status_code == 200
