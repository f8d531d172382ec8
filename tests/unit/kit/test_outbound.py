"""What is fetched for strangers, and what never is. No packet leaves: resolver and connector are ours."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address

import httpx2
import pytest

from chamade_mcp.kit.addresses import is_public
from chamade_mcp.kit.outbound import (
    MAX_REDIRECTS,
    BadUrl,
    Download,
    Failed,
    Fetched,
    Outbound,
    Refused,
    TookTooLong,
)
from tests.support.requirement import requirement

URL = "https://client.example/metadata.json"
PUBLIC = "93.184.215.14"
CLOSED = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.215.14",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::5db8:d70e",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


class Line(httpx2.AsyncBaseTransport):
    """Records every connection that would be made."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.closed = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed += 1


class Chunks(httpx2.AsyncByteStream):
    def __init__(self, *chunks: bytes, then: asyncio.Event | None = None) -> None:
        self.chunks = chunks
        self.then = then
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk
        if self.then is not None:
            await self.then.wait()

    async def aclose(self) -> None:
        self.closed = True


def guard(line: Line, *addresses: str) -> Outbound:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if not addresses:
            raise OSError("no such host")
        return addresses

    return Outbound(resolve=resolve, transport=line)


def names(line: Line, **hosts: str) -> Outbound:
    """Several hosts with an address each; the names have underscores for dots."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [hosts[host.replace(".", "_")]]

    return Outbound(resolve=resolve, transport=line)


def moved(location: str, status: int = 302) -> httpx2.Response:
    return httpx2.Response(status, headers={"location": location}, stream=Chunks())


async def download(outbound: Outbound, url: str = URL, timeout_s: float = 3.0) -> tuple[Download, bytes]:
    async with outbound.download(url, timeout_s=timeout_s) as found:
        return found, b"".join([chunk async for chunk in found.chunks])


async def get(outbound: Outbound, url: str = URL, timeout_s: float = 3.0) -> Fetched:
    return await outbound.get(url, accept="application/json", max_bytes=100, timeout_s=timeout_s)


@requirement("R-145", "R-146")
@pytest.mark.parametrize("address", CLOSED)
async def test_no_address_of_ours_is_connected_to(address: str) -> None:
    assert not is_public(ip_address(address))
    line = Line()
    with pytest.raises(Refused):
        await get(guard(line, address))
    with pytest.raises(Refused):  # one bad address among good ones spoils all
        await get(guard(line, PUBLIC, address))
    with pytest.raises(Refused):
        await download(guard(line, PUBLIC, address), "http://client.example/a.png")
    assert line.requests == []


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_the_public_internet(address: str) -> None:
    assert is_public(ip_address(address))


async def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    line = Line(httpx2.Response(200, headers={"ETag": "x"}, stream=Chunks(b"he", b"llo")))
    fetched = await get(guard(line, PUBLIC), "https://client.example:8443/a?b=c")
    assert (fetched.status, fetched.body, fetched.headers["etag"]) == (200, b"hello", "x")
    (request,) = line.requests
    assert (request.url.host, request.url.port, request.url.scheme) == (PUBLIC, 8443, "https")
    assert request.url.raw_path == b"/a?b=c"
    assert request.headers["host"] == "client.example:8443"
    assert request.extensions["sni_hostname"] == "client.example"
    assert line.closed == 1


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    line = Line(httpx2.Response(302, headers={"location": "http://127.0.0.1/"}, stream=Chunks()))
    assert (await get(guard(line, PUBLIC))).status == 302
    assert len(line.requests) == 1


async def test_the_next_address_when_one_is_dead() -> None:
    line = Line(httpx2.ConnectError("refused"), httpx2.Response(200, stream=Chunks(b"x")))
    assert (await get(guard(line, PUBLIC, "1.1.1.1"))).body == b"x"
    assert [request.url.host for request in line.requests] == [PUBLIC, "1.1.1.1"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://client.example/",
        "file:///etc/passwd",
        "https://127.0.0.1/",
        "https://93.184.215.14/",
        "https://[::1]/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://client.0x7f/",
        "https://localhost/",
        "https://client/",
        "https://client.example./",
        "https://user:secret@client.example/",
        "https://client.example:0/",
        "https://client.example:99999/",
        "https://client.example\\@127.0.0.1/",
        "https://client.example/\r\nx",
        "https://clié.example/",
        "https://-.example/",
        "https:///x",
        "",
    ],
)
async def test_urls_that_are_not_even_resolved(url: str) -> None:
    for fetch in (get, download):
        with pytest.raises(BadUrl):
            await fetch(guard(Line()), url)


@pytest.mark.parametrize("url", ["http://client.example/", "https://client.example/#x"])
async def test_documents_come_over_https_alone_and_whole(url: str) -> None:
    with pytest.raises(BadUrl):
        await get(guard(Line()), url)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, stream=Chunks(b"x" * 60, b"x" * 60)),
        httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Chunks(b"x")),
        httpx2.ConnectError("refused"),
        httpx2.ReadError("reset"),
        httpx2.RemoteProtocolError("no HTTP"),
    ],
)
async def test_what_fails(answer: httpx2.Response | Exception) -> None:
    line = Line(answer)
    with pytest.raises(Failed):
        await get(guard(line, PUBLIC))
    assert line.closed == 1


async def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(Failed, match="cannot be resolved"):
        await get(guard(Line()))
    with pytest.raises(Failed, match="cannot be resolved"):
        await get(guard(Line(), "no address"))


async def test_time_is_bounded_for_all_of_it() -> None:
    body = Chunks(b"x", then=asyncio.Event())
    line = Line(httpx2.Response(200, stream=body))
    with pytest.raises(Failed, match="did not answer"):
        await get(guard(line, PUBLIC), timeout_s=0.05)
    assert body.closed


async def test_a_file_comes_over_http_too_and_fragments_stay_here() -> None:
    line = Line(httpx2.Response(200, headers={"Content-Type": "image/png"}, stream=Chunks(b"a", b"b")))
    found, body = await download(guard(line, PUBLIC), "http://files.example/a.png#page=2")
    assert (found.url, found.host, found.status) == ("http://files.example/a.png", "files.example", 200)
    assert (found.headers["content-type"], body) == ("image/png", b"ab")
    (request,) = line.requests
    assert (request.url.host, request.url.port, request.url.scheme) == (PUBLIC, None, "http")
    assert request.headers["host"] == "files.example"
    assert not {"cookie", "authorization", "referer"} & set(request.headers)


@requirement("R-147")
async def test_each_redirect_is_looked_at_anew() -> None:
    line = Line(moved("https://two.example/b"), moved("/c?d", 307), httpx2.Response(200, stream=Chunks(b"x")))
    outbound = names(line, one_example="93.184.215.14", two_example="1.1.1.1")
    found, body = await download(outbound, "https://one.example/a")
    assert (found.url, body) == ("https://two.example/c?d", b"x")
    assert [(r.url.host, r.headers["host"]) for r in line.requests] == [
        ("93.184.215.14", "one.example"), ("1.1.1.1", "two.example"), ("1.1.1.1", "two.example")
    ]  # fmt: skip
    assert line.closed == 3


@requirement("R-145", "R-146", "R-147")
@pytest.mark.parametrize(
    "location",
    [
        "http://metadata.example/latest/meta-data",
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://localhost/",
        "//127.0.0.1/",
        "https://user:secret@one.example/",
        "file:///etc/passwd",
        "ftp://one.example/a",
        "https://[::1",
        "https://one.example:0/",
    ],
)
async def test_a_redirect_leads_nowhere_that_is_closed(location: str) -> None:
    line = Line(moved(location))
    outbound = names(line, one_example=PUBLIC, metadata_example="169.254.169.254")
    with pytest.raises(Refused) as refused:
        await download(outbound, "https://one.example/a")
    assert not isinstance(refused.value, BadUrl)
    assert len(line.requests) == 1


@requirement("R-145", "R-147")
async def test_a_name_that_changes_its_address_is_looked_at_again() -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]

    async def rebinds(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    line = Line(moved("/again"))
    with pytest.raises(Refused, match="not on the public Internet"):
        await download(Outbound(resolve=rebinds, transport=line), "https://one.example/a")
    assert [request.url.host for request in line.requests] == [PUBLIC]


@requirement("R-147")
async def test_redirects_come_to_an_end() -> None:
    line = Line(*(moved(f"/{n}") for n in range(20)))
    with pytest.raises(Failed, match="more than 5 redirects"):
        await download(guard(line, PUBLIC))
    assert len(line.requests) == MAX_REDIRECTS + 1


async def test_a_redirect_without_a_place_is_an_answer() -> None:
    found, _ = await download(guard(Line(httpx2.Response(302, stream=Chunks())), PUBLIC))
    assert found.status == 302


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Chunks(b"x")),
        httpx2.ConnectError("refused"),
        httpx2.RemoteProtocolError("no HTTP"),
    ],
)
async def test_what_fails_to_come(answer: httpx2.Response | Exception) -> None:
    line = Line(answer)
    with pytest.raises(Failed):
        await download(guard(line, PUBLIC))
    assert line.closed == 1


async def test_a_reader_who_has_enough_closes_the_line() -> None:
    body = Chunks(b"x" * 60, b"x" * 60, then=asyncio.Event())
    line = Line(httpx2.Response(200, stream=body))
    async with guard(line, PUBLIC).download(URL, timeout_s=3) as found:
        assert len(await anext(found.chunks)) == 60
    assert body.closed
    assert line.closed == 1


async def test_the_time_of_a_file_counts_its_redirects_and_its_bytes() -> None:
    body = Chunks(b"x", then=asyncio.Event())
    line = Line(moved("/b"), httpx2.Response(200, stream=body))
    with pytest.raises(TookTooLong, match="did not answer"):
        await download(guard(line, PUBLIC), timeout_s=0.05)
    assert body.closed


async def test_somebody_elses_timeout_is_not_ours() -> None:
    with pytest.raises(TimeoutError):
        async with guard(Line(httpx2.Response(200, stream=Chunks())), PUBLIC).download(URL, timeout_s=3):
            raise TimeoutError
