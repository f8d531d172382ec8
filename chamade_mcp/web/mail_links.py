"""What stands behind the links of mails to people who have an account, and how to ask for one.

Opening a page does nothing yet: programs that look through mail open every link in it.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.account_links import LinkGone
from chamade_mcp.core.devices import address_of
from chamade_mcp.core.gateway import Core
from chamade_mcp.core.letters import EMAIL, PASSWORD
from chamade_mcp.core.passwords import MIN_LENGTH
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.web.form_pages import Door, FormPages, Trouble, trouble_of
from chamade_mcp.web.views import Views

FORGOT = "/forgot-password"


class _MailLinks:
    def __init__(self, core: Core, door: Door, views: Views) -> None:
        self._addresses = core.members.addresses
        self._sends = core.members.letters.sends
        self._views = views
        self._pages = FormPages(door, views)

    def routes(self) -> list[BaseRoute]:
        pages = {
            FORGOT: (self._forgot, self._ask),
            f"{PASSWORD}/{{link}}": (self._choose, self._chosen),
            f"{EMAIL}/{{link}}": (self._confirm, self._confirmed),
        }
        guarded = self._views.guarded
        return [
            Route(path, guarded(answer), methods=[method])
            for path, answers in pages.items()
            for method, answer in zip(("GET", "POST"), answers, strict=True)
        ]

    # --- the password is lost ------------------------------------------------------------------------------

    async def _forgot(self, request: Request) -> Response:
        return self._ask_form(request, "")

    async def _ask(self, request: Request) -> Response:
        sent = await self._pages.sent(request)
        email = sent["email"].strip()
        if sent.trouble is not None:
            return self._ask_form(request, email, sent.trouble)
        try:
            await self._addresses.forgot(email, address_of(request.scope))
        except GatewayError as error:
            return self._ask_form(request, email, trouble_of(error))
        return self._views.render("forgot_sent.html", email=email, sends=self._sends, back=FORGOT)

    def _ask_form(self, request: Request, email: str, trouble: Trouble | None = None) -> Response:
        return self._pages.show(request, "forgot.html", trouble, email=email)

    # --- a new one -----------------------------------------------------------------------------------------

    async def _choose(self, request: Request) -> Response:
        if not await self._addresses.is_password_link(request.path_params["link"]):
            raise LinkGone
        return self._password_form(request)

    async def _chosen(self, request: Request) -> Response:
        sent = await self._pages.sent(request)
        if sent.trouble is not None:
            return self._password_form(request, sent.trouble)
        try:
            await self._addresses.new_password(request.path_params["link"], sent["password"])
        except LinkGone:
            raise
        except GatewayError as error:
            return self._password_form(request, trouble_of(error))
        return self._views.render("password_chosen.html")

    def _password_form(self, request: Request, trouble: Trouble | None = None) -> Response:
        return self._pages.show(
            request, "new_password.html", trouble, action=request.url.path, shortest=MIN_LENGTH
        )

    # --- an address ----------------------------------------------------------------------------------------

    async def _confirm(self, request: Request) -> Response:
        return await self._email_form(request)

    async def _confirmed(self, request: Request) -> Response:
        sent = await self._pages.sent(request)
        if sent.trouble is not None:
            return await self._email_form(request, sent.trouble)
        email = await self._addresses.confirm(request.path_params["link"])
        return self._views.render("email_proved.html", email=email)

    async def _email_form(self, request: Request, trouble: Trouble | None = None) -> Response:
        email = await self._addresses.address_behind(request.path_params["link"])
        if email is None:
            raise LinkGone
        return self._pages.show(request, "new_email.html", trouble, action=request.url.path, email=email)


def mail_link_routes(core: Core, door: Door, views: Views) -> list[BaseRoute]:
    """``/forgot-password``, ``/new-password/<token>`` and ``/new-email/<token>``."""
    return _MailLinks(core, door, views).routes()
