"""Microsoft's login, emulated: bots' tokens, the keys of Teams, and people who say who they are."""

import base64
import binascii
import hashlib
import html
import secrets
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

from joserfc import jwt
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from chamade_mcp.connectors.teams.emulated_world import ISSUER, Bot, Person, World

_CODE_S: Final = 600.0
_ASKED: Final = ("client_id", "redirect_uri", "scope", "state", "code_challenge")
_PAGE: Final = """<!doctype html><title>Sign in</title><h1>{name} wants to know who you are</h1>
<form method="post">{hidden}<p>As <select name="user">{people}</select></p>
<button name="decision" value="allow">Accept</button> <button name="decision" value="deny">Cancel</button>
</form>"""


@dataclass(slots=True)
class _Grant:
    bot: Bot
    person: Person
    redirect_uri: str
    challenge: str
    until: float


class Login:
    def __init__(self, world: World, calls: defaultdict[str, int]) -> None:
        self._world = world
        self._calls = calls
        self._codes: dict[str, _Grant] = {}
        self.down = False
        self.known: set[str] = set()
        """Who has signed in somewhere."""
        self.redirect_uris: set[str] = set()
        """Those that the bots' registrations name."""

    def routes(self) -> list[Route]:
        base = "/{tenant}/oauth2/v2.0"
        return [
            Route("/v1/.well-known/openidconfiguration", self._metadata),
            Route("/v1/.well-known/keys", self._keys),
            Route(f"{base}/token", self._token, methods=["POST"]),
            Route(f"{base}/authorize", self._ask, methods=["GET"]),
            Route(f"{base}/authorize", self._answer, methods=["POST"]),
        ]

    async def _metadata(self, request: Request) -> Response:
        del request
        told = {"issuer": ISSUER, "jwks_uri": f"{self._world.url}/v1/.well-known/keys"}
        return JSONResponse({**told, "id_token_signing_alg_values_supported": ["RS256"]})

    async def _keys(self, request: Request) -> Response:
        del request
        self._calls["keys"] += 1
        return Response(status_code=503) if self.down else JSONResponse(self._world.key_set())

    async def _token(self, request: Request) -> Response:
        self._calls["token"] += 1
        if self.down:
            return Response(status_code=503)
        form = dict(parse_qsl((await request.body()).decode()))
        client, secret = _client(request, form)
        bot = self._world.bots.get(client)
        tenant: str = request.path_params["tenant"]
        if bot is None or tenant not in _tenants(bot):
            words = "AADSTS700016: Application with identifier was not found in the directory."
            return _denied(400, "unauthorized_client", words)
        if secret != bot.secret:
            return _denied(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        if form.get("grant_type") == "authorization_code":
            return self._identity(bot, form)
        if form.get("grant_type") != "client_credentials" or form.get("scope") != f"{ISSUER}/.default":
            return _denied(400, "invalid_scope", "AADSTS1002012: The provided value for scope is not valid.")
        token = self._world.give_token(bot)
        return JSONResponse({"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def _identity(self, bot: Bot, form: dict[str, str]) -> Response:
        """A code for who somebody is."""
        grant = self._codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if grant is None or grant.bot is not bot or grant.until <= self._world.clock.monotonic():
            return _denied(400, "invalid_grant", "AADSTS70008: The provided authorization code is expired.")
        if grant.redirect_uri != form.get("redirect_uri"):
            return _denied(400, "invalid_grant", "AADSTS500112: The reply address does not match.")
        if grant.challenge != challenge.decode().rstrip("="):
            return _denied(400, "invalid_grant", "AADSTS50148: The code_verifier does not match.")
        now, person = int(self._world.clock.now().timestamp()), grant.person
        self.known.add(person.aad)
        claims = {"aud": bot.app_id, "oid": person.aad, "tid": person.tenant, "name": person.name}
        claims |= {"iss": f"https://login.microsoftonline.com/{person.tenant}/v2.0", "exp": now + 3600}
        identity = jwt.encode({"alg": "RS256", "kid": self._world.kid}, claims, self._world.key)
        told = {"token_type": "Bearer", "scope": form.get("scope", ""), "expires_in": 3599}
        return JSONResponse({**told, "access_token": secrets.token_hex(16), "id_token": identity})

    async def _ask(self, request: Request) -> Response:
        told = dict(request.query_params)
        if words := self._wrong(request, told):
            return HTMLResponse(f"<h1>Sorry, but we're having trouble signing you in.</h1>{words}", 400)
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(told.get(name, ""))}">'
            for name in _ASKED
        )
        people = "".join(
            f'<option value="{person.aad}">{html.escape(person.name)}</option>'
            for person in self._world.people
        )
        name = html.escape(self._world.bots[told["client_id"]].name)
        return HTMLResponse(_PAGE.format(name=name, hidden=hidden, people=people))

    async def _answer(self, request: Request) -> Response:
        told = dict(parse_qsl((await request.body()).decode()))
        person = next((one for one in self._world.people if one.aad == told.get("user")), None)
        if person is None or self._wrong(request, told):
            return HTMLResponse("<h1>Sorry, but we're having trouble signing you in.</h1>", 400)
        back = {"state": told.get("state", "")}
        if told.get("decision") == "allow":
            code, until = secrets.token_urlsafe(32), self._world.clock.monotonic() + _CODE_S
            bot = self._world.bots[told["client_id"]]
            self._codes[code] = _Grant(bot, person, told["redirect_uri"], told["code_challenge"], until)
            back["code"] = code
        else:
            back |= {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
        return RedirectResponse(f"{told['redirect_uri']}?{urlencode(back)}", 302)

    def _wrong(self, request: Request, told: dict[str, Any]) -> str:
        """Told on the page itself: nobody is sent to an unknown address."""
        bot = self._world.bots.get(told.get("client_id", ""))
        if bot is None or request.path_params["tenant"] not in _tenants(bot):
            return "AADSTS700016"
        if told.get("redirect_uri") not in self.redirect_uris:
            return "AADSTS50011"
        if "openid" not in str(told.get("scope")).split() or not told.get("code_challenge"):
            return "AADSTS70011"
        return ""


def _tenants(bot: Bot) -> tuple[str, ...]:
    """Where the bot is known; one for all organisations everywhere."""
    return (bot.tenant, "organizations") if bot.tenant == "botframework.com" else (bot.tenant,)


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Id and secret, as HTTP Basic or in the body."""
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client, _, secret = base64.b64decode(told).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(client), unquote(secret)


def _denied(status: int, error: str, words: str) -> Response:
    trace = " Trace ID: 1 Correlation ID: 2 Timestamp: 2026-11-20 10:00:00Z"
    return JSONResponse({"error": error, "error_description": words + trace}, status)
