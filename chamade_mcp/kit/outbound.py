"""Fetching what a stranger named, without becoming the stranger's hand inside our network (SSRF).

The name is resolved once, every address it has must be one of the public Internet, and the connection goes to
the very address that was looked at. https only, no redirects, no proxy, a bound on time and size.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses as text. Raises `OSError`."""

# A name has a dot, and its last label is no number: 127.1, 0x7f.1 and 017700000001 are addresses in disguise.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?")
_URL = re.compile(r"[!-~]{1,2000}")
_HTTPS = 443
_UNBOUND = dict.fromkeys(("connect", "read", "write", "pool"))
"""One deadline for all of it stands around the fetch."""

_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "64:ff9b::/96",  # NAT64: leads to an IPv4 address that nobody looked at
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",  # Teredo and other special assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/9",
        "ff00::/8",
    )
)
"""Beside what `ipaddress` of any Python version calls private."""


class Refused(Exception):
    """The URL is none that is fetched; the text says why, and is safe to show."""


class Failed(Exception):
    """It was tried and did not work; the text says what, and is safe to show."""


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Outbound:
    """`transport` opens the connections, to the addresses that `resolve` gave and this class let pass."""

    def __init__(
        self, *, resolve: Resolve | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._resolve = resolve or _resolve
        self._transport = transport

    async def get(self, url: str, *, accept: str, max_bytes: int, timeout_s: float) -> Fetched:
        """Raises `Refused` or `Failed`. Answers of any status are given back; a redirect is one of them."""
        host, port = _target(url)
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await self._addresses(host, port)
                return await self._fetch(url, host, port, addresses, accept, max_bytes)
        except TimeoutError:
            raise Failed(f"{host} did not answer within {timeout_s:g} seconds") from None

    async def _addresses(self, host: str, port: int) -> Sequence[Address]:
        try:
            found = [ipaddress.ip_address(text) for text in await self._resolve(host, port)]
        except (OSError, ValueError):
            raise Failed(f"{host} cannot be resolved") from None
        if not found:
            raise Failed(f"{host} cannot be resolved")
        if not all(is_public(address) for address in found):
            raise Refused(f"{host} is not on the public Internet")
        return found

    async def _fetch(
        self, url: str, host: str, port: int, addresses: Sequence[Address], accept: str, max_bytes: int
    ) -> Fetched:
        headers = {
            "host": host if port == _HTTPS else f"{host}:{port}",
            "accept": accept,
            "accept-encoding": "identity",
            "user-agent": "chamade",
        }
        # The certificate is checked for the name, the connection goes to the address.
        extensions = {"sni_hostname": host, "timeout": _UNBOUND}
        async with self._transport or httpx2.AsyncHTTPTransport(trust_env=False) as transport:
            for address in addresses:
                pinned = httpx2.URL(url).copy_with(host=str(address))
                request = httpx2.Request("GET", pinned, headers=headers, extensions=extensions)
                try:
                    response = await transport.handle_async_request(request)
                except httpx2.ConnectError:
                    continue
                except httpx2.HTTPError as error:
                    raise _unreachable(host) from error
                try:
                    return await _read(response, host, max_bytes)
                except httpx2.HTTPError as error:
                    raise _unreachable(host) from error
                finally:
                    await response.aclose()
        raise _unreachable(host)


def _unreachable(host: str) -> Failed:
    return Failed(f"{host} cannot be reached")


async def _read(response: httpx2.Response, host: str, max_bytes: int) -> Fetched:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Failed(f"{host} sent a compressed answer, which was not asked for")
    body = bytearray()
    stream = response.stream
    if not isinstance(stream, httpx2.AsyncByteStream):
        raise TypeError("an asynchronous transport gives an asynchronous stream")
    async for chunk in stream:
        body += chunk
        if len(body) > max_bytes:
            raise Failed(f"{host} sent more than {max_bytes} bytes")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Fetched(response.status_code, headers, bytes(body))


def is_public(address: Address) -> bool:
    """Whether `address` is one of the public Internet, and not a way into something else."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _CLOSED)


def _target(url: str) -> tuple[str, int]:
    if _URL.fullmatch(url) is None or "\\" in url:
        raise Refused("It is not a plain URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("It is not a plain URL") from None
    if parts.scheme != "https":
        raise Refused("Only https is fetched")
    if parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise Refused("It must have no credentials, no fragment and a port that exists")
    host = parts.hostname or ""
    if _NAME.fullmatch(host) is None or len(host) > 253:
        raise Refused("It must name a host by its full domain name")
    return host, port or _HTTPS


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]
