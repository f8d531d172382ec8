"""Fetching what a stranger named, without becoming the stranger's hand inside our network (SSRF).

The name is resolved once, every address it has must be one of the public Internet, and the connection goes to
the very address that was looked at. No proxy, no credentials, a bound on the time; each redirect that is
followed goes through all of it again.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx2

from chamade_mcp.kit.addresses import Address, is_public

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses as text. Raises `OSError`."""

MAX_REDIRECTS = 5

# A name has a dot, and its last label is no number: 127.1, 0x7f.1 and 017700000001 are addresses in disguise.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?")
_URL = re.compile(r"[!-~]{1,2048}")
_PORTS = {"https": 443, "http": 80}
_SECURE = frozenset({"https"})
_WEB = frozenset(_PORTS)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNBOUND = dict.fromkeys(("connect", "read", "write", "pool"))
"""One deadline for all of it stands around the fetch."""


class Refused(Exception):
    """The URL is none that is fetched; the text says why, and is safe to show."""


class BadUrl(Refused):
    """Its text alone says so: nothing was looked up."""


class Failed(Exception):
    """It was tried and did not work; the text says what, and is safe to show."""


class TookTooLong(Failed):
    """The time was over before all of it was there."""


@dataclass(frozen=True, slots=True)
class Fetched:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Download:
    """An answer whose body is still to be read."""

    url: str
    """Where it came from after all redirects."""
    host: str
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    chunks: AsyncIterator[bytes]
    """As they come; who reads stops when it is too much. Raises `Failed`."""


@dataclass(frozen=True, slots=True)
class _Target:
    url: str
    scheme: str
    host: str
    port: int
    trusted: bool = False
    """Named by who runs the gateway: it may be anywhere."""

    @property
    def shown_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        shown = self.shown_host
        return shown if self.port == _PORTS[self.scheme] else f"{shown}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Asking:
    """What goes out beside the target."""

    method: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Outbound:
    """`transport` opens the connections, to the addresses that `resolve` gave and this class let pass."""

    def __init__(
        self, *, resolve: Resolve | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._resolve = resolve or _resolve
        self._transport = transport
        self._tls: ssl.SSLContext | None = None

    async def get(self, url: str, *, accept: str, max_bytes: int, timeout_s: float) -> Fetched:
        """A small document, over https only.

        Raises `Refused` or `Failed`. Answers of any status are given back; a redirect is one of them.
        """
        target = _target(url, _SECURE)
        asking = _Asking("GET", {"accept": accept})
        async with _deadline(timeout_s, target.host), self._open(target, asking) as response:
            body = bytearray()
            async for chunk in _chunks(response, target.host):
                body += chunk
                if len(body) > max_bytes:
                    raise Failed(f"{target.host} sent more than {max_bytes} bytes")
            return Fetched(response.status_code, _headers(response), bytes(body))

    @asynccontextmanager
    async def download(self, url: str, *, timeout_s: float) -> AsyncGenerator[Download]:
        """A file, over https or http, through up to `MAX_REDIRECTS` redirects.

        All of it within `timeout_s`, reading included. Raises `Refused` or `Failed`, also out of the body of
        the `async with`.
        """
        target = _target(urldefrag(url).url, _WEB)
        async with _deadline(timeout_s, target.host):
            for _ in range(MAX_REDIRECTS + 1):
                async with self._open(target, _Asking("GET", {"accept": "*/*"})) as response:
                    location = response.headers.get("location")
                    if response.status_code not in _REDIRECTS or location is None:
                        chunks = _chunks(response, target.host)
                        yield Download(
                            target.url, target.host, response.status_code, _headers(response), chunks
                        )
                        return
                target = _next_target(target, location)
            raise Failed(f"{target.host} is reached by more than {MAX_REDIRECTS} redirects")

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        cut_bytes: int,
        timeout_s: float,
        trusted: Collection[str] = (),
    ) -> Fetched:
        """Sends `body` over https, once. Of the answer's body there is what fits into `cut_bytes`, roughly;
        nothing of a compressed one.

        `trusted` are the hosts, as `host` or `host:port`, that may be reached over http, too, and wherever
        they are. Raises `Refused` or `Failed`. Answers of any status are given back; a redirect is one.
        """
        target = _target(url, _SECURE, trusted)
        asking = _Asking("POST", headers, body)
        async with _deadline(timeout_s, target.host), self._open(target, asking) as response:
            start = bytearray()
            if not _is_compressed(response):
                async for chunk in _chunks(response, target.host):
                    start += chunk[:cut_bytes]
                    if len(start) >= cut_bytes:
                        break
            return Fetched(response.status_code, _headers(response), bytes(start[:cut_bytes]))

    async def check(self, url: str, *, trusted: Collection[str] = ()) -> None:
        """Whether `post` would try it now. Raises what that would raise before it connects."""
        await self.addresses(url, trusted=trusted)

    async def addresses(self, url: str, *, trusted: Collection[str] = ()) -> Sequence[Address]:
        """Where `post` would connect to now. Raises what that would raise before it connects."""
        return await self._addresses(_target(url, _SECURE, trusted))

    @asynccontextmanager
    async def _open(self, target: _Target, asking: _Asking) -> AsyncGenerator[httpx2.Response]:
        addresses = await self._addresses(target)
        async with self._transport or self._own_transport() as transport:
            response = await _answer(transport, target, addresses, asking)
            try:
                yield response
            finally:
                await response.aclose()

    def _own_transport(self) -> httpx2.AsyncBaseTransport:
        # Reading the certificates of all authorities takes 30 ms: once, and not for each request.
        if self._tls is None:
            self._tls = httpx2.create_ssl_context(trust_env=False)
        return httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False)

    async def _addresses(self, target: _Target) -> Sequence[Address]:
        host = target.host
        try:
            found = [ipaddress.ip_address(text) for text in await self._resolve(host, target.port)]
        except (OSError, ValueError):
            raise Failed(f"{host} cannot be resolved") from None
        if not found:
            raise Failed(f"{host} cannot be resolved")
        if not target.trusted and not all(is_public(address) for address in found):
            raise Refused(f"{host} is not on the public Internet")
        return found


