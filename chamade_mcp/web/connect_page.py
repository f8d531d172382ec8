"""``/connect/<platform>``: a person is asked whether their platform may hand a bot over to their agent.

``/connect/<platform>/callback`` is where they come back to from agreeing at the platform itself.
"""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.gateway import Core
from chamade_mcp.core.linking import NotLinked
from chamade_mcp.model.errors import Forbidden, ValidationFailed
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.form_pages import Door
from chamade_mcp.web.forms import BadForm, form_token, read_form, token_fits
from chamade_mcp.web.rooms import CONTENT_SECURITY_POLICY
from chamade_mcp.web.sign_in import SignIn
from chamade_mcp.web.views import Views

_PATH = "/connect/{platform}"
_BACK = "/dashboard/platforms"
_FORM_ACTION = "form-action 'self'"


class _Connect:
    def __init__(self, core: Core, door: Door, sign_in: SignIn, views: Views) -> None:
        self._core = core
        self._door = door
        self._sign_in = sign_in
        self._views = views

    def routes(self) -> list[BaseRoute]:
        guarded = self._views.guarded
        return [
            Route(_PATH, guarded(self._ask), methods=["GET"]),
            Route(_PATH, guarded(self._answer), methods=["POST"]),
            Route(f"{_PATH}/callback", guarded(self._back), methods=["GET"]),
        ]

    async def _ask(self, request: Request) -> Response:
        visitor = await self._sign_in.visitor(request)
        if visitor is None:
            return self._sign_in.ask(request)
        platform, asked = request.path_params["platform"], dict(request.query_params)
        try:
            host = self._core.hooks.handovers.host(platform, asked)
        except ValidationFailed as error:
            words = "; ".join(f"{wrong.field} {wrong.message}" for wrong in error.errors)
            return self._views.render(
                "dash_error.html", status=400, title="This cannot be connected", words=words, request_id=""
            )
        profile = await self._core.accounts.profile(visitor.principal)
        agents = await self._core.agents.names(visitor.principal)
        response = self._views.render(
            "connect.html",
            action=request.url.path,
            asked=asked,
            token=form_token(self._session(request)),
            title=self._core.platforms.require(platform).title,
            host=host,
            agent=agents[visitor.principal.scope.agent],
            email=profile["email"],
        )
        # Browsers apply `form-action` to where the answer to a form sends them on, too.
        allowed = f"{_FORM_ACTION} {self._core.hooks.handovers.origin(platform, asked)}"
        response.headers["content-security-policy"] = CONTENT_SECURITY_POLICY.replace(_FORM_ACTION, allowed)
        response.headers["x-frame-options"] = "DENY"
        return response

    async def _answer(self, request: Request) -> Response:
        self._door.require_same_origin(dict(request.scope["headers"]))
        visitor = await self._sign_in.visitor(request)
        try:
            form = dict(await read_form(request))
        except BadForm:
            form = {}
        if visitor is None or not token_fits(form.pop("token", ""), self._session(request)):
            raise Forbidden("This form has expired. Begin again at your platform")
        location = self._core.hooks.handovers.begin(visitor.principal, request.path_params["platform"], form)
        return _to(location)

    async def _back(self, request: Request) -> Response:
        visitor = await self._sign_in.visitor(request)
        if visitor is None:
            return self._sign_in.ask(request)
        platform = self._core.platforms.require(request.path_params["platform"]).platform
        try:
            await self._core.linking.finish(visitor.principal, platform, request.query_params)
        except NotLinked as error:
            return _to(f"{_BACK}?{urlencode({'error': f'{platform}_{error.trouble}'})}")
        return _to(f"{_BACK}?{urlencode({'connected': platform})}")

    def _session(self, request: Request) -> str:
        return self._door.session_of(dict(request.scope["headers"])) or ""


def _to(location: str) -> Response:
    headers = {"location": location, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(status_code=303, headers=headers)


def connect_routes(core: Core, door: Door, assets: Assets) -> list[BaseRoute]:
    views = Views(assets)
    return _Connect(core, door, SignIn(core, door, views), views).routes()
