"""The pages by which a person comes to an account: asking for one, and what is chosen behind a link."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.account_links import LinkGone
from chamade_mcp.core.devices import address_of, device_of
from chamade_mcp.core.gateway import Core
from chamade_mcp.core.joining import Opened
from chamade_mcp.core.letters import WELCOME
from chamade_mcp.core.passwords import MIN_LENGTH
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.limits import MAX_NAME
from chamade_mcp.web.form_pages import Door, FormPages, Sent, Trouble, trouble_of
from chamade_mcp.web.sign_in import HOME
from chamade_mcp.web.views import Views

SIGN_UP = "/sign-up"
_NO_FIELDS = Sent({})


class _Joining:
    def __init__(self, core: Core, door: Door, views: Views) -> None:
        self._joining = core.members.joining
        self._views = views
        self._pages = FormPages(door, views)

    def routes(self) -> list[BaseRoute]:
        guarded, welcome = self._views.guarded, f"{WELCOME}/{{link}}"
        return [
            Route(SIGN_UP, guarded(self._show), methods=["GET"]),
            Route(SIGN_UP, guarded(self._ask), methods=["POST"]),
            Route(welcome, guarded(self._open), methods=["GET"]),
            Route(welcome, guarded(self._join), methods=["POST"]),
        ]

    # --- asking for an account -----------------------------------------------------------------------------

    async def _show(self, request: Request) -> Response:
        if not self._joining.is_open:
            return self._views.render("sign_up_closed.html", status=403)
        return self._form(request, "")

    async def _ask(self, request: Request) -> Response:
        sent = await self._pages.sent(request)
        email = sent["email"].strip()
        if sent.trouble is not None:
            return self._form(request, email, sent.trouble)
        try:
            link = await self._joining.ask(email, address_of(request.scope))
        except GatewayError as error:
            return self._form(request, email, trouble_of(error))
        return self._views.render("sign_up_sent.html", email=email, link=link, back=SIGN_UP)

    def _form(self, request: Request, email: str, trouble: Trouble | None = None) -> Response:
        return self._pages.show(request, "sign_up.html", trouble, email=email)

    # --- behind the link -----------------------------------------------------------------------------------

    async def _open(self, request: Request) -> Response:
        return self._choose(request, await self._opened(request), _NO_FIELDS)

    async def _join(self, request: Request) -> Response:
        sent, opened = await self._pages.sent(request), await self._opened(request)
        if sent.trouble is not None:
            return self._choose(request, opened, sent, sent.trouble)
        name = sent["name"].strip()
        if len(name) > MAX_NAME or any(ord(c) < 32 or ord(c) == 127 for c in name):
            words = f"This must be one line of at most {MAX_NAME} characters."
            return self._choose(request, opened, sent, Trouble(422, words, field="name"))
        try:
            session = await self._joining.join(
                request.path_params["link"], sent["email"], name, sent["password"], device_of(request.scope)
            )
        except LinkGone:
            raise
        except GatewayError as error:
            return self._choose(request, opened, sent, trouble_of(error))
        return self._pages.signed_in(session, HOME)

    async def _opened(self, request: Request) -> Opened:
        opened = await self._joining.look(request.path_params["link"])
        if opened is None:
            raise LinkGone
        return opened

    def _choose(
        self, request: Request, opened: Opened, sent: Sent, trouble: Trouble | None = None
    ) -> Response:
        return self._pages.show(
            request,
            "welcome.html",
            trouble,
            action=request.url.path,
            first=opened.account is not None,
            known=opened.email,
            email=sent["email"].strip(),
            name=sent["name"],
            shortest=MIN_LENGTH,
        )


def joining_routes(core: Core, door: Door, views: Views) -> list[BaseRoute]:
    """``/sign-up`` and ``/welcome/<token>``."""
    return _Joining(core, door, views).routes()
