"""A Slack of one's own: apps, people, channels, files, events by webhook or Socket Mode.

It refuses what Slack refuses, in Slack's words. Serve `SlackEmulator.app` and give its address with ``/api``
as CHAMADE_SLACK_API_URL. People act by the methods of `SlackEmulator`; what apps say stands in `said`.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from chamade_mcp.connectors.slack.emulated_delivery import Delivery
from chamade_mcp.connectors.slack.emulated_methods import Methods
from chamade_mcp.connectors.slack.emulated_oauth import Installing
from chamade_mcp.connectors.slack.emulated_world import (
    TEAM,
    App,
    Bot,
    Channel,
    Person,
    Refusal,
    StoredFile,
    World,
)
from chamade_mcp.kit.clock import Clock, SystemClock


class SlackEmulator:
    """The platform's side. `app` is its HTTP API and its sockets; events go out while `running`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._world = World(clock or SystemClock())
        self.delivery = Delivery(self._world)
        self._methods = Methods(self._world, self.delivery)
        self._installing = Installing(self._world)
        self.running = self.delivery.running
        self.calls: dict[str, int] = defaultdict(int)
        """How often each method was called."""
        self.down = False
        self.silent: set[str] = set()
        """Methods that are carried out, and whose answer is Slack's "something went wrong"."""
        methods = ["GET", "POST"]
        self.app = Starlette(
            routes=[
                Route("/api/{method}", self._call, methods=methods),
                Route("/upload/v1/{ticket}", self._upload, methods=["POST"]),
                Route("/files-pri/{path:path}", self._download, methods=["GET"]),
                Route("/oauth/v2/authorize", self._installing.ask, methods=["GET"]),
                Route("/oauth/v2/authorize", self._installing.answer, methods=["POST"]),
                Route("/signin", self._sign_in, methods=["GET"]),
                WebSocketRoute("/link/", self.delivery.serve),
            ]
        )

    # --- api.slack.com -------------------------------------------------------------------------------------

    def new_app(self, name: str, team: str = TEAM) -> str:
        """An app, installed in a workspace; the token of its bot there."""
        return self._world.install(self._world.new_app(name), self._world.team_of(team)).token

    def install(self, token: str, team: str) -> str:
        """The same app in another workspace."""
        return self._world.install(self.bot(token).app, self._world.team_of(team)).token

    def publish(self, name: str, *redirect_urls: str) -> App:
        """An app that people install by themselves: they are sent to ``/oauth/v2/authorize``."""
        app = self._world.new_app(name)
        app.redirect_urls = redirect_urls
        return app

    def uninstall(self, token: str) -> None:
        """Somebody removes the app from their workspace."""
        self._methods.uninstall(self.bot(token))

    def installed(self, app: App) -> list[str]:
        """Its tokens that work."""
        world = self._world
        return [token for token, bot in world.bots.items() if bot.app is app and not world.has_ended(token)]

    def forget_refreshers(self) -> None:
        """From now on no token is renewed."""
        self._world.refreshers.clear()

    def bot(self, token: str) -> Bot:
        return self._world.bots[token]

    def narrow(self, token: str, *scopes: str) -> None:
        """The app was installed without these."""
        bot = self.bot(token)
        bot.scopes -= frozenset(scopes)

    async def subscribe(self, token: str, url: str) -> bool:
        """Events go to `url` from now on, if it answers the challenge."""
        return await self.listen(self.bot(token).app, url)

    async def listen(self, app: App, url: str) -> bool:
        """As `subscribe`, before anybody has installed it."""
        app.request_url = url
        asked = {"token": "deprecated", "challenge": "3eZbrw1aBm2rZgRNFdxV", "type": "url_verification"}
        try:
            answer = await self.delivery.post_once(app, json.dumps(asked).encode())
        except httpx2.TransportError:
            return False
        # Bare, or in JSON as bolt answers.
        right = (asked["challenge"], json.dumps({"challenge": asked["challenge"]}))
        app.socket_mode = answer.status_code != 200 or answer.text not in right
        return not app.socket_mode

    def reinstall(self, token: str) -> str:
        """A new token; the old one is revoked. The app is told where it listens."""
        bot = self._world.bots.pop(token)
        self._world.spent.add(token)
        self.delivery.tell(bot, {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [bot.user]}})
        bot.token = f"xoxb-{next(self._world.numbers)}-new"
        self._world.bots[bot.token] = bot
        return bot.token

    # --- people --------------------------------------------------------------------------------------------

    def person(self, name: str, team: str = TEAM) -> Person:
        person = Person(self._world.new_id("U"), name, self._world.team_of(team))
        self._world.people[person.id] = person
        return person

    def direct(self, token: str, person: Person) -> str:
        """Their direct channel with the app."""
        return self._world.direct(self.bot(token), person.id).id

    def directs(self, token: str) -> list[str]:
        """All direct channels of the app."""
        user = self.bot(token).user
        return [one.id for one in self._world.channels.values() if one.kind == "im" and user in one.members]

    def new_channel(self, token: str, name: str, *people: Person, kind: str = "channel") -> str:
        """One that the app was invited to."""
        bot = self.bot(token)
        members = {bot.user, *(person.id for person in people)}
        return self._world.new_channel(kind, name, bot.team, members).id

    def say(
        self,
        token: str,
        person: Person,
        text: str,
        *,
        channel: str = "",
        thread: str = "",
        more: Mapping[str, Any] | None = None,
    ) -> str:
        """Writes to an app, or in a channel; the message's ts. `more` are fields as they are."""
        place = self._place(token, person, channel)
        said = {"text": text, **({"thread_ts": thread} if thread else {}), **dict(more or {})}
        message = self._world.stand(place, {"user": person.id}, said)
        self._methods.tell(place, message)
        return message["ts"]

    def send_file(
        self, token: str, person: Person, name: str, body: bytes, mime: str, *, text: str = ""
    ) -> str:
        place = self._place(token, person, "")
        file = StoredFile(
            self._world.new_id("F"), name, mime, person.id, place.team, len(body), body, title=name
        )
        self._world.files[file.id] = file
        said = {"text": text, "subtype": "file_share"}
        return self._methods.share(place, [file], {"user": person.id}, said)["ts"]

    def lose(self, channel: str, ts: str) -> None:
        """The files of a message are deleted."""
        for file in self._world.channels[channel].messages[ts]["files"]:
            del self._world.files[file["id"]]

    def edit(self, channel: str, ts: str, text: str) -> None:
        place = self._world.channels[channel]
        before = place.messages[ts]
        edited = {"edited": {"user": before.get("user", ""), "ts": self._world.new_ts()}}
        after = {**before, "text": text, **edited}
        place.messages[ts] = after
        changed = {"subtype": "message_changed", "message": after, "previous_message": before, "hidden": True}
        self._methods.tell(place, changed)

    def delete(self, channel: str, ts: str) -> None:
        self._methods.remove(self._world.channels[channel], ts)

    def react(self, person: Person, channel: str, ts: str, name: str, *, added: bool = True) -> None:
        self._methods.react(self._world.channels[channel], ts, person.id, name, added=added)

    def archive(self, channel: str) -> None:
        self._world.channels[channel].archived = True

    def flood(self, channel: str, seconds: float) -> None:
        """From now on, and for so long, apps are too fast in that channel."""
        self._world.channels[channel].flood_until = self._world.clock.monotonic() + seconds

    def messages(self, channel: str) -> list[dict[str, Any]]:
        """All that stands there."""
        return list(self._world.channels[channel].messages.values())

    def said(self, token: str, channel: str) -> list[dict[str, Any]]:
        """What the app said there, and did not delete."""
        bot_id = self.bot(token).bot_id
        return [message for message in self.messages(channel) if message.get("bot_id") == bot_id]

    def reactions(self, channel: str, ts: str) -> list[str]:
        """The emoji that apps put there."""
        put: dict[str, list[str]] = self._world.channels[channel].messages[ts].get("reactions", {})
        return [name for name, users in put.items() if users]

    def content(self, message: Mapping[str, Any]) -> list[bytes]:
        """Of the files of a message."""
        return [self._world.files[file["id"]].body or b"" for file in message["files"]]

    # --- the API -------------------------------------------------------------------------------------------

    async def _call(self, request: Request) -> Response:
        method = request.path_params["method"]
        self.calls[method] += 1
        self._world.base = str(request.base_url).rstrip("/")
        if self.down:
            return Response("Bad Gateway", 502)
        try:
            params = await _params(request)
            if method == "oauth.v2.access":
                told = self._installing.access(params, request.headers.get("authorization", ""))
                return JSONResponse({"ok": True, **told})
            token = request.headers.get("authorization", "").removeprefix("Bearer ") or params.get(
                "token", ""
            )
            told = self._methods.call(method, str(token), params)
        except Refusal as refusal:
            return _refused(refusal)
        if method in self.silent:
            return JSONResponse({"ok": False, "error": "internal_error"}, 500)
        return JSONResponse({"ok": True, **told})

    async def _upload(self, request: Request) -> Response:
        body, ticket = await request.body(), request.path_params["ticket"]
        for file in self._world.files.values():
            if file.ticket == ticket and file.body is None:
                if len(body) != file.size:
                    return PlainTextResponse("the length differs", 400)
                file.body = body
                return PlainTextResponse(f"OK - {len(body)}")
        return PlainTextResponse("no such upload", 404)

    async def _download(self, request: Request) -> Response:
        try:
            bot = self._world.authorised(_bearer(request))
        except Refusal:
            return RedirectResponse("/signin", 302)
        team, _, ref = request.path_params["path"].partition("/")[0].partition("-")
        file = self._world.files.get(ref)
        if file is None or team != bot.team or "files:read" not in bot.scopes or file.body is None:
            return HTMLResponse("<html>Sign in</html>")
        return Response(file.body, media_type=file.mime)

    async def _sign_in(self, request: Request) -> Response:
        return HTMLResponse("<html>Sign in</html>")

    # --- inside --------------------------------------------------------------------------------------------

    def _place(self, token: str, person: Person, channel: str) -> Channel:
        return self._world.channels[channel or self.direct(token, person)]


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


async def _params(request: Request) -> dict[str, Any]:
    params: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        raw = await request.body()
        try:
            told: Any = json.loads(raw) if raw else {}
        except ValueError:
            raise Refusal("invalid_json") from None
        if not isinstance(told, dict):
            raise Refusal("json_not_object")
        params |= told
    elif kind:
        async with request.form() as form:
            params |= {name: value for name, value in form.multi_items() if isinstance(value, str)}
    return params


def _refused(refusal: Refusal) -> Response:
    body = {"ok": False, "error": refusal.error, **refusal.more}
    if refusal.retry_after is not None:
        return JSONResponse(body, 429, {"retry-after": str(refusal.retry_after)})
    return JSONResponse(body)
