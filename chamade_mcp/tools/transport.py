"""How a `CoreClient` reaches the REST API: in this process, or over a URL (docs/adr/0002-http-client.md)."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

import httpx2
from starlette.types import ASGIApp, Message, Scope

from chamade_mcp.model.limits import LONGEST_WAIT_S

log = logging.getLogger(__name__)

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


class CoreUnreachable(Exception):
    """No answer came. `sent` says whether the request may have been carried out all the same."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class CoreTransport(Protocol):
    """One HTTP exchange with the REST API. Raises `CoreUnreachable`, and nothing else."""

    async def request(self, method: str, path: str, query: str, headers: Headers, body: bytes) -> Answer:
        """`path` is percent-encoded and absolute, `query` is without the question mark."""
        ...


class InProcess:
    """Calls an ASGI application directly, in the task of the caller: a cancelled caller cancels the call.

    An answer is complete when the application returns, so its background tasks count.
    """

    def __init__(self, app: ASGIApp, *, host: str = "localhost") -> None:
        self._app = app
        self._host = (b"host", host.encode("ascii"))

    async def request(self, method: str, path: str, query: str, headers: Headers, body: bytes) -> Answer:
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [self._host, *headers],
            "client": None,
            "server": None,
            "state": {},
        }
        exchange = _Exchange(body)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            # Starlette answers 500 and raises again, for the server's log; here this is the server.
            log.exception("%s %s failed inside the API", method, path)
            if not exchange.complete:
                raise CoreUnreachable("The API broke off its answer", sent=True) from error
        if not exchange.complete:
            raise CoreUnreachable("The API gave no answer", sent=True)
        return Answer(exchange.status, exchange.headers, b"".join(exchange.chunks))


class _Exchange:
    """The two ASGI callables of one request."""

    __slots__ = ("_body", "_requested", "chunks", "complete", "headers", "status")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._requested = False
        self.status = 0
        self.headers: Headers = ()
        self.chunks: list[bytes] = []
        self.complete = False

    async def receive(self) -> Message:
        if not self._requested:
            self._requested = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        # A second read asks whether the client has gone. It never has: it goes by cancelling.
        return await asyncio.get_running_loop().create_future()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = message.get("headers", ())
        elif message["type"] == "http.response.body":
            self.chunks.append(message.get("body", b""))
            self.complete = not message.get("more_body", False)


class OverHttp:
    """Calls the API at a URL. Keeps its connections; close it with `aclose`."""

    def __init__(self, base_url: str, *, client: httpx2.AsyncClient | None = None) -> None:
        self._base = base_url.rstrip("/")
        self._client = client or httpx2.AsyncClient(
            timeout=httpx2.Timeout(10.0, read=LONGEST_WAIT_S + 15.0),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,  # a proxy of the environment would get to see every caller's credential
        )

    async def request(self, method: str, path: str, query: str, headers: Headers, body: bytes) -> Answer:
        url = f"{self._base}{path}?{query}" if query else f"{self._base}{path}"
        try:
            answer = await self._client.request(method, url, headers=list(headers), content=body or None)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise CoreUnreachable(f"The API cannot be reached: {error}", sent=False) from error
        except httpx2.HTTPError as error:
            raise CoreUnreachable(f"The API did not answer: {error}", sent=True) from error
        return Answer(answer.status_code, answer.headers.raw, answer.content)

    async def aclose(self) -> None:
        await self._client.aclose()
