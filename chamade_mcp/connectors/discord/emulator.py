"""A Discord of one's own: bots, people, servers, channels, files, events over the Gateway.

It refuses what Discord refuses, in Discord's words. Serve `DiscordEmulator.app` and give its address with
``/api/v10`` as CHAMADE_DISCORD_API_URL. People act by the methods of `DiscordEmulator`; what bots say stands
in `said`.
"""

import json
import secrets
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from chamade_mcp.connectors.discord.emulated_gateway import Gateway
from chamade_mcp.connectors.discord.emulated_limits import Limits
from chamade_mcp.connectors.discord.emulated_oauth import Consent
from chamade_mcp.connectors.discord.emulated_rest import Asked, Rest, Upload
from chamade_mcp.connectors.discord.emulated_world import (
    CONTENT_FLAG,
    TEXT,
    THREAD,
    Bot,
    Channel,
    Guild,
    Person,
    Refusal,
    StoredFile,
    World,
)
from chamade_mcp.connectors.discord.wire import members
from chamade_mcp.kit.clock import Clock, SystemClock


class DiscordEmulator:
    """The platform's side. `app` is its API and its Gateway."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._world = World(clock or SystemClock())
        self.people = self._world.people
        self.gateway = Gateway(self._world)
        self._rest = Rest(self._world, self.gateway)
        self.calls: dict[str, int] = defaultdict(int)
        """How often each route was called."""
        self.too_fast = 0
        """Requests that were answered with 429."""
        self.limits = Limits(self._world)
        self.silent: set[str] = set()
        """Methods and paths, without ids, that are carried out, and whose answer is lost."""
        self._interactions: dict[str, tuple[Bot, str]] = {}
        self._consent = Consent(self._world)
        self.app = Starlette(
            routes=[
                Route("/oauth2/authorize", self._consent.ask, methods=["GET"]),
                Route("/oauth2/authorize", self._consent.answer, methods=["POST"]),
                Route("/api/v10/oauth2/token", self._consent.token, methods=["POST"]),
                Route("/api/v10/interactions/{id}/{token}/callback", self._callback, methods=["POST"]),
                Route("/api/v10/{path:path}", self._call, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
                Route("/attachments/{channel}/{id}/{name}", self._download, methods=["GET"]),
                *(
                    WebSocketRoute(path, self._serve)
                    for path in ("/gateway", "/gateway/", "/resume", "/resume/")
                ),
            ]
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """While events go out."""
        try:
            yield
        finally:
            await self.gateway.stop()

    def fall(self) -> None:
        """Nothing of it answers any more."""
        self._world.down = True

    def rise(self) -> None:
        self._world.down = False

    # --- the Developer Portal ------------------------------------------------------------------------------

    def new_bot(self, name: str, *, content: bool = True) -> str:
        """Its token. `content`: the Message Content Intent is on."""
        app, user = self._world.new_id(), self._world.new_id()
        bot = Bot(user, app, name, _new_token(), CONTENT_FLAG if content else 0)
        self._world.bots[bot.token] = bot
        return bot.token

    def publish(self, token: str, *redirects: str) -> str:
        """Gives its application a client secret; it may send people back to `redirects`."""
        bot = self.bot(token)
        bot.secret, bot.redirects = secrets.token_urlsafe(24), redirects
        return bot.secret

    def bot(self, token: str) -> Bot:
        return self._world.bots[token]

    async def reset(self, token: str) -> str:
        """A new token; with the old one nobody comes in any more."""
        await self.gateway.close(token, 4004, forget=True)
        bot = self._world.bots.pop(token)
        bot.token = _new_token()
        self._world.bots[bot.token] = bot
        return bot.token

    # --- people --------------------------------------------------------------------------------------------

    def person(self, name: str) -> Person:
        person = Person(self._world.new_id(), name.lower().replace(" ", "."), name)
        self._world.people[person.id] = person
        return person

    def new_guild(self, token: str, name: str, *people: Person) -> Guild:
        """A server that the bot was added to, with a role for it."""
        bot, ref = self.bot(token), self._world.new_id()
        about = {"color": 0, "hoist": False, "permissions": "0", "mentionable": False, "flags": 0}
        roles = [
            {"id": ref, "name": "@everyone", "position": 0, "managed": False, **about},
            {
                "id": self._world.new_id(),
                "name": bot.username,
                "position": 1,
                "managed": True,
                "tags": {"bot_id": bot.id},
                **about,
            },
        ]
        names: dict[str, str | None] = dict.fromkeys([*(one.id for one in people), bot.id])
        guild = Guild(ref, name, names, roles)
        self._world.guilds[ref] = guild
        return guild

    def new_channel(self, guild: Guild, name: str) -> str:
        return self._world.add_channel(Channel(self._world.new_id(), TEXT, name, guild)).id

    def new_thread(self, channel: str, name: str) -> str:
        parent = self._world.channels[channel]
        thread = Channel(self._world.new_id(), THREAD, name, parent.guild, parent.id)
        return self._world.add_channel(thread).id

    def direct(self, token: str, person: Person) -> str:
        """Their direct channel with the bot."""
        return self._world.direct(self.bot(token), person.id).id

    def say(self, person: Person, channel: str, text: str, **more: Any) -> str:
        """Writes somewhere; the message's id. `more` are fields as they are."""
        return self._say(person, channel, text, [], more)

    def send_file(
        self, person: Person, channel: str, name: str, body: bytes, mime: str, *, text: str = ""
    ) -> str:
        file = StoredFile(self._world.new_id(), name, mime, body, channel)
        return self._say(person, channel, text, [file], {})

    def lose(self, channel: str, ref: str) -> None:
        """The files of a message are gone."""
        for file in self._world.channels[channel].messages[ref]["attachments"]:
            del self._world.files[file["id"]]

    def answer(self, person: Person, channel: str, ref: str, text: str) -> str:
        """Replies to a message, without calling its author."""
        quoted = self._world.channels[channel].messages[ref]
        about = {"type": 0, "message_id": ref, "channel_id": channel}
        return self.say(
            person, channel, text, type=19, message_reference=about, referenced_message=dict(quoted)
        )

    def edit(self, channel: str, ref: str, text: str) -> None:
        self._rest.change(self._world.channels[channel], ref, text)

    def preview(self, channel: str, ref: str) -> None:
        """Discord adds the preview of a link, which is told as a change."""
        message = self._world.channels[channel].messages[ref]
        message["embeds"] = [{"type": "link", "title": "A page"}]
        self.gateway.tell(self._world.channels[channel], "MESSAGE_UPDATE", message)

    def delete(self, channel: str, ref: str) -> None:
        self._rest.remove(self._world.channels[channel], ref)

    def react(self, person: Person, channel: str, ref: str, emoji: str, *, added: bool = True) -> None:
        self._rest.react(self._world.channels[channel], ref, person.id, emoji, added=added)

    def command(self, token: str, person: Person, name: str, channel: str, **options: str) -> None:
        """Uses one of the bot's commands."""
        bot, place = self.bot(token), self._world.channels[channel]
        ref, secret = self._world.new_id(), secrets.token_urlsafe(40)
        self._interactions[ref] = (bot, secret)
        who: dict[str, Any] = {"user": person.to_wire()}
        if place.guild is not None:
            who = {
                "guild_id": place.guild.id,
                "member": {**who, **self._world.member(place.guild, person.id)},
            }
        given = [{"name": option, "type": 3, "value": value} for option, value in options.items()]
        data = {"id": bot.commands[name]["id"], "name": name, "type": 1, "options": given}
        about = {"id": ref, "application_id": bot.app_id, "type": 2, "token": secret, "version": 1}
        where = {"channel_id": place.id, "channel": self._world.channel_wire(place)}
        more: dict[str, Any] = {"entitlements": [], "locale": "en-US", "attachment_size_limit": 10 << 20}
        self.gateway.tell_bot(bot, "INTERACTION_CREATE", {**about, **where, **who, **more, "data": data})

    def flood(self, channel: str, seconds: float) -> None:
        """From now on, and for so long, bots are too fast in that channel."""
        self._world.channels[channel].flood_until = self._world.clock.monotonic() + seconds

    def channel(self, ref: str) -> Channel:
        return self._world.channels[ref]

    def messages(self, channel: str) -> list[dict[str, Any]]:
        """All that stands there."""
        return list(self._world.channels[channel].messages.values())

    def said(self, token: str, channel: str) -> list[dict[str, Any]]:
        """What the bot said there, and did not delete."""
        user = self.bot(token).id
        return [message for message in self.messages(channel) if message["author"]["id"] == user]

    def reactions(self, channel: str, ref: str) -> list[str]:
        """The emoji that stand at a message."""
        put: dict[str, list[str]] = self._world.channels[channel].messages[ref].get("put", {})
        return [emoji for emoji, users in put.items() if users]

    def content(self, message: Mapping[str, Any]) -> list[bytes]:
        """Of the files of a message."""
        return [self._world.files[file["id"]].body for file in message["attachments"]]

    # --- the API -------------------------------------------------------------------------------------------

    async def _call(self, request: Request) -> Response:
        self._world.base = str(request.base_url).rstrip("/")
        if self._world.down:
            return PlainTextResponse("upstream connect error", 503)
        limits: dict[str, str] = {}
        try:
            path = "/" + request.scope["path"].partition("/api/v10/")[2]
            name, ids, serving = self._rest.route(request.method, path)
            self.calls[name] += 1
            header = request.headers.get("authorization", "")
            if path == "/users/@me" and (person := self._consent.user(header)) is not None:
                return _json(person, 200)
            if not request.headers.get("user-agent", "").startswith("DiscordBot ("):
                raise Refusal(403, 40333, "internal network error")
            bot = self._world.authorised(header)
            limits = self.limits.count(bot, name, ids)
            body, uploads = await _body(request)
            told = serving(Asked(bot, ids, body, uploads))
        except Refusal as refusal:
            return self._refused(refusal, limits)
        if any(name.startswith(one) for one in self.silent):
            return PlainTextResponse("", 504)
        if told is None:
            return Response(status_code=204, headers=limits)
        return _json(told, 200, limits)

    def _refused(self, refusal: Refusal, limits: Mapping[str, str]) -> Response:
        if refusal.retry_after is None:
            return _json(refusal.body, refusal.status, limits)
        self.too_fast += 1
        scope = {"x-ratelimit-scope": "global", "x-ratelimit-global": "true"}
        told = scope if refusal.everywhere else {"x-ratelimit-scope": "user"}
        # discord.py takes an answer without Via for one of the guard before Discord.
        return _json(
            refusal.body, 429, {**told, "retry-after": str(int(refusal.retry_after) + 1), "via": "1.1 google"}
        )

    async def _callback(self, request: Request) -> Response:
        known = self._interactions.get(request.path_params["id"])
        if known is None or known[1] != request.path_params["token"]:
            return _json({"message": "Unknown interaction", "code": 10062}, 404)
        ref, asked = request.path_params["id"], await request.json()
        del self._interactions[ref]
        known[0].replies.append(asked["data"])
        if request.query_params.get("with_response") not in ("1", "true"):
            return Response(status_code=204)
        return _json({"interaction": {"id": ref, "type": 2}, "resource": {"type": asked["type"]}}, 200)

    async def _download(self, request: Request) -> Response:
        file = self._world.files.get(request.path_params["id"])
        until = int(request.query_params.get("ex", "0"), 16)
        if file is None or until < self._world.clock.now().timestamp() or not request.query_params.get("hm"):
            return PlainTextResponse("This content is no longer available.", 404)
        return Response(file.body, media_type=file.mime)

    async def _serve(self, socket: Any) -> None:
        await self.gateway.serve(socket)

    # --- inside --------------------------------------------------------------------------------------------

    def _say(
        self, person: Person, channel: str, text: str, files: list[StoredFile], more: Mapping[str, Any]
    ) -> str:
        place = self._world.channels[channel]
        if place.guild is not None:
            about: dict[str, Any] = {
                "roles": [],
                "joined_at": self._world.stamp(),
                "deaf": False,
                "mute": False,
                "flags": 0,
            }
            more = {"member": {"nick": place.guild.members[person.id], **about}, **more}
        message = self._world.stand(place, person.to_wire(), text, more)
        self._world.with_files(message, files)
        self.gateway.tell(place, "MESSAGE_CREATE", {**message, "channel_type": place.type})
        return message["id"]


def _new_token() -> str:
    return f"{secrets.token_hex(12)}.{secrets.token_hex(3)}.{secrets.token_hex(19)}"


def _json(told: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    # Without a charset: discord.py takes anything else for text.
    return Response(json.dumps(told), status, {**(headers or {}), "content-type": "application/json"})


async def _body(request: Request) -> tuple[dict[str, Any], list[Upload]]:
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raw = await request.body()
        return (_object(raw) if raw else {}), []
    uploads: list[Upload] = []
    fields: dict[str, Any] = {}
    async with request.form() as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                mime = value.content_type or "application/octet-stream"
                uploads.append(Upload(name, value.filename or "", mime, await value.read()))
            elif name == "payload_json":
                fields |= _object(value.encode())
            else:
                fields[name] = value
    return fields, uploads


def _object(raw: bytes) -> dict[str, Any]:
    try:
        return members(json.loads(raw))
    except ValueError:
        raise Refusal(400, 50109, "The request body contains invalid JSON.") from None
