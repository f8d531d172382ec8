"""How an app is installed in the emulated Slack: the page that asks, and the code for a token.

https://docs.slack.dev/authentication/installing-with-oauth
"""

import base64
import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from chamade_mcp.connectors.slack.emulated_world import App, Bot, Refusal, World

_CODE_S: Final = 600.0
_ASKED: Final = ("client_id", "scope", "redirect_uri", "state")
_PAGE: Final = """<!doctype html><title>Slack</title><link rel="icon" href="data:,">
<h1>{name} is requesting permission</h1>
<form method="post">{hidden}<p>As <select name="user">{people}</select></p>
<button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Cancel</button>
</form>"""


@dataclass(slots=True)
class _Grant:
    app: App
    user: str
    scopes: frozenset[str]
    redirect_uri: str
    until: float
    used: bool = False


class Installing:
    def __init__(self, world: World) -> None:
        self._world = world
        self._codes: dict[str, _Grant] = {}

    async def ask(self, request: Request) -> Response:
        """The page. What is wrong with the request is told there: nobody is sent to an unknown address."""
        told = dict(request.query_params)
        if words := self._wrong(told):
            return HTMLResponse(f"<h1>Something went wrong when authorizing this app</h1>{words}", 400)
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(told.get(name, ""))}">'
            for name in _ASKED
        )
        people = "".join(
            f'<option value="{person.id}">{html.escape(person.name)}</option>'
            for person in self._world.people.values()
        )
        name = html.escape(self._world.apps[told["client_id"]].name)
        return HTMLResponse(_PAGE.format(name=name, hidden=hidden, people=people))

    async def answer(self, request: Request) -> Response:
        """The person has pressed a button."""
        async with request.form() as form:
            told = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        if self._wrong(told) or told.get("user") not in self._world.people:
            return HTMLResponse("<h1>Something went wrong when authorizing this app</h1>", 400)
        back = {"state": told.get("state", "")}
        if told.get("decision") == "allow":
            scopes = frozenset(told["scope"].split(","))
            app, until = self._world.apps[told["client_id"]], self._world.clock.monotonic() + _CODE_S
            code = f"{secrets.randbelow(10**12)}.{secrets.token_hex(32)}"
            self._codes[code] = _Grant(app, told["user"], scopes, told["redirect_uri"], until)
            back = {"code": code, **back}
        else:
            back = {"error": "access_denied", **back}
        return RedirectResponse(f"{told['redirect_uri']}?{urlencode(back)}", 302)

    def access(self, params: Mapping[str, Any], authorization: str) -> dict[str, Any]:
        """``oauth.v2.access``. Raises `Refusal`."""
        app = self._client(params, authorization)
        if params.get("grant_type") == "refresh_token":
            return self._another(app, str(params.get("refresh_token", "")))
        grant = self._codes.get(str(params.get("code", "")))
        if grant is None or grant.app is not app or grant.until <= self._world.clock.monotonic():
            raise Refusal("invalid_code")
        if grant.used:
            raise Refusal("code_already_used")
        if params.get("redirect_uri") != grant.redirect_uri:
            raise Refusal("bad_redirect_uri")
        grant.used = True
        team = self._world.people[grant.user].team
        bot = self._world.install(app, team, grant.scopes)
        return {**self._told(bot), "authed_user": {"id": grant.user}}

    def _another(self, app: App, refresher: str) -> dict[str, Any]:
        bot = self._world.refreshers.pop(refresher, None)
        if bot is None or bot.app is not app or bot.token not in self._world.bots:
            raise Refusal("invalid_refresh_token")
        return self._told(bot)

    def _told(self, bot: Bot) -> dict[str, Any]:
        life_s = bot.app.token_life_s
        token = {"access_token": bot.token} if life_s is None else self._world.rotate(bot, life_s)
        return {
            **token, "token_type": "bot", "scope": ",".join(sorted(bot.scopes)),
            "bot_user_id": bot.user, "app_id": bot.app.id, "enterprise": None, "is_enterprise_install": False,
            "team": {"id": bot.team, "name": self._world.teams[bot.team]},
        }  # fmt: skip

    def _client(self, params: Mapping[str, Any], authorization: str) -> App:
        client, secret = str(params.get("client_id", "")), str(params.get("client_secret", ""))
        if authorization.startswith("Basic "):
            try:
                told = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            except ValueError:
                told = ""
            client, _, secret = told.partition(":")
        app = self._world.apps.get(client)
        if app is None:
            raise Refusal("invalid_client_id")
        if secret != app.client_secret:
            raise Refusal("bad_client_secret")
        return app

    def _wrong(self, told: Mapping[str, str]) -> str:
        app = self._world.apps.get(told.get("client_id", ""))
        if app is None:
            return "Invalid client_id parameter"
        uri = told.get("redirect_uri", "")
        if not any(uri == known or uri.startswith(f"{known.rstrip('/')}/") for known in app.redirect_urls):
            return "redirect_uri did not match any configured URIs"
        return "" if told.get("scope") else "No scopes requested"


def uninstalled(bot: Bot) -> list[dict[str, Any]]:
    """What an app hears of the end of its time in a workspace."""
    return [
        {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [bot.user]}},
        {"type": "app_uninstalled"},
    ]
