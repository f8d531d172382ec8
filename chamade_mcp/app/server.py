"""The HTTP server: uvicorn, set up for long polls, event streams and PCM over WebSockets."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from chamade_mcp.app.guard import GuardedProtocol
from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.sockets import SocketProtocol

WS_MAX_BYTES: Final = 1024 * 1024
KEEP_ALIVE_S: Final = 75
"""Longer than a proxy keeps its side (60 s by default), so that it never writes to a closed socket."""
DRAIN_S: Final = 20
"""After SIGTERM: how long sends may finish before connections are cut."""
PEER_GONE_S: Final = 14
"""A peer that acknowledges nothing for so long is gone: cable pulled, laptop shut, tunnel died.

An event stream writes every 10 s at least, so a dead one is noticed within 25 s.
"""
_BACKLOG: Final = 2048

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

Drain = Callable[[], Awaitable[None]]
"""Ends what would wait for ever: long polls, event streams, call sockets; makes `/readyz` say 503."""


def listen(settings: Settings) -> socket.socket:
    """A bound socket, so that the port is known before anything is built. Raises `SettingsError`."""
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise SettingsError("CHAMADE_HOST", f"cannot resolve {settings.host!r} ({error.strerror})") from None
    # A name such as "localhost" has both; more programs reach the older one.
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _drop_dead_peers(listener)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        hint = "is another gateway running? CHAMADE_PORT chooses another port"
        raise SettingsError("CHAMADE_PORT", f"cannot listen on {where} ({error.strerror}); {hint}") from None
    return listener


def _drop_dead_peers(listener: socket.socket) -> None:
    """Accepted sockets inherit these, where the system has them (Linux)."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_USER_TIMEOUT", PEER_GONE_S * 1000),
        ("TCP_KEEPIDLE", PEER_GONE_S // 2),
        ("TCP_KEEPINTVL", 5),
    ):
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Server(uvicorn.Server):
    """Drains before it closes, and returns from `serve` on a signal instead of dying by it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        drain: Drain,
        ready: Callable[[], None] = lambda: None,
        protocol: type[GuardedProtocol] = GuardedProtocol,
    ) -> None:
        super().__init__(_config(app, protocol))
        self._drain = drain
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._drain()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn raises the signal again after `serve`, before our own contexts could close.
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def _config(app: ASGIApp, protocol: type[GuardedProtocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws=SocketProtocol,
        ws_max_size=WS_MAX_BYTES,
        ws_per_message_deflate=False,  # PCM does not compress, and trying costs more than the rest
        lifespan="off",  # `serve` holds the gateway open around the server
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
