"""The dashboard: pages for the person who runs an agent here.

The pages are frames. What stands in them their scripts read by the public REST API, with the session's
cookie: a person sees and does nothing here that an agent's key could not.
"""

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.gateway import Core
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.events import EventType
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.form_pages import Door
from chamade_mcp.web.joining import joining_routes
from chamade_mcp.web.mail_links import mail_link_routes
from chamade_mcp.web.navigation import NAVIGATION, behind_more
from chamade_mcp.web.returned import Returned, returned
from chamade_mcp.web.shown_way import ShownWay, shown_way
from chamade_mcp.web.sign_in import HOME, SignIn, Visitor
from chamade_mcp.web.views import Endpoint, Views

_Show = Callable[[Request, Visitor], Awaitable[Response]]


class _Dashboard:
    def __init__(self, core: Core, sign_in: SignIn, views: Views) -> None:
        self._core = core
        self._sign_in = sign_in
        self._views = views

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", _home),
            Route(HOME, self._page(self._front)),
            Route(f"{HOME}/platforms", self._page(self._platforms)),
            Route(f"{HOME}/platforms/{{platform}}", self._page(self._platform)),
            Route(f"{HOME}/inbox", self._page(self._frame("inbox"))),
            Route(f"{HOME}/inbox/{{conversation_id}}", self._page(self._conversation)),
            Route(f"{HOME}/people", self._page(self._frame("people"))),
            Route(f"{HOME}/calls", self._page(self._frame("calls"))),
            Route(f"{HOME}/calls/{{call_id}}", self._page(self._call)),
            Route(f"{HOME}/connect", self._page(self._frame("connect"))),
            Route(f"{HOME}/webhooks", self._page(self._frame("webhooks"))),
            Route(f"{HOME}/webhooks/{{webhook_id}}", self._page(self._webhook)),
            Route(f"{HOME}/agents", self._page(self._frame("agents"))),
            Route(f"{HOME}/keys", self._page(self._frame("keys"))),
            Route(f"{HOME}/usage", self._page(self._frame("usage"))),
            Route(f"{HOME}/apps", self._page(self._frame("apps"))),
            Route(f"{HOME}/account", self._page(self._frame("account"))),
            Route(f"{HOME}/{{rest:path}}", self._nothing),
        ]

    def _page(self, show: _Show) -> Endpoint:
        """For whoever is signed in; others are asked to."""

        async def endpoint(request: Request) -> Response:
            visitor = await self._sign_in.visitor(request)
            return self._sign_in.ask(request) if visitor is None else await show(request, visitor)

        return self._views.guarded(endpoint)

    def _frame(self, page: str) -> _Show:
        async def show(request: Request, visitor: Visitor) -> Response:
            del request
            return await self._render(page, visitor)

        return show

    async def _front(self, request: Request, visitor: Visitor) -> Response:
        told = returned(self._core, visitor.principal, request.query_params)
        return await self._render("home", visitor, returned=told)

    async def _platforms(self, request: Request, visitor: Visitor) -> Response:
        told = returned(self._core, visitor.principal, request.query_params)
        return await self._render("platformlist", visitor, section="platforms", returned=told)

    async def _platform(self, request: Request, visitor: Visitor) -> Response:
        manifest = self._core.platforms.runnable(request.path_params["platform"])
        ways = [shown_way(way, self._core.public_url) for way in self._core.platforms.ways(manifest)]
        return await self._render("platform", visitor, section="platforms", platform=manifest, ways=ways)

    async def _conversation(self, request: Request, visitor: Visitor) -> Response:
        conversation = request.path_params["conversation_id"]
        # Asked here only for the honest 404; the page reads it by the API.
        await self._core.inbox.conversation(visitor.principal, conversation, limit=1)
        return await self._render("inbox", visitor, subject=conversation)

    async def _call(self, request: Request, visitor: Visitor) -> Response:
        call = request.path_params["call_id"]
        await self._core.history.get(visitor.principal, call)  # for the honest 404, as above
        return await self._render("call", visitor, section="calls", subject=call)

    async def _webhook(self, request: Request, visitor: Visitor) -> Response:
        webhook = request.path_params["webhook_id"]
        await self._core.webhooks.get(visitor.principal, webhook)  # for the honest 404, as above
        return await self._render("webhook", visitor, section="webhooks", subject=webhook)

    async def _render(
        self,
        page: str,
        visitor: Visitor,
        *,
        section: str = "",
        subject: str = "",
        returned: Returned | None = None,
        platform: Manifest | None = None,
        ways: Sequence[ShownWay] = (),
    ) -> Response:
        profile = await self._core.accounts.profile(visitor.principal)
        return self._views.render(
            f"dash_{page}.html",
            page=page,
            section=section or page,
            navigation=NAVIGATION,
            more=tuple(behind_more()),
            agent=visitor.principal.scope.agent,
            agents=await self._core.agents.names(visitor.principal),
            returned=returned,
            event_types=tuple(EventType),
            account=profile["account_id"],
            passkeys=await self._core.members.passkeys.has_any(visitor.principal),
            email=profile["email"],
            name=profile["name"],
            public_url=self._core.public_url,
            sign_out_token=visitor.form_token,
            subject=subject,
            platform=platform,
            ways=ways,
        )

    async def _nothing(self, request: Request) -> Response:
        path = request.url.path
        if path.endswith("/"):
            return RedirectResponse(path.rstrip("/"), 308)
        return self._views.refuse(request, NotFound("There is nothing at this path"))


async def _home(request: Request) -> Response:
    del request
    return RedirectResponse(HOME, 302)


def dashboard_routes(core: Core, door: Door, assets: Assets | None = None) -> list[BaseRoute]:
    """``/``, signing in and up and out, all below ``/dashboard``; the static files are the rooms' route."""
    views = Views(assets or Assets.load())
    sign_in = SignIn(core, door, views)
    return [
        *sign_in.routes(),
        *joining_routes(core, door, views),
        *mail_link_routes(core, door, views),
        *_Dashboard(core, sign_in, views).routes(),
    ]
