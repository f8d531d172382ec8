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


async def test_the_reference_page_needs_nothing_from_elsewhere(nobody: httpx2.AsyncClient) -> None:
    page = await nobody.get("/docs/api")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    document = (await nobody.get("/openapi.json")).json()
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    style = await nobody.get("/docs/api/reference.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "http" not in style.text
