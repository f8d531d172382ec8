"""A small server beside the gateway's, in the same loop and on loopback only."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from chamade_mcp.app.server import listen
from chamade_mcp.app.settings import Settings

_START_S: Final = 20.0
_STOP_S: Final = 5


class _Beside(uvicorn.Server):
    """Signals are the gateway's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)


@asynccontextmanager
async def served_beside(app: ASGIApp, port: int = 0) -> AsyncGenerator[str]:
    """While inside, `app` answers; gives its URL. Raises `SettingsError` for a port that is taken."""
    with listen(Settings(host="127.0.0.1", port=port)) as listener:
        config = uvicorn.Config(
            app,
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_STOP_S,
        )
        server = _Beside(config)
        task = asyncio.create_task(server.serve([listener]), name="server beside")
        try:
            async with asyncio.timeout(_START_S):
                await server.ready.wait()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
