"""Files through the real HTTP server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from starlette.types import ASGIApp

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from tests.support.elsewhere import Elsewhere
from tests.support.server import serve

SIZE = 8 * 1024 * 1024


async def zeros() -> AsyncIterator[bytes]:
    for _ in range(SIZE // 65536):
        yield bytes(65536)


async def test_a_file_over_a_real_line(tmp_path: Path) -> None:
    opened: list[Gateway] = []

    @asynccontextmanager
    async def open_gateway(url: str) -> AsyncGenerator[ASGIApp]:
        settings = Settings(data_dir=tmp_path / "data", port=urlsplit(url).port or 0)
        async with build(settings, outbound=Elsewhere().outbound()) as gateway:
            opened.append(gateway)
            yield gateway.app

    async with serve(open_gateway) as url, httpx2.AsyncClient(base_url=url) as http:
        accounts = opened[0].core.accounts
        await accounts.create("owner@example.org", "correct horse battery", verified=True)
        owner = await accounts.find_by_email("owner@example.org")
        assert owner is not None
        made = await opened[0].core.files.upload(owner.scope, "a.bin", "application/x-thing", zeros())
        path = urlsplit(str(made["url"])).path
        head = await http.head(path)
        assert (head.headers["content-length"], head.content) == (str(SIZE), b"")
        whole = await http.get(path)
        assert (whole.status_code, len(whole.content)) == (200, SIZE)
        part = await http.get(path, headers={"range": "bytes=-3", "if-range": head.headers["etag"]})
        assert (part.status_code, part.content) == (206, bytes(3))
        same = await http.get(path, headers={"if-none-match": head.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        none = await http.get(path, headers={"range": f"bytes={SIZE}-"})
        assert (none.status_code, none.headers["content-range"]) == (416, f"bytes */{SIZE}")
        async with http.stream("GET", path) as begun:  # and goes away in the middle
            assert len(await anext(begun.aiter_raw(1000))) == 1000
        async with asyncio.timeout(10):
            assert (await http.get(path, headers={"range": "bytes=0-0"})).content == bytes(1)