@asynccontextmanager
async def _deadline(timeout_s: float, host: str) -> AsyncGenerator[None]:
    deadline = asyncio.timeout(timeout_s)
    try:
        async with deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        raise TookTooLong(f"{host} did not answer within {timeout_s:g} seconds") from None


async def _answer(
    transport: httpx2.AsyncBaseTransport, target: _Target, addresses: Sequence[Address], asking: _Asking
) -> httpx2.Response:
    headers = {
        "host": target.authority,
        "accept-encoding": "identity",
        "user-agent": "chamade",
        **asking.headers,
    }
    # The certificate is checked for the name, the connection goes to the address.
    extensions = {"sni_hostname": target.host, "timeout": _UNBOUND}
    for address in addresses:
        pinned = httpx2.URL(target.url).copy_with(host=str(address))
        request = httpx2.Request(
            asking.method, pinned, headers=headers, content=asking.body, extensions=extensions
        )
        try:
            return await transport.handle_async_request(request)
        except httpx2.ConnectError:
            continue
        except httpx2.HTTPError as error:
            raise _unreachable(target.host) from error
    raise _unreachable(target.host)


def _unreachable(host: str) -> Failed:
    return Failed(f"{host} cannot be reached")


async def _chunks(response: httpx2.Response, host: str) -> AsyncIterator[bytes]:
    if _is_compressed(response):
        raise Failed(f"{host} sent a compressed answer, which was not asked for")
    stream = response.stream
    if not isinstance(stream, httpx2.AsyncByteStream):
        raise TypeError("an asynchronous transport gives an asynchronous stream")
    try:
        async for chunk in stream:
            yield chunk
    except httpx2.HTTPError as error:
        raise Failed(f"{host} broke off") from error


def _is_compressed(response: httpx2.Response) -> bool:
    return response.headers.get("content-encoding", "identity").lower() != "identity"


def _headers(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _next_target(before: _Target, location: str) -> _Target:
    try:
        return _target(urldefrag(urljoin(before.url, location)).url, _WEB)
    except (BadUrl, ValueError):
        raise Refused(f"{before.host} redirects to what is not fetched") from None


def _target(url: str, schemes: frozenset[str], trusted: Collection[str] = ()) -> _Target:
    if _URL.fullmatch(url) is None or "\\" in url:
        raise BadUrl("It is not a plain URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl("It is not a plain URL") from None
    if parts.scheme not in _WEB:
        raise BadUrl(_only(schemes))
    if parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise BadUrl("It must have no credentials, no fragment and a port that exists")
    host = parts.hostname or ""
    target = _Target(url, parts.scheme, host, port or _PORTS[parts.scheme])
    if host in trusted or f"{target.shown_host}:{target.port}" in trusted:
        return replace(target, trusted=True)
    if parts.scheme not in schemes:
        raise BadUrl(_only(schemes))
    if _NAME.fullmatch(host) is None or len(host) > 253:
        raise BadUrl("It must name a host by its full domain name")
    return target


def _only(schemes: frozenset[str]) -> str:
    return f"Only {' and '.join(sorted(schemes))} is fetched"


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]
