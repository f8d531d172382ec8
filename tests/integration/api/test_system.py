"""Whether the gateway is up, and what it says of itself."""

import httpx2

from tests.integration.api.conftest import House
from tests.support.problems import assert_problem


async def test_up_and_ready(house: House, nobody: httpx2.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/api/heartbeat"):
        assert (await nobody.get(path)).json()["status"] == "ok"
    await house.gateway.drain()
    assert_problem(await nobody.get("/readyz"), 503, "NOT_READY")
    assert (await nobody.get("/healthz")).status_code == 200
