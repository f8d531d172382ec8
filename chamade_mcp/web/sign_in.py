"""Signing in and out."""

from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.devices import device_of
from chamade_mcp.core.gateway import Core
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Forbidden, GatewayError, Unauthenticated
from chamade_mcp.web.form_pages import Door, FormPages, Trouble, headers_of, to, trouble_of
from chamade_mcp.web.forms import BadForm, form_token, own_path, read_form, token_fits
from chamade_mcp.web.views import Views

HOME = "/dashboard"
SIGN_IN = "/sign-in"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is signed in."""

    principal: Principal
    form_token: str
    """For the form that signs out."""


class SignIn:
    def __init__(self, core: Core, door: Door, views: Views) -> None:
        self._core = core
        self._accounts = core.accounts
        self._door = door
        self._views = views
        self._pages = FormPages(door, views)

    def routes(self) -> list[BaseRoute]:
        return [
            Route(SIGN_IN, self._views.guarded(self._show), methods=["GET"]),
            Route(SIGN_IN, self._views.guarded(self._sign_in), methods=["POST"]),
            Route("/sign-out", self._views.guarded(self._sign_out), methods=["POST"]),
        ]

    async def visitor(self, request: Request) -> Visitor | None:
        """None while nobody is signed in in this browser."""
        session = self._pages.session(request)
        if session is None:
            return None
        try:
            principal = await self._accounts.authenticate_session(session)
        except Unauthenticated:
            return None
        return Visitor(principal, form_token(session))

    def ask(self, request: Request) -> Response:
        """Sends the browser to the form, and back here after it."""
        where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return to(f"{SIGN_IN}?next={quote(where, safe='/')}")

    # --- the three requests --------------------------------------------------------------------------------

    async def _show(self, request: Request) -> Response:
        wanted = own_path(request.query_params.get("next", ""), HOME)
        if await self.visitor(request) is not None:
            return to(wanted)
        return await self._form(request, wanted)

    async def _sign_in(self, request: Request) -> Response:
        sent = await self._pages.sent(request)
        wanted, email = own_path(sent["next"], HOME), sent["email"].strip()
        if sent.trouble is not None:
            return await self._form(request, wanted, email, sent.trouble)
        if not email or not sent["password"]:
            missing = Trouble(422, "Type the e-mail address and the password.")
            return await self._form(request, wanted, email, missing)
        try:
            session = await self._accounts.sign_in(email, sent["password"], device_of(request.scope))
        except GatewayError as error:
            return await self._form(request, wanted, email, trouble_of(error))
        old = self._pages.session(request)
        if old is not None:
            await self._accounts.sign_out(old)
        return self._pages.signed_in(session, wanted)

    async def _sign_out(self, request: Request) -> Response:
        self._door.require_same_origin(headers_of(request))
        session = self._pages.session(request)
        if session is not None:
            try:
                token = (await read_form(request)).get("token", "")
            except BadForm:
                token = ""
            if not token_fits(token, session):
                raise Forbidden("This form has expired: reload the page and sign out again")
            await self._accounts.sign_out(session)
        return self._pages.signed_out(SIGN_IN)

    async def _form(
        self, request: Request, wanted: str, email: str = "", trouble: Trouble | None = None
    ) -> Response:
        joining = self._core.members.joining
        return self._pages.show(
            request,
            "sign_in.html",
            trouble,
            next=wanted,
            email=email,
            unclaimed=await joining.unclaimed(),
            open=joining.is_open,
            passkeys=self._core.members.passkeys.available,
        )
