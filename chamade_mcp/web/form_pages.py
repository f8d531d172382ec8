"""Pages that are a form and work without a script: made for one browser, shown again with what was typed."""

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chamade_mcp.model.errors import GatewayError, LimitReached, ValidationFailed
from chamade_mcp.web.forms import BadForm, form_token, read_form, token_fits
from chamade_mcp.web.views import Views

_FORM_LIFE_S: Final = 12 * 3600
_FORM_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{32}")


class Door(Protocol):
    """How a browser is recognised: as by the REST API, so that one cookie serves both."""

    @property
    def cookie(self) -> bytes: ...

    def session_of(self, headers: Mapping[bytes, bytes]) -> str | None: ...

    def let_in(self, response: Response, session: str) -> None: ...

    def let_out(self, response: Response) -> None: ...

    def require_same_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises `Forbidden` for a request that another site's page may have sent."""
        ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a form is shown again."""

    status: int
    words: str
    retry_after: float | None = None
    field: str = ""
    """The one that is wrong; empty when it is the form."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it came. With `trouble` nothing may be done, and the fields are there to be shown again."""

    fields: Mapping[str, str]
    trouble: Trouble | None = None

    def __getitem__(self, name: str) -> str:
        """Empty for a field that did not come."""
        return self.fields.get(name, "")


class FormPages:
    def __init__(self, door: Door, views: Views) -> None:
        self._door = door
        self._views = views
        self._cookie = door.cookie.decode()

    def show(
        self, request: Request, template: str, trouble: Trouble | None = None, **values: object
    ) -> Response:
        cookie = request.cookies.get(self._form_cookie, "")
        if not _FORM_COOKIE.fullmatch(cookie):
            cookie = secrets.token_urlsafe(24)
        response = self._views.render(
            template,
            status=trouble.status if trouble else 200,
            token=form_token(cookie),
            error=trouble.words if trouble else "",
            wrong=trouble.field if trouble else "",
            **values,
        )
        if trouble is not None and trouble.retry_after is not None:
            response.headers["retry-after"] = str(math.ceil(trouble.retry_after))
        self._remember(response, cookie, _FORM_LIFE_S)
        return response

    async def sent(self, request: Request) -> Sent:
        """Raises `Forbidden` for a form that another site's page sent."""
        self._door.require_same_origin(headers_of(request))
        try:
            form = await read_form(request)
        except BadForm:
            return Sent({}, Trouble(400, "The form did not arrive whole. Send it again."))
        if not token_fits(form.get("token", ""), request.cookies.get(self._form_cookie, "")):
            return Sent(form, Trouble(403, "This form has expired. Send it again."))
        return Sent(form)

    # --- the session's cookie ------------------------------------------------------------------------------

    def session(self, request: Request) -> str | None:
        return self._door.session_of(headers_of(request))

    def signed_in(self, session: str, wanted: str) -> Response:
        """Goes on at `wanted`, a path of ours; the form that led here is of no more use."""
        response = to(wanted)
        self._door.let_in(response, session)
        self._remember(response, "", 0)
        return response

    def signed_out(self, wanted: str) -> Response:
        response = to(wanted)
        self._door.let_out(response)
        return response

    @property
    def _form_cookie(self) -> str:
        return f"{self._cookie}-form"

    def _remember(self, response: Response, value: str, life_s: int) -> None:
        secure = self._cookie.startswith("__Host-")
        response.set_cookie(
            self._form_cookie,
            value,
            max_age=life_s,
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",
        )


def trouble_of(error: GatewayError) -> Trouble:
    """What the core said, for the person who sent a form."""
    words = f"{error.detail}."
    if isinstance(error, LimitReached):
        minutes = math.ceil((error.retry_after or 60) / 60)
        words = f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}."
    elif isinstance(error, ValidationFailed):
        first = error.errors[0]
        return Trouble(error.status, f"This {first.message}.", field=first.field)
    return Trouble(error.status, words, error.retry_after)


def headers_of(request: Request) -> Mapping[bytes, bytes]:
    return dict(request.scope["headers"])


def to(path: str) -> RedirectResponse:
    """Answers a form, too: the browser goes on with a GET."""
    return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})
