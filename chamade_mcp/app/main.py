"""The application: which path goes where."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from chamade_mcp.api.access import Gate, origin_of
from chamade_mcp.api.app import PLAIN_COOKIE, SECURE_COOKIE, api_app
from chamade_mcp.core.gateway import Core
from chamade_mcp.core.health import Health
from chamade_mcp.core.supervisor import Supervisor
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import Served
from chamade_mcp.kit.outbound import Outbound
from chamade_mcp.model.ids import Platform
from chamade_mcp.oauth.documents import Documents
from chamade_mcp.oauth.endpoints import AuthorizationServer
from chamade_mcp.oauth.places import Places
from chamade_mcp.oauth.well_known import well_known_routes
from chamade_mcp.sessions.edge import hosts_for, origins_for
from chamade_mcp.sessions.endpoint import Sessions
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.mcp import mcp_app
from chamade_mcp.tools.transport import InProcess
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.connect_page import connect_routes
from chamade_mcp.web.consent import consent_routes
from chamade_mcp.web.dashboard import dashboard_routes
from chamade_mcp.web.docs.site import docs_routes
from chamade_mcp.web.downloads import download_routes
from chamade_mcp.web.rooms import room_routes
from chamade_mcp.web.status_page import status_routes

WEB = Platform("web")
"""The platform whose links our own pages open."""


@dataclass(frozen=True, slots=True)
class App:
    asgi: ASGIApp
    run: Callable[[], AbstractAsyncContextManager[None]]
    """Its running life: requests are served inside."""


def create_app(
    core: Core,
    supervisor: Supervisor,
    ready: Callable[[], bool],
    clock: Clock,
    outbound: Outbound,
    sessions: Sessions,
) -> App:
    secure = urlsplit(core.public_url).scheme == "https"
    places = Places(core.public_url)
    api = api_app(core, ready=ready, session_cookie_secure=secure, streams=sessions.event_streams)
    mcp = mcp_app(
        CoreClient(InProcess(api)),
        core.accounts.authenticate,
        sessions,
        allowed_hosts=hosts_for(core.public_url),
        allowed_origins=origins_for(core.public_url),
        metadata_url=places.metadata_url,
    )
    assets = Assets.load()
    door = Gate(core.accounts, SECURE_COOKIE if secure else PLAIN_COOKIE, origin_of(core.public_url))
    stored = core.overview
    health = Health(clock, ready, stored.database_answers, stored.events_are_kept, core.disk)
    routes: list[BaseRoute] = [
        *well_known_routes(places),
        *AuthorizationServer(places, core.clients, core.grants, clock).routes(),
        *consent_routes(core, places, Documents(outbound, clock), door, assets),
        *connect_routes(core, door, assets),
        *download_routes(core, door, assets),
        *status_routes(core, health, door, assets),
        *room_routes(core.invitations.of(WEB), assets),
        *dashboard_routes(core, door, assets),
        *docs_routes(core.public_url, core.platforms.manifests, lambda: api.reference.document, assets),
    ]
    routes += [Mount(f"/live/{m.platform}", _live(supervisor, m.platform)) for m in core.platforms.manifests]
    others = Router(routes, default=api, redirect_slashes=False)

    # A coroutine function: other servers tell by it which ASGI this is.
    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        # Agents' requests are nearly all; they skip the walk along the pages' routes.
        path: str = scope["path"]
        if path.startswith("/api/"):
            await api(scope, receive, send)
        elif path in mcp.apps and scope["type"] == "http":
            await mcp.apps[path](scope, receive, send)
        else:
            await others(scope, receive, send)

    return App(dispatch, mcp.run)


def _live(supervisor: Supervisor, platform: Platform) -> ASGIApp:
    """What a platform's live link serves; the link is looked up each time, since it may be opened anew."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        link = supervisor.links.get(platform)
        if isinstance(link, Served):
            await link.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(1013, "not reachable at the moment")(scope, receive, send)
        else:
            await PlainTextResponse("Not reachable at the moment", 503)(scope, receive, send)

    return serve
