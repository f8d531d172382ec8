"""The HTTP client for a server that somebody other than who runs the gateway has named."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx2

from chamade_mcp.kit.clock import Clock, SystemClock
from chamade_mcp.kit.http import platform_client
from chamade_mcp.kit.outbound import Failed, Outbound, Refused
from chamade_mcp.kit.recent import Recent

_FRESH_S: Final = 10.0
"""So long an address is good that was looked at: a chat asks the same server time and again."""
_REMEMBERED: Final = 100


class Guarded(httpx2.AsyncBaseTransport):
    """Every request goes to an address that was looked at shortly before: one of the public Internet, over
    https. A name that points elsewhere by now is not followed there unseen.

    `trusted` hosts, as ``host`` or ``host:port``, may be anywhere, and be spoken to over http.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        outbound: Outbound,
        trusted: Collection[str],
        clock: Clock | None = None,
    ) -> None:
        self._inner = inner
        self._outbound = outbound
        self._trusted = trusted
        self._clock = clock or SystemClock()
        self._looked_at: Recent[tuple[str, bytes, bytes], tuple[float, Sequence[httpx2.URL]]] = Recent(
            _REMEMBERED
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        roots = await self._roots(request.url)
        extensions = {
            **request.extensions,
            # The certificate is checked for the name, the connection goes to the address.
            "sni_hostname": request.url.host,
            # What is asked for there. As a part of the URL it would be read anew each time, for 40 us.
            "target": request.url.raw_path,
        }
        for root in roots:
            pinned = httpx2.Request(
                request.method,
                root,
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except httpx2.ConnectError:
                continue
        self._looked_at.pop(_place(request.url), None)  # it may have moved
        raise httpx2.ConnectError(f"{request.url.host} cannot be reached")

    async def _roots(self, url: httpx2.URL) -> Sequence[httpx2.URL]:
        """By address, where the requests go; without a path."""
        now, place = self._clock.monotonic(), _place(url)
        at, roots = self._looked_at.get(place, (float("-inf"), ()))
        if now - at < _FRESH_S:
            return roots
        # What comes after the host goes nowhere else, and may be longer than an address of a stranger's.
        root = url.copy_with(raw_path=b"/", fragment=None)
        try:
            addresses = await self._outbound.addresses(str(root), trusted=self._trusted)
        except (Refused, Failed) as error:
            raise httpx2.ConnectError(str(error)) from None
        roots = [root.copy_with(host=str(address)) for address in addresses]
        self._looked_at[place] = now, roots
        return roots

    async def aclose(self) -> None:
        await self._inner.aclose()


def _place(url: httpx2.URL) -> tuple[str, bytes, bytes]:
    """All of it that is looked at."""
    return url.scheme, url.userinfo, url.netloc


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
