"""How people add bots to the emulated Discord's servers, and sign in there: the page that asks, the tokens.

https://docs.discord.com/developers/topics/oauth2
"""

import base64
import hashlib
import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from chamade_mcp.connectors.discord.emulated_world import Bot, World

_CODE_S: Final = 60.0
_LIFE_S: Final = 604_800
_SCOPES: Final = frozenset({"identify", "email", "guilds", "bot", "applications.commands"})
_ASKED: Final = (
    "client_id", "scope", "redirect_uri", "state", "response_type", "code_challenge", "code_challenge_method",
    "integration_type", "permissions",
)  # fmt: skip
_PAGE: Final = """<!doctype html><title>Discord</title><h1>{name} wants to access your Discord account</h1>
<form method="post">{hidden}
<p>As <select name="user">{people}</select> for <select name="guild">{guilds}</select></p>
<button name="decision" value="allow">Authorize</button> <button name="decision" value="deny">Cancel</button>
</form>"""


@dataclass(slots=True)
class _Grant:
    bot: Bot
    user: str
    told: Mapping[str, str]
    until: float


class Consent:
    def __init__(self, world: World) -> None:
        self._world = world
        self._codes: dict[str, _Grant] = {}
        self._tokens: dict[str, str] = {}
        """Whose each token is."""

    async def ask(self, request: Request) -> Response:
        """The page. What is wrong with the request is told there: nobody is sent to an unknown address."""
        told = dict(request.query_params)
        bot = self._bot(told.get("client_id", ""))
        words = "Unknown Application" if bot is None else self._wrong(bot, told)
        if bot is None or words:
            return HTMLResponse(f"<h1>{words}</h1>", 400)
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(told[name])}">'
            for name in _ASKED
            if name in told
        )
        people = _options((one.id, one.global_name) for one in self._world.people.values())
        guilds = _options((one.id, one.name) for one in self._world.guilds.values())
        name = html.escape(bot.username)
        return HTMLResponse(_PAGE.format(name=name, hidden=hidden, people=people, guilds=guilds))

    async def answer(self, request: Request) -> Response:
        """The person has pressed a button."""
        async with request.form() as form:
            told = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        bot, user = self._bot(told.get("client_id", "")), told.get("user", "")
        if bot is None or self._wrong(bot, told) or user not in self._world.people:
            return HTMLResponse("<h1>Invalid Form Body</h1>", 400)
        if told.get("decision") != "allow":
            back = {"error": "access_denied", "error_description": "The resource owner denied the request"}
            return self._back(told, back)
        scopes = told["scope"].split()
        if "bot" in scopes:
            self._world.guilds[told["guild"]].members[bot.id] = None
        if "applications.commands" in scopes and told.get("integration_type") == "1":
            bot.added_by.add(user)
        if told.get("response_type") != "code":
            return HTMLResponse("<h1>Authorized</h1>")
        code = secrets.token_urlsafe(22)
        self._codes[code] = _Grant(bot, user, told, self._world.clock.monotonic() + _CODE_S)
        return self._back(told, {"code": code})

    async def token(self, request: Request) -> Response:
        """``/oauth2/token``, which reads forms alone."""
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return _error("unsupported_grant_type", "Form encoding only", 400)
        told = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        client, secret = _client(request.headers.get("authorization", ""), told)
        bot = self._bot(client)
        if bot is None or not bot.secret or secret != bot.secret:
            return _error("invalid_client", "", 401)
        if told.get("grant_type") != "authorization_code":
            return _error("unsupported_grant_type", "Unsupported grant type", 400)
        grant = self._codes.pop(told.get("code", ""), None)
        if grant is None or grant.bot is not bot or grant.until <= self._world.clock.monotonic():
            return _error("invalid_grant", 'Invalid "code" in request.', 400)
        if told.get("redirect_uri") != grant.told.get("redirect_uri"):
            return _error("invalid_grant", 'Invalid "redirect_uri" in request.', 400)
        if not _proved(grant.told, told.get("code_verifier", "")):
            return _error("invalid_grant", 'Invalid "code_verifier" in request.', 400)
        token = secrets.token_urlsafe(22)
        self._tokens[token] = grant.user
        more = {"expires_in": _LIFE_S, "refresh_token": secrets.token_urlsafe(22)}
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "scope": grant.told["scope"], **more}
        )

    def user(self, header: str) -> dict[str, Any] | None:
        """Whose token it is."""
        return self._world.user(self._tokens.get(header.removeprefix("Bearer "), ""))

    def _bot(self, client: str) -> Bot | None:
        return next((bot for bot in self._world.bots.values() if bot.app_id == client), None)

    @staticmethod
    def _wrong(bot: Bot, told: Mapping[str, str]) -> str:
        scopes = told.get("scope", "").split()
        if not scopes or not _SCOPES.issuperset(scopes):
            return "The requested scope is invalid, unknown, or malformed."
        needs_address = told.get("response_type") == "code"
        if needs_address and told.get("redirect_uri") not in bot.redirects:
            return "Invalid OAuth2 redirect_uri"
        return "" if needs_address or "bot" in scopes else "Invalid response type"

    @staticmethod
    def _back(told: Mapping[str, str], more: Mapping[str, str]) -> Response:
        if not told.get("redirect_uri"):
            return HTMLResponse("<h1>You may close this page</h1>")
        state = {"state": told["state"]} if "state" in told else {}
        return RedirectResponse(f"{told['redirect_uri']}?{urlencode({**more, **state})}", 302)


def _client(authorization: str, told: Mapping[str, str]) -> tuple[str, str]:
    if authorization.startswith("Basic "):
        try:
            client, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        except ValueError:
            return "", ""
        return client, secret
    return told.get("client_id", ""), told.get("client_secret", "")


def _proved(asked: Mapping[str, str], verifier: str) -> bool:
    challenge = asked.get("code_challenge")
    if challenge is None:
        return True
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return digest == challenge and asked.get("code_challenge_method") == "S256"


def _error(error: str, words: str, status: int) -> Response:
    return JSONResponse({"error": error, **({"error_description": words} if words else {})}, status)


def _options(named: Any) -> str:
    return "".join(f'<option value="{ref}">{html.escape(name)}</option>' for ref, name in named)
