"""The HTTP client that connectors call their platforms with.

One set of certificates is read for all of them: a hundred bots would otherwise hold a hundred copies.
"""

import ssl
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import Final

import httpx2

from chamade_mcp.kit.connector import PlatformUnavailable

CONNECT_S: Final = 10.0
ANSWER_S: Final = 30.0
_MOST_CONNECTIONS: Final = 20
_KEPT_S: Final = 60.0


class Unanswered(Exception):
    """The request went out and no answer came: whether it was carried out is not known."""


@asynccontextmanager
async def platform_client(
    base_url: str,
    headers: Mapping[str, str] | None = None,
    *,
    through: Callable[[httpx2.AsyncBaseTransport], httpx2.AsyncBaseTransport] | None = None,
) -> AsyncGenerator[httpx2.AsyncClient]:
    """For one link. `base_url` is a setting of who runs the gateway, so it may be anywhere, unless a guard
    stands before it by `through`; redirects are not followed, and no proxy or ``.netrc`` of the machine's is
    looked at."""
    limits = httpx2.Limits(
        max_connections=_MOST_CONNECTIONS, max_keepalive_connections=4, keepalive_expiry=_KEPT_S
    )
    transport = httpx2.AsyncHTTPTransport(verify=certificates(), limits=limits, trust_env=False)
    async with httpx2.AsyncClient(
        base_url=base_url,
        headers=headers,
        transport=transport if through is None else through(transport),
        timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
        trust_env=False,
    ) as client:
        yield client


@contextmanager
def repeatable() -> Generator[None]:
    """Around what may be done twice: that no answer came is then a reason to try again."""
    try:
        yield
    except Unanswered as error:
        raise PlatformUnavailable(str(error)) from None


@contextmanager
def unreachable(title: str) -> Generator[None]:
    """Around one request: raises `PlatformUnavailable` when it cannot have been carried out, else
    `Unanswered`. Neither tells the URL, which may hold a token."""
    try:
        yield
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        raise PlatformUnavailable(f"{title} cannot be reached ({type(error).__name__})") from None
    except httpx2.TransportError as error:
        raise Unanswered(f"{title} did not answer ({type(error).__name__})") from None


def retry_after(headers: Mapping[str, str], default_s: float) -> float:
    """Seconds, as the header says; dates and nonsense count as `default_s`."""
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return default_s


@cache
def certificates() -> ssl.SSLContext:
    """For a connection that is no request's, too."""
    return ssl.create_default_context()
