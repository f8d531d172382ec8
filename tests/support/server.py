"""A real uvicorn on a free loopback port, inside the test's own event loop."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.support.waiting import BOUND_S


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def serve(build: Callable[[str], AbstractAsyncContextManager[ASGIApp]]) -> AsyncGenerator[str]:
    """Serve what `build` opens for the base URL, as long as it is open; gives that URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with build(url) as app, _serving(app, listener):
            yield url


@asynccontextmanager
async def _serving(app: ASGIApp, listener: socket.socket) -> AsyncGenerator[None]:
    config = uvicorn.Config(
        app, http="httptools", ws="websockets-sansio", lifespan="off", access_log=False, log_level="warning"
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    ready = asyncio.create_task(server.ready.wait())
    try:
        async with asyncio.timeout(BOUND_S):
            await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
            raise RuntimeError("the server stopped while starting")
        yield
    finally:
        ready.cancel()
        server.should_exit = True
        async with asyncio.timeout(BOUND_S):
            await serving
