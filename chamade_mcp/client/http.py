"""One REST request, as often as the policy allows."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

import httpx2

from chamade_mcp.client.errors import UnexpectedAnswer, Unreachable, refused
from chamade_mcp.client.retry import Retry
from chamade_mcp.model.errors import Outcome

NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)

Form = Callable[[], tuple[str, bytes | IO[bytes], str | None]]
"""Name, content and type of a file to upload, anew for each attempt."""


class Http:
    """The key goes to the gateway's own address only, and redirects are not followed."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        retry: Retry,
        timeout_s: float,
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not the address of a gateway: {url!r}; it looks like http://127.0.0.1:8000")
        self.url = url.rstrip("/")
        self.retry = retry
        self.headers = {"x-api-key": api_key}
        self._timeout_s = timeout_s
        self._http = httpx2.AsyncClient(transport=transport, timeout=timeout_s)

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
        key: str | None = None,
        form: Form | None = None,
        longer_s: float = 0.0,
    ) -> object:
        """The JSON of a 2xx answer. Raises `Refused`, `Unreachable`, `UnexpectedAnswer`.

        `key`: the Idempotency-Key, which makes the request repeatable as a GET is. `longer_s`: the gateway
        may take so much longer than usual.
        """
        headers = dict(self.headers)
        if key is not None:
            headers["idempotency-key"] = key
        send = partial(
            self._http.request, method, f"{self.url}{path}", params=query, headers=headers,
            timeout=httpx2.Timeout(self._timeout_s, read=self._timeout_s + longer_s),
        )  # fmt: skip

        async def attempt() -> object:
            if form is None:
                return await self._answer(partial(send, json=body))
            name, content, mime = form()
            file = (name, content) if mime is None else (name, content, mime)
            try:
                return await self._answer(partial(send, files={"file": file}))
            finally:
                if not isinstance(content, bytes):
                    content.close()

        return await self.retry.run(attempt, repeatable=method == "GET" or key is not None)

    async def download(self, where: str, *, own: bool = False) -> bytes:
        """A file by its own address, to which no key is sent; `own`: by a path of the API, with the key."""

        async def attempt() -> bytes:
            async with self._download(where, own) as answer:
                return await answer.aread()

        return await self.retry.run(attempt, repeatable=True)

    async def save(self, where: str, path: Path, *, own: bool = False) -> None:
        """As `download`, without holding it in memory."""

        async def attempt() -> None:
            async with self._download(where, own) as answer:
                with path.open("wb") as file:
                    async for chunk in answer.aiter_bytes():
                        file.write(chunk)

        await self.retry.run(attempt, repeatable=True)

    @asynccontextmanager
    async def _download(self, where: str, own: bool) -> AsyncGenerator[httpx2.Response]:
        url, headers = (f"{self.url}{where}", self.headers) if own else (where, None)
        try:
            async with self._http.stream("GET", url, headers=headers) as answer:
                if not answer.is_success:
                    raise _refused(answer, await answer.aread())
                yield answer
        except httpx2.HTTPError as error:
            raise _unreachable(error) from error

    async def _answer(self, send: Callable[[], Awaitable[httpx2.Response]]) -> object:
        try:
            answer = await send()
        except httpx2.HTTPError as error:
            raise _unreachable(error) from error
        if not answer.is_success:
            raise _refused(answer, answer.content)
        try:
            return json.loads(answer.content) if answer.content else {}
        except ValueError:
            raise UnexpectedAnswer(f"What answers at {self.url} does not speak JSON") from None


def segment(value: str) -> str:
    """An id as a part of a path."""
    return quote(value, safe="")


def _unreachable(error: httpx2.HTTPError) -> Unreachable:
    outcome = Outcome.NOT_DONE if isinstance(error, NOTHING_SENT) else Outcome.UNKNOWN
    return Unreachable(f"The gateway gives no answer: {str(error) or type(error).__name__}", outcome=outcome)


def _refused(answer: httpx2.Response, body: bytes) -> Exception:
    return refused(answer.status_code, answer.headers, body)
