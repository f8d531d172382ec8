"""A gateway around one live link, and a browser's side of its sockets."""

import asyncio
import hmac
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chamade_mcp.connectors.web.connector import connector
from chamade_mcp.connectors.web.link import WebLink
from chamade_mcp.connectors.web.tests.fakes import PUBLIC_URL, FakeCore, FakeFiles, FakeInvites, ManualClock
from chamade_mcp.kit.connector import Context
from chamade_mcp.kit.testing_bots import Nobody
from chamade_mcp.kit.ticker import Ticker
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import AccountId, AgentId, ConversationRef

BOUND_S = 5.0
SCOPE = Scope(AccountId("acct_1"), AgentId("agent_1"))


class World:
    """A gateway around one live web link, served on a free loopback port."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.invites = FakeInvites(self.clock)
        self.files = FakeFiles()
        self.core = FakeCore(self.clock)
        self.ticker = Ticker()
        self.ctx = Context(
            clock=self.clock,
            ticker=self.ticker,
            emit=self.core.emit,
            invites=self.invites,
            files=self.files,
            history=self.core,
            public_url=PUBLIC_URL,
            settings={},
            secret=lambda purpose: hmac.digest(b"gateway key", purpose.encode(), "sha256"),
            people=Nobody(),
        )
        self.netloc = ""
        self.link: WebLink

    async def room(self, agent_name: str = "Ada") -> str:
        """A new room's token."""
        return (await self.link.calls.create(SCOPE, agent_name)).rpartition("/")[2]

    async def chat(self, agent_name: str = "Ada") -> tuple[str, ConversationRef]:
        url, invite = await self.link.messages.invite(SCOPE, agent_name)
        return url.rpartition("/")[2], ConversationRef(invite.ref)

    def page(self, token: str, **headers: str) -> "Page":
        return Page(f"ws://{self.netloc}/live/web/{token}", headers)

    def files_url(self, token: str) -> str:
        return f"http://{self.netloc}/live/web/{token}/files"


class Page:
    """A browser page: an async context manager around one socket."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._socket: ClientConnection | None = None
        self.welcome: dict[str, Any] = {}
        self.audio: list[bytes] = []
        """Binary frames that came while something else was awaited."""

    async def __aenter__(self) -> "Page":
        self._socket = await connect(
            self._url, additional_headers=self._headers, compression=None, proxy=None, max_size=None
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    @property
    def id(self) -> str:
        return self.welcome["you"]

    @property
    def secret(self) -> str:
        return self.welcome["guest"]

    async def say(self, type_: str, /, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type_, **fields}))

    async def enter(self, name: str = "Ann", guest: str | None = None, **fields: Any) -> "Page":
        await self.say("hello", name=name, guest=guest, **fields)
        self.welcome = await self.next()
        assert self.welcome["type"] == "welcome"
        return self

    async def next(self) -> dict[str, Any]:
        """The next text message."""
        async with asyncio.timeout(BOUND_S):
            while True:
                frame = await self.socket.recv()
                if isinstance(frame, str):
                    return json.loads(frame)
                self.audio.append(frame)

    async def expect(self, type_: str) -> dict[str, Any]:
        """The next message of that type; others before it are passed over."""
        while (message := await self.next())["type"] != type_:
            pass
        return message

    async def until_ping(self, type_: str) -> list[dict[str, Any]]:
        """All messages of that type up to now: what was sent before the answer to our ping."""
        await self.say("ping", t=1)
        found: list[dict[str, Any]] = []
        while (message := await self.next())["type"] != "pong":
            if message["type"] == type_:
                found.append(message)
        return found

    async def frames(self, count: int) -> list[bytes]:
        async with asyncio.timeout(BOUND_S):
            while len(self.audio) < count:
                frame = await self.socket.recv()
                if isinstance(frame, bytes):
                    self.audio.append(frame)
        return self.audio

    async def closed(self) -> tuple[int, str | None]:
        """The close code, and the reason told before."""
        reason: str | None = None
        try:
            async with asyncio.timeout(BOUND_S):
                while True:
                    frame = await self.socket.recv()
                    if isinstance(frame, str) and json.loads(frame)["type"] == "closed":
                        reason = json.loads(frame)["reason"]
        except ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd is not None else 1006), reason


@asynccontextmanager
async def serving(world: World) -> AsyncGenerator[str, None]:
    """Serves the link as the gateway does, in this loop; host and port."""
    # Named TCP: asyncio turns Nagle's algorithm off only on sockets that say so.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        app = Starlette(routes=[Mount("/live/web", world.link.app)])
        config = uvicorn.Config(
            app, lifespan="off", log_config=None, ws_max_size=4 << 20, ws_per_message_deflate=False
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        await eventually(lambda: server.started)
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def opened_link(world: World) -> AsyncGenerator[World, None]:
    """The world with its link open, and not served."""
    async with connector.open(world.ctx) as link:
        assert isinstance(link, WebLink)
        world.link = link
        yield world


@asynccontextmanager
async def live_world() -> AsyncGenerator[World, None]:
    world = World()
    async with opened_link(world), serving(world) as netloc:
        world.netloc = netloc
        yield world


async def eventually(condition: Callable[[], object], bound_s: float = BOUND_S) -> None:
    """Waits, within the bound, until `condition()` holds."""
    async with asyncio.timeout(bound_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)
