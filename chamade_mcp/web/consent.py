"""The consent screen: a client asks to act as the agent, a person says yes or no.

Nobody else can say it for them. The question stands under a token that works once, for ten minutes and in the
browser that it was made for; the form carries that browser's own token and is taken from our own pages only;
the page cannot be framed, and its buttons work a moment after it is seen, so that no click meant for
something else falls on them.
"""

from collections.abc import Mapping
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from chamade_mcp.core.accounts import require_verified
from chamade_mcp.core.consents import ConsentRequest
from chamade_mcp.core.gateway import Core
from chamade_mcp.model.access import Permission
from chamade_mcp.model.errors import Forbidden
from chamade_mcp.oauth import authorize, redirects
from chamade_mcp.oauth.authorize import SentBack, Untrusted
from chamade_mcp.oauth.documents import Documents, is_document_id
from chamade_mcp.oauth.places import AUTHORIZE, CONSENT, Places
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.form_pages import Door
from chamade_mcp.web.forms import BadForm, form_token, read_form, token_fits
from chamade_mcp.web.rooms import CONTENT_SECURITY_POLICY
from chamade_mcp.web.sign_in import SignIn, Visitor
from chamade_mcp.web.views import Views

_FORM_ACTION = "form-action 'self'"
_WORDS: Mapping[Permission, tuple[str, str]] = {
    Permission.READ: ("Read", "your inbox, your calls and their transcripts"),
    Permission.MESSAGE: ("Write", "messages and send files in your agent’s name"),
    Permission.CALL: ("Call", "join, answer and leave calls, hear and speak in them"),
    Permission.MANAGE: ("Manage", "your agent’s keys, connections, links and apps"),
}
_TOO_LATE = "The question was answered already, is more than ten minutes old, or was put to another browser."
_START_AGAIN = "Go back to the program that sent you here and connect it again."


