"""`chamade worker`: one more process that serves MCP and OAuth, beside the gateway and on its store.

Calls, links to platforms and the REST API live in the gateway, which a worker reaches by its URL with what
its caller has shown. Sessions, tokens and events are in the database that both have open: whichever process a
client's connection comes to serves it.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from chamade_mcp.app.collector import settle
from chamade_mcp.app.front import Front
from chamade_mcp.app.locks import among_workers
from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.secret_key import load_secret_key
from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings, own_url
from chamade_mcp.core.notices import Kind, Notice
from chamade_mcp.kit.clock import Clock, SystemClock
from chamade_mcp.kit.problem import problem_response
from chamade_mcp.model.access import Scope as Owner
from chamade_mcp.model.errors import NotFound, Unavailable
from chamade_mcp.model.events import Event, EventType
from chamade_mcp.model.ids import AgentId
from chamade_mcp.oauth.endpoints import AuthorizationServer
from chamade_mcp.oauth.well_known import well_known_routes
from chamade_mcp.sessions.edge import hosts_for, origins_for
from chamade_mcp.store.database import Database, answers
from chamade_mcp.store.migrate import HEAD, revision
from chamade_mcp.store.secrets import SecretBox
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.mcp import McpApp, mcp_app
from chamade_mcp.tools.transport import OverHttp

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Returns once a signal has stopped the worker. Raises `SettingsError`."""
    with among_workers(settings), listen(settings) as listener:
        require_store(settings)
        uvloop.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with build(settings) as worker:
        where = own_url(settings.host, listener.getsockname()[1])
        server = Server(
            worker.app,
            drain=worker.drain,
            ready=lambda: print(f"Chamade serves MCP at {where}, for {settings.core_url}", flush=True),
        )
        settle()
        await server.serve([listener])
        log.info("stopped")


def require_store(settings: Settings) -> None:
    """A worker makes no store and upgrades none: that is the gateway's. Raises `SettingsError`."""
    found = revision(settings.database_path)
    if found is None:
        raise SettingsError(
            "CHAMADE_DATA_DIR", f"no gateway has served from {settings.data_dir}; start `chamade serve` first"
        )
    if found != HEAD:
        raise SettingsError(
            "CHAMADE_DATA_DIR",
            f"{settings.database_path} has schema {found}, and this version needs {HEAD}: run the same "
            "version as the gateway",
        )


class Worker:
    """To be used inside `run`."""

    def __init__(self, front: Front, database: Database, clock: Clock, core: OverHttp) -> None:
        self._front = front
        self._database = database
        self._core = core
        self._draining = False
        public_url = front.places.issuer
        self._mcp = mcp_app(
            CoreClient(core),
            front.accounts.authenticate,
            front.sessions,
            allowed_hosts=hosts_for(public_url),
            allowed_origins=origins_for(public_url),
            metadata_url=front.places.metadata_url,
        )
        front.neighbours.on(Kind.PROBE, self._probed)
        self.app = _dispatch(
            self._mcp,
            Router(
                [
                    *well_known_routes(front.places),
                    *AuthorizationServer(front.places, front.clients, front.grants, clock).routes(),
                    Route("/healthz", self._health),
                    Route("/readyz", self._ready),
                ],
                default=_elsewhere,
                redirect_slashes=False,
            ),
        )

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        try:
            async with self._front.neighbours.run(), self._mcp.run():
                yield
        finally:
            await self._core.aclose()

    async def drain(self) -> None:
        self._draining = True
        self._front.sessions.drain()

    async def _probed(self, notice: Notice) -> None:
        agent, payload = AgentId(notice.body["agent"]), notice.body["payload"]
        self._front.hub.tell(Event(notice.account, agent, EventType.DM_CHAT, payload))
        reached = self._front.sessions.listening(Owner(notice.account, agent))
        if reached:
            await self._front.neighbours.tell(notice.account, Kind.REACHED, notice.subject, sorted(reached))

    async def _health(self, request: Request) -> Response:
        del request
        return JSONResponse({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        """Without a look at the gateway: streams go on while that restarts."""
        del request
        if self._draining or not await self._database.read(answers):
            refusal = Unavailable("Starting or shutting down", code="NOT_READY", retry_after=1)
            return problem_response(refusal)
        return JSONResponse({"status": "ok"})


def _dispatch(mcp: McpApp, others: ASGIApp) -> ASGIApp:
    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        serve = mcp.apps.get(scope["path"], others) if scope["type"] == "http" else others
        await serve(scope, receive, send)

    return dispatch


async def _elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """The REST API, the pages and the call sockets are the gateway's."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "not at a worker"})
        return
    refusal = NotFound("A worker serves MCP and OAuth only: ask the gateway")
    await problem_response(refusal)(scope, receive, send)


@asynccontextmanager
async def build(settings: Settings, *, clock: Clock | None = None) -> AsyncGenerator[Worker]:
    """Everything up, ready to be served. The store is there: see `require_store`."""
    clock = clock or SystemClock()
    box = SecretBox(load_secret_key(settings))
    database = Database(settings.database_path)
    try:
        front = Front(settings.public_url, database, box, clock, follows=True)
        worker = Worker(front, database, clock, OverHttp(settings.core_url))
        async with worker.run():
            yield worker
    finally:
        await asyncio.to_thread(database.close)
