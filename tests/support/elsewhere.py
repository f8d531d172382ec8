"""The servers that URLs name, in memory: no packet leaves."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from chamade_mcp.kit.outbound import Outbound

PUBLIC_ADDRESS = "93.184.215.14"


@dataclass(slots=True)
class Page:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    chunks: Sequence[bytes] = ()
    stalls: bool = False
    """After its chunks nothing comes, not even an end."""


class Elsewhere(httpx2.AsyncBaseTransport):
    """Resolver and connector in one. Records where connections would have gone."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        """By the URL with its name, as it was asked for; all else is 404."""
        self.names: dict[str, Sequence[str]] = {}
        """Addresses by host; what is not there has a public one, and none means it does not exist."""
        self.connected: list[str] = []
        """The address of every connection."""
        self.sent_bytes = 0

    def outbound(self) -> Outbound:
        return Outbound(resolve=self.resolve, transport=self)

    def serve(self, url: str, *chunks: bytes, status: int = 200, stalls: bool = False, **headers: str) -> str:
        """`headers` have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[url] = Page(status, named, chunks, stalls)
        return url

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        found = self.names.get(host, (PUBLIC_ADDRESS,))
        if not found:
            raise OSError("no such host")
        return found

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.connected.append(request.url.host)
        scheme, path = urlsplit(str(request.url)).scheme, request.url.raw_path.decode()
        page = self.pages.get(f"{scheme}://{request.headers['host']}{path}", Page(404))
        return httpx2.Response(page.status, headers=page.headers, stream=_Body(self, page))


class _Body(httpx2.AsyncByteStream):
    def __init__(self, elsewhere: Elsewhere, page: Page) -> None:
        self._elsewhere = elsewhere
        self._page = page

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._page.chunks:
            self._elsewhere.sent_bytes += len(chunk)
            yield chunk
        if self._page.stalls:
            await asyncio.Event().wait()
