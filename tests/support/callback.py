"""Where an OAuth client waits for its person to come back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.support.oauth import parameters_of
from tests.support.server import serve
from tests.support.waiting import BOUND_S


class Callback:
    """The client's own little server: remembers with what browsers come back."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[str] = asyncio.Queue()

    async def take(self, request: Request) -> Response:
        await self.came.put(str(request.url))
        return HTMLResponse(
            "<!doctype html><title>Done</title><link rel=icon href=data:,><h1>You can close this</h1>"
        )

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[str]:
        @asynccontextmanager
        async def build(url: str) -> AsyncGenerator[Starlette]:
            del url
            yield Starlette(routes=[Route("/callback", self.take)])

        async with serve(build) as url:
            yield f"{url}/callback"

    async def next(self) -> dict[str, str]:
        async with asyncio.timeout(BOUND_S):
            return parameters_of(await self.came.get())
