"""Signing in and out: the only forms of the dashboard, and the session's cookie."""

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.accounts import Accounts
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Forbidden, GatewayError, LimitReached, Unauthenticated
from chamade_mcp.model.limits import SESSION_LIFE
from chamade_mcp.web.forms import BadForm, form_token, own_path, read_form, token_fits
from chamade_mcp.web.views import Views

HOME = "/dashboard"
SIGN_IN = "/sign-in"
_FORM_LIFE_S = 12 * 3600
_TORN = "The form did not arrive whole. Send it again."
_FORM_COOKIE = re.compile(r"[A-Za-z0-9_-]{32}")


class Door(Protocol):
    """How a browser is recognised: as by the REST API, so that one cookie serves both."""

    @property
    def cookie(self) -> bytes: ...

    def session_of(self, headers: Mapping[bytes, bytes]) -> str | None: ...

    def require_same_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises `Forbidden` for a request that another site's page may have sent."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is signed in."""

    principal: Principal
    form_token: str
    """For the form that signs out."""


class SignIn:
    def __init__(self, accounts: Accounts, door: Door, views: Views) -> None:
        self._accounts = accounts
        self._door = door
        self._views = views
        self._cookie = door.cookie.decode()
        self._secure = self._cookie.startswith("__Host-")

    def routes(self) -> list[BaseRoute]:
        return [
            Route(SIGN_IN, self._views.guarded(self._show), methods=["GET"]),
            Route(SIGN_IN, self._views.guarded(self._sign_in), methods=["POST"]),
            Route("/sign-out", self._views.guarded(self._sign_out), methods=["POST"]),
        ]

    async def visitor(self, request: Request) -> Visitor | None:
        """None while nobody is signed in in this browser."""
        session = self._session(request)
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
        return _to(f"{SIGN_IN}?next={quote(where, safe='/')}")

    # --- the three requests --------------------------------------------------------------------------------

    async def _show(self, request: Request) -> Response:
        wanted = own_path(request.query_params.get("next", ""), HOME)
        if await self.visitor(request) is not None:
            return _to(wanted)
        return self._form(request, wanted)

    async def _sign_in(self, request: Request) -> Response:
        self._door.require_same_origin(_headers(request))
        try:
            form = await read_form(request)
        except BadForm:
            return self._form(request, HOME, status=400, error=_TORN)
        wanted = own_path(form.get("next", ""), HOME)
        email, password = form.get("email", "").strip(), form.get("password", "")
        if not token_fits(form.get("token", ""), request.cookies.get(self._form_cookie, "")):
            return self._form(
                request, wanted, email, status=403, error="This form has expired. Send it again."
            )
        if not email or not password:
            missing = "Type the e-mail address and the password."
            return self._form(request, wanted, email, status=422, error=missing)
        try:
            session = await self._accounts.sign_in(email, password)
        except GatewayError as error:
            return self._refused(request, wanted, email, error)
        old = self._session(request)
        if old is not None:
            await self._accounts.sign_out(old)
        response = _to(wanted)
        self._set(response, self._cookie, session, int(SESSION_LIFE.total_seconds()))
        self._set(response, self._form_cookie, "", 0)
        return response

    async def _sign_out(self, request: Request) -> Response:
        self._door.require_same_origin(_headers(request))
        session = self._session(request)
        if session is not None:
            try:
                token = (await read_form(request)).get("token", "")
            except BadForm:
                token = ""
            if not token_fits(token, session):
                raise Forbidden("This form has expired: reload the page and sign out again")
            await self._accounts.sign_out(session)
        response = _to(SIGN_IN)
        self._set(response, self._cookie, "", 0)
        return response

    # --- inside --------------------------------------------------------------------------------------------

    def _refused(self, request: Request, wanted: str, email: str, error: GatewayError) -> Response:
        words = f"{error.detail}."
        if isinstance(error, LimitReached):
            minutes = math.ceil((error.retry_after or 60) / 60)
            words = f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}."
        response = self._form(request, wanted, email, status=error.status, error=words)
        if error.retry_after is not None:
            response.headers["retry-after"] = str(math.ceil(error.retry_after))
        return response

    def _form(
        self, request: Request, wanted: str, email: str = "", *, status: int = 200, error: str = ""
    ) -> Response:
        cookie = request.cookies.get(self._form_cookie, "")
        if not _FORM_COOKIE.fullmatch(cookie):
            cookie = secrets.token_urlsafe(24)
        response = self._views.render(
            "sign_in.html", status=status, token=form_token(cookie), next=wanted, email=email, error=error
        )
        self._set(response, self._form_cookie, cookie, _FORM_LIFE_S)
        return response

    @property
    def _form_cookie(self) -> str:
        return f"{self._cookie}-form"

    def _session(self, request: Request) -> str | None:
        return self._door.session_of(_headers(request))

    def _set(self, response: Response, name: str, value: str, life_s: int) -> None:
        response.set_cookie(
            name, value, max_age=life_s, path="/", secure=self._secure, httponly=True, samesite="lax"
        )


def _headers(request: Request) -> Mapping[bytes, bytes]:
    return dict(request.scope["headers"])


def _to(path: str) -> RedirectResponse:
    """Answers a form, too: the browser goes on with a GET."""
    return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})
