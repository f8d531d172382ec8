"""Requests to servers that strangers name go to addresses that were looked at."""

from collections.abc import Sequence

import httpx2
import pytest

from chamade_mcp.kit.guarded import Guarded
from chamade_mcp.kit.outbound import Outbound

PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.1"


async def resolve(host: str, port: int) -> Sequence[str]:
    del port
    return [PRIVATE if host.startswith("inner") else PUBLIC]


@pytest.fixture
def asked() -> list[httpx2.Request]:
    return []


@pytest.fixture
def http(asked: list[httpx2.Request]) -> httpx2.AsyncClient:
    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200)

    inner = httpx2.MockTransport(answer)
    guard = Guarded(inner, Outbound(resolve=resolve), frozenset({"inner.example.org:8080"}))
    return httpx2.AsyncClient(transport=guard)


async def test_the_connection_goes_to_the_address_and_the_name_is_asked_for(
    http: httpx2.AsyncClient, asked: list[httpx2.Request]
) -> None:
    long = f"/put/{'x' * 3000}?tempauth={'y' * 3000}"
    assert (await http.put(f"https://files.example.org{long}")).status_code == 200
    (request,) = asked
    assert (request.url.host, request.url.raw_path.decode()) == (PUBLIC, long)
    assert request.headers["host"] == "files.example.org"
    assert request.extensions["sni_hostname"] == "files.example.org"


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://inner.example.org/",
            "http://files.example.org/",
            "https://127.0.0.1/",
            "https://localhost/",
        ),
        *("http://inner.example.org/", "https://2130706433/", "https://me:pw@files.example.org/"),
    ],
)
async def test_nothing_else_is_connected_to(
    http: httpx2.AsyncClient, asked: list[httpx2.Request], url: str
) -> None:
    with pytest.raises(httpx2.ConnectError):
        await http.get(url)
    assert asked == []


async def test_what_is_trusted_may_be_anywhere(http: httpx2.AsyncClient, asked: list[httpx2.Request]) -> None:
    await http.get("http://inner.example.org:8080/x")
    assert [str(one.url) for one in asked] == [f"http://{PRIVATE}:8080/x"]
