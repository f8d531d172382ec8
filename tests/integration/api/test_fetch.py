"""Fetching with the real HTTP client, from a server on loopback that the guard takes for a public one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import httpx2
import pytest

from chamade_mcp.kit.outbound import Download, Failed, Outbound, TookTooLong
from tests.support.elsewhere import PUBLIC_ADDRESS


class Detour(httpx2.AsyncHTTPTransport):
    """Opens every connection to one port of this machine instead, and records where it should have gone."""

    def __init__(self, port: int) -> None:
        super().__init__(trust_env=False)
        self._port = port
        self.wanted: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.wanted.append(request.url.host)
        there = request.url.copy_with(host="127.0.0.1", port=self._port)
        detour = httpx2.Request("GET", there, headers=request.headers, extensions=request.extensions)
        return await super().handle_async_request(detour)


@asynccontextmanager
async def server(
    *answer: bytes, stalls: bool = False
) -> AsyncGenerator[tuple[Outbound, Detour, list[bytes]]]:
    """One that says `answer` to whoever asks, and then closes the line or says nothing more."""
    asked: list[bytes] = []
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        for part in answer:
            writer.write(part)
            await writer.drain()
        if stalls:
            await over.wait()
        writer.close()

    async def resolve(host: str, port: int) -> Sequence[str]:
        return [PUBLIC_ADDRESS]

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    detour = Detour(listening.sockets[0].getsockname()[1])
    try:
        yield Outbound(resolve=resolve, transport=detour), detour, asked
    finally:
        over.set()
        listening.close()
        await listening.wait_closed()


async def fetch(outbound: Outbound, timeout_s: float = 5) -> tuple[Download, bytes]:
    async with outbound.download("http://files.example/a%20b?c=d", timeout_s=timeout_s) as found:
        return found, b"".join([chunk async for chunk in found.chunks])


async def test_a_file_in_pieces() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with server(head, b"3\r\nGIF\r\n", b"3\r\n89a\r\n0\r\n\r\n") as (outbound, detour, asked):
        found, body = await fetch(outbound)
    assert (found.status, found.headers["content-type"], body) == (200, "image/gif", b"GIF89a")
    assert detour.wanted == [PUBLIC_ADDRESS]
    (request,) = asked
    assert request.startswith(b"GET /a%20b?c=d HTTP/1.1\r\n")
    assert b"host: files.example\r\n" in request.lower()
    assert b"cookie" not in request.lower()


@pytest.mark.parametrize(
    "answer",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"half"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhal"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",),
        (b"SSH-2.0-OpenSSH_9.2\r\n",),
        (b"",),
    ],
)
async def test_servers_that_break_off_or_speak_something_else(answer: tuple[bytes, ...]) -> None:
    async with server(*answer) as (outbound, _, _):
        with pytest.raises(Failed):
            await fetch(outbound)


@pytest.mark.parametrize("said", [(), (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"half")])
async def test_a_server_that_never_ends(said: tuple[bytes, ...]) -> None:
    async with server(*said, stalls=True) as (outbound, _, _):
        with pytest.raises(TookTooLong):
            await fetch(outbound, timeout_s=0.3)
