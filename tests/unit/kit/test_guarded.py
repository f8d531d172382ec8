"""Requests to servers that strangers name go to addresses that were looked at."""

from collections.abc import Sequence

import httpx2
import pytest

from chamade_mcp.kit.guarded import Guarded
from chamade_mcp.kit.outbound import Outbound
from chamade_mcp.kit.testing import VirtualClock

PUBLIC, MOVED, PRIVATE = "93.184.215.14", "93.184.215.15", "10.0.0.1"


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
    assert (request.url.host, request.extensions["target"].decode()) == (PUBLIC, long)
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
    (request,) = asked
    assert (str(request.url), request.extensions["target"]) == (f"http://{PRIVATE}:8080/", b"/x")


async def test_an_address_is_good_for_ten_seconds() -> None:
    clock, addresses, looked = VirtualClock(), [PUBLIC], list[str]()
    down = set[str]()
    asked: list[str] = []

    async def look(host: str, port: int) -> Sequence[str]:
        looked.append(f"{host}:{port}")
        return list(addresses)

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.host)
        if request.url.host in down:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200)

    guard = Guarded(httpx2.MockTransport(answer), Outbound(resolve=look), frozenset(), clock)
    async with httpx2.AsyncClient(transport=guard) as http:
        for _ in range(3):
            await http.get("https://files.example.org/x")
        assert (asked, looked) == ([PUBLIC] * 3, ["files.example.org:443"])
        for other in ("https://files.example.org:8443/", "https://other.example.org/"):
            await http.get(other)
        assert looked[1:] == ["files.example.org:8443", "other.example.org:443"]
        for refused in ("http://files.example.org/", "https://me:pw@files.example.org/"):
            with pytest.raises(httpx2.ConnectError):
                await http.get(refused)
        addresses[:] = [PRIVATE]
        await clock.advance(9)
        await http.get("https://files.example.org/x")
        await clock.advance(1)
        with pytest.raises(httpx2.ConnectError):  # and where the name points to by now, nothing ever went
            await http.get("https://files.example.org/x")
        assert set(asked) == {PUBLIC}
        addresses[:] = [PUBLIC]
        await http.get("https://files.example.org/x")
        addresses[:] = [MOVED]
        down.add(PUBLIC)
        with pytest.raises(httpx2.ConnectError):
            await http.get("https://files.example.org/x")
        await http.get("https://files.example.org/x")
        assert asked[-1] == MOVED
