"""Servers that take webhooks, in memory: resolver and connector in one, so no packet leaves."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from chamade_mcp.kit.outbound import Outbound

PUBLIC_ADDRESS = "93.184.215.14"
Answer = Callable[["Arrived"], Awaitable[httpx2.Response]]


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request, as a receiver saw it."""

    host: str
    raw: bytes
    headers: dict[str, str]
    body: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def seq(self) -> int:
        return int(self.body["seq"])


@dataclass(slots=True)
class Receiver(httpx2.AsyncBaseTransport):
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    """By host; who is not in here takes everything with 204."""
    addresses: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """By host; who is not in here has a public one."""
    arrived: list[Arrived] = field(default_factory=list[Arrived])
    hosts: set[str] = field(default_factory=set[str])
    """Those the gateway trusts wherever they are."""

    def outbound(self) -> Outbound:
        return Outbound(resolve=self._resolve, transport=self)

    def says(self, host: str, status: int, *, text: str = "", **headers: str) -> None:
        """`headers` have underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(_: Arrived) -> httpx2.Response:
            return httpx2.Response(status, headers=named, stream=httpx2.ByteStream(text.encode()))

        self.answers[host] = answer

    def is_down(self, host: str) -> None:
        async def answer(_: Arrived) -> httpx2.Response:
            raise httpx2.ConnectError("refused")

        self.answers[host] = answer

    def works(self, host: str) -> None:
        self.answers.pop(host, None)

    async def _resolve(self, host: str, port: int) -> Sequence[str]:
        found = self.addresses.get(host, (PUBLIC_ADDRESS,))
        if not found:
            raise OSError("no such host")
        return found

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = dict(request.headers)
        host = headers["host"]
        arrived = Arrived(host, request.content, headers, json.loads(request.content))
        self.arrived.append(arrived)
        answer = self.answers.get(host)
        if answer is None:
            return httpx2.Response(204, stream=httpx2.ByteStream(b""))
        return await answer(arrived)

    async def aclose(self) -> None:
        """The guard closes its transport after each request; this one goes on."""
