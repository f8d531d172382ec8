"""The HTTP client for a server that somebody other than who runs the gateway has named."""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager

import httpx2

from chamade_mcp.kit.http import platform_client
from chamade_mcp.kit.outbound import Failed, Outbound, Refused


class Guarded(httpx2.AsyncBaseTransport):
    """Every request goes to an address that was looked at just then: one of the public Internet, over https.

    `trusted` hosts, as ``host`` or ``host:port``, may be anywhere, and be spoken to over http.
    """

    def __init__(
        self, inner: httpx2.AsyncBaseTransport, outbound: Outbound, trusted: Collection[str]
    ) -> None:
        self._inner = inner
        self._outbound = outbound
        self._trusted = trusted

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        # What comes after the host goes nowhere else, and may be longer than an address of a stranger's.
        place = request.url.copy_with(raw_path=b"/", fragment=None)
        try:
            addresses = await self._outbound.addresses(str(place), trusted=self._trusted)
        except (Refused, Failed) as error:
            raise httpx2.ConnectError(str(error)) from None
        # The certificate is checked for the name, the connection goes to the address.
        extensions = {**request.extensions, "sni_hostname": request.url.host}
        for address in addresses:
            pinned = httpx2.Request(
                request.method,
                request.url.copy_with(host=str(address)),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except httpx2.ConnectError:
                continue
        raise httpx2.ConnectError(f"{request.url.host} cannot be reached")

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def guarded_client(
    base_url: str, trusted: Collection[str], headers: Mapping[str, str] | None = None
) -> AsyncGenerator[httpx2.AsyncClient]:
    """As `platform_client`, for a `base_url` that a stranger may have named."""
    outbound = Outbound()
    async with platform_client(
        base_url, headers, through=lambda it: Guarded(it, outbound, trusted)
    ) as client:
        yield client