class _Consent:
    def __init__(
        self, core: Core, places: Places, documents: Documents, door: Door, sign_in: SignIn, views: Views
    ) -> None:
        self._core = core
        self._places = places
        self._documents = documents
        self._door = door
        self._sign_in = sign_in
        self._views = views

    def routes(self) -> list[BaseRoute]:
        guarded = self._views.guarded
        return [
            Route(AUTHORIZE, guarded(self._authorize), methods=["GET"]),
            Route(CONSENT, guarded(self._ask), methods=["GET"]),
            Route(CONSENT, guarded(self._answer), methods=["POST"]),
        ]

    # --- the three requests --------------------------------------------------------------------------------

    async def _authorize(self, request: Request) -> Response:
        try:
            return await self._begin(request)
        except Untrusted as error:
            return self._refuse("This program cannot be let in", str(error), 400)

    async def _begin(self, request: Request) -> Response:
        parameters = authorize.parameters_of(request.url.query)
        client_id = parameters.get("client_id")
        if client_id is None:
            raise Untrusted("The request does not say which program sends it.")
        visitor = await self._sign_in.visitor(request)
        if visitor is None and is_document_id(client_id):
            # For strangers nothing is fetched: first it must be somebody of ours who asks.
            return self._sign_in.ask(request)
        asker = visitor.principal.account if visitor is not None else "-"
        client = await authorize.find_client(client_id, self._core.clients, self._documents, asker)
        asked = authorize.trusted(client, request.url.query, parameters)
        try:
            question = authorize.read(asked, self._places)
            if asked.silently:
                code = "login_required" if visitor is None else "interaction_required"
                raise SentBack(code, "a person has to say yes")
        except SentBack as error:
            if redirects.is_elsewhere(asked.redirect_uri) and not await self._core.grants.known(client.id):
                # Anybody may register: else a link to us would open any site (RFC 9700 section 4.11.2).
                raise Untrusted(f"The program that sent you here asks in a wrong way: {error}.") from None
            return _to(authorize.refusal_location(asked, error, self._places))
        if visitor is None:
            return self._sign_in.ask(request)
        require_verified(visitor.principal)
        token = await self._core.consents.ask(visitor.principal.account, self._session(request), question)
        return _to(f"{CONSENT}?request={token}")

    async def _ask(self, request: Request) -> Response:
        visitor = await self._sign_in.visitor(request)
        if visitor is None:
            return self._sign_in.ask(request)
        session, token = self._session(request), request.query_params.get("request", "")
        question = await self._core.consents.look(session, token)
        if question is None:
            return self._refuse("This question is no longer open", f"{_TOO_LATE} {_START_AGAIN}", 410)
        return await self._page(visitor, question, token, form_token(session))

    async def _answer(self, request: Request) -> Response:
        self._door.require_same_origin(dict(request.scope["headers"]))
        visitor, session = await self._sign_in.visitor(request), self._session(request)
        form = await _form(request)
        decision = form.get("decision")
        if visitor is None or not token_fits(form.get("token", ""), session):
            raise Forbidden(f"This form has expired. {_START_AGAIN.rstrip('.')}")
        if decision not in ("allow", "deny"):
            return self._refuse("Nothing was decided", f"The form did not arrive whole. {_START_AGAIN}", 400)
        question = await self._core.consents.take(session, form.get("request", ""))
        if question is None:
            return self._refuse("This question is no longer open", f"{_TOO_LATE} {_START_AGAIN}", 410)
        if decision == "deny":
            self._core.grants.refuse(visitor.principal, question)
            refused = {"error": "access_denied", "error_description": "the person said no"}
            return _to(authorize.answer_location(question, refused, self._places))
        require_verified(visitor.principal)
        scope = await self._core.agents.scope(visitor.principal, form.get("agent") or None)
        code = await self._core.grants.approve(replace(visitor.principal, scope=scope), question)
        return _to(authorize.answer_location(question, {"code": code}, self._places))

    # --- inside --------------------------------------------------------------------------------------------

    async def _page(
        self, visitor: Visitor, question: ConsentRequest, request_token: str, token: str
    ) -> HTMLResponse:
        profile = await self._core.accounts.profile(visitor.principal)
        agents = await self._core.agents.names(visitor.principal)
        response = self._views.render(
            "consent.html",
            action=CONSENT,
            request=request_token,
            token=token,
            client=question.client_name,
            host=question.client_host,
            place=redirects.place(question.redirect_uri),
            here=redirects.is_loopback(question.redirect_uri),
            agent=visitor.principal.scope.agent,
            agents=agents,
            email=profile["email"],
            # With several, which one it is to be is asked anew.
            again=len(agents) == 1 and await self._core.grants.covers(visitor.principal, question),
            scopes=[(p, *_WORDS[p]) for p in Permission if p in question.permissions],
        )
        # Browsers apply `form-action` to where the answer to a form sends them on, too.
        allowed = f"{_FORM_ACTION} {redirects.form_action(question.redirect_uri)}"
        response.headers["content-security-policy"] = CONTENT_SECURITY_POLICY.replace(_FORM_ACTION, allowed)
        response.headers["x-frame-options"] = "DENY"
        return response

    def _refuse(self, title: str, words: str, status: int) -> Response:
        """Always a page: only people get here."""
        return self._views.render("dash_error.html", status=status, title=title, words=words, request_id="")

    def _session(self, request: Request) -> str:
        return self._door.session_of(dict(request.scope["headers"])) or ""


async def _form(request: Request) -> Mapping[str, str]:
    try:
        return await read_form(request)
    except BadForm:
        return {}


def _to(location: str) -> Response:
    # As it stands: Starlette's own redirect quotes anew, and a redirect URI has to stay what was registered.
    headers = {"location": location, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(status_code=303, headers=headers)


def consent_routes(
    core: Core, places: Places, documents: Documents, door: Door, assets: Assets
) -> list[BaseRoute]:
    """``/authorize`` and ``/mcp-auth/consent``."""
    views = Views(assets)
    sign_in = SignIn(core, door, views)
    return _Consent(core, places, documents, door, sign_in, views).routes()
