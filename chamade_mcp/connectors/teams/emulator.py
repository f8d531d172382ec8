"""A Microsoft Teams of one's own: the Bot Connector and Microsoft's login, with people who write to bots.

It refuses what Teams refuses, in its words. Serve `TeamsEmulator.app` and tell it where (`at`); give
``<url>/teams`` as CHAMADE_TEAMS_API_URL and the URL itself as CHAMADE_TEAMS_LOGIN_URL.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import quote

import httpx2
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chamade_mcp.connectors.teams.emulated_api import Api
from chamade_mcp.connectors.teams.emulated_login import Login
from chamade_mcp.connectors.teams.emulated_world import Bot, Chat, Person, Refusal, World
from chamade_mcp.kit.clock import Clock, SystemClock

TENANT: Final = "72f988bf-0000-41af-91ab-2d7cd011db47"
_FILE: Final = "application/vnd.microsoft.teams.file.download.info"
_RANGE: Final = re.compile(r"bytes 0-(\d+)/(\d+)")


class TeamsEmulator:
    def __init__(self, clock: Clock | None = None) -> None:
        self._world = world = World(clock or SystemClock())
        self.api = Api(world)
        self.running = world.running
        self.files = world.files
        """What people sent, and what they were given, by name."""
        self.calls: dict[str, int] = defaultdict(int)
        """By kind: token, keys, say, create, change, delete, react, team, file."""
        self.login = Login(world, self.calls)
        self._down = False
        self.next_errors: list[Refusal] = []
        """What the connector refuses requests with, in this order, before it looks at them."""
        base = "/{region}/v3/conversations"
        one = f"{base}/{{cid}}/activities/{{ref}}"
        self.app = Starlette(
            routes=[
                *self.login.routes(),
                Route(base, self._create, methods=["POST"]),
                Route(f"{base}/{{cid}}/activities", self._say, methods=["POST"]),
                Route(one, self._activity, methods=["POST", "PUT", "DELETE"]),
                Route(f"{one}/reactions/{{kind}}", self._react, methods=["PUT", "DELETE"]),
                Route("/{region}/v3/teams/{team}", self._team),
                Route("/{region}/v3/teams/{team}/conversations", self._channels),
                Route("/{region}/v3/attachments/{name}/views/original", self._picture),
                Route("/files/{name}", self._file),
                Route("/upload/{name}", self._upload, methods=["PUT"]),
            ]
        )

    @property
    def down(self) -> bool:
        """An outage of all of it."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        self._down = self.login.down = value

    def at(self, url: str) -> None:
        """Where it is served."""
        self._world.url = url

    # --- Microsoft's portals -------------------------------------------------------------------------------

    def new_bot(self, name: str = "helper", *, tenant: str = TENANT, secret: str = "s3cret~value") -> str:  # noqa: S107
        """Its app id."""
        app_id = self._world.new_guid()
        self._world.bots[app_id] = Bot(app_id, secret, tenant, name)
        return app_id

    def bot(self, app_id: str) -> Bot:
        return self._world.bots[app_id]

    def set_endpoint(self, app_id: str, url: str) -> None:
        """From now on activities go there."""
        self._world.bots[app_id].endpoint = url

    def renew_secret(self, app_id: str, secret: str) -> None:
        """Another secret from now on, and no token is good any more."""
        bot = self._world.bots[app_id]
        bot.secret = secret
        bot.tokens.clear()

    def expire_tokens(self, app_id: str) -> None:
        self._world.bots[app_id].tokens.clear()

    def renew_key(self, *, same_name: bool = False) -> None:
        """Microsoft signs with another key from now on."""
        if not same_name:
            self._world.kid = f"key-{next(self._world.ids)}"
        self._world.key = RSAKey.generate_key(2048)

    def endorse(self, *channels: str) -> None:
        """Which channels the key may speak for."""
        self._world.endorsements = list(channels)

    # --- people --------------------------------------------------------------------------------------------

    def person(self, name: str, *, tenant: str = TENANT) -> Person:
        self._world.people.append(person := Person(name, tenant, self._world.new_guid()))
        return person

    def direct(self, app_id: str, person: Person) -> Chat:
        """The chat of this person with the bot; the app is installed for them."""
        ref = self._world.ref(self.bot(app_id), person)
        for chat in self._world.chats.values():
            if chat.kind == "personal" and chat.name == ref:
                return chat
        return self._new(f"a:1{next(self._world.ids)}", "personal", person.tenant, app_id, ref)

    def group(self, app_id: str, name: str = "", *, tenant: str = TENANT) -> Chat:
        return self._new(f"19:{next(self._world.ids)}@thread.v2", "groupChat", tenant, app_id, name)

    def channel(self, app_id: str, team: str, name: str, *, tenant: str = TENANT) -> Chat:
        ref = f"19:{next(self._world.ids)}@thread.tacv2"
        chat = self._new(ref, "channel", tenant, app_id, name)
        chat.team = team
        return chat

    def write(
        self, app_id: str, person: Person, text: str = "", *, chat: Chat | None = None, **more: Any
    ) -> str:
        """The message's id. In a channel ``thread`` names the post it stands below; `more` is as it is."""
        bot, place = self.bot(app_id), chat or self.direct(app_id, person)
        thread: str = more.pop("thread", "")
        ref = self._world.new_id()
        if place.kind == "channel":
            thread = thread or ref
        about: dict[str, Any] = {"id": ref, "text": text, "textFormat": "plain", "thread": thread, **more}
        if place.kind != "personal" and "entities" not in more:
            # Outside chats with it alone a bot hears what mentions it.
            about["text"] = f"<at>{bot.name}</at> {text}"
            about["entities"] = [
                {
                    "type": "mention",
                    "mentioned": {"id": bot.ref, "name": bot.name},
                    "text": f"<at>{bot.name}</at>",
                }
            ]
        place.log.append({**about, "author": person.name})
        self._world.tell(bot, place, person, type="message", **about)
        return ref

    def send_file(
        self, app_id: str, person: Person, name: str, body: bytes, *, url: str = "", **more: Any
    ) -> str:
        self._world.files[name] = body
        content = {
            "downloadUrl": url or f"{self._world.url}/files/{quote(name)}",
            "uniqueId": self._world.new_guid(),
            "fileType": name.rpartition(".")[2],
        }
        file = {
            "contentType": _FILE,
            "name": name,
            "content": content,
            "contentUrl": f"https://x.sharepoint.com/{name}",
        }
        mirror = {"contentType": "text/html", "content": "<p>see</p>"}
        return self.write(app_id, person, attachments=[file, mirror], **more)

    def paste(self, app_id: str, person: Person, name: str, body: bytes, kind: str = "image/png") -> str:
        """A picture within the text."""
        self._world.files[name] = body
        url = f"{self._world.service_url}v3/attachments/{name}/views/original"
        return self.write(app_id, person, "look", attachments=[{"contentType": kind, "contentUrl": url}])

    def edit(self, app_id: str, person: Person, ref: str, text: str, *, chat: Chat | None = None) -> None:
        data = {"eventType": "editMessage"}
        self._say_of(app_id, person, chat, type="messageUpdate", id=ref, text=text, channelData=data)

    def delete(self, app_id: str, person: Person, ref: str, *, chat: Chat | None = None) -> None:
        data = {"eventType": "softDeleteMessage"}
        self._say_of(app_id, person, chat, type="messageDelete", id=ref, channelData=data)

    def react(
        self, app_id: str, person: Person, ref: str, *, added: str = "", removed: str = "", **more: Any
    ) -> None:
        about: dict[str, Any] = {"type": "messageReaction", "replyToId": ref}
        if added:
            about["reactionsAdded"] = [{"type": added}]
        if removed:
            about["reactionsRemoved"] = [{"type": removed}]
        self._say_of(app_id, person, more.get("chat"), **about)

    def install(self, app_id: str, person: Person) -> None:
        """The person adds the app."""
        self._say_of(app_id, person, None, type="installationUpdate", action="add")

    def uninstall(self, chat: Chat, app_id: str) -> None:
        chat.bots.discard(app_id)

    def answer_offer(
        self, app_id: str, person: Person, card: Mapping[str, Any], *, accept: bool = True, url: str = ""
    ) -> None:
        """What the person says to a card that offers a file."""
        (offer,) = card["attachments"]
        content = offer["content"]
        value: dict[str, Any] = {"type": "fileUpload", "action": "accept" if accept else "decline"}
        value["context"] = content["acceptContext" if accept else "declineContext"]
        if accept:
            value["uploadInfo"] = {
                "contentUrl": f"https://x.sharepoint.com/{offer['name']}",
                "name": offer["name"],
                "uploadUrl": url or f"{self._world.url}/upload/{quote(offer['name'])}",
                "uniqueId": self._world.new_guid(),
                "fileType": offer["name"].rpartition(".")[2],
            }
        about: dict[str, Any] = {"type": "invoke", "name": "fileConsent/invoke", "value": value}
        self._say_of(app_id, person, None, **about, replyToId=card["id"])

    def invoke(self, app_id: str, person: Person, name: str, value: object) -> None:
        self._say_of(app_id, person, None, type="invoke", name=name, value=value)

    def said(self, chat: Chat) -> list[dict[str, Any]]:
        """What bots said there, oldest first."""
        return [one for one in chat.log if "bot" in one and not one.get("gone")]

    def activity(self, app_id: str, person: Person, text: str) -> dict[str, Any]:
        """A message as it would be sent: for `post`, and never sent by itself."""
        bot, chat = self.bot(app_id), self.direct(app_id, person)
        endpoint, bot.endpoint = bot.endpoint, ""
        told = self._world.tell(bot, chat, person, type="message", text=text)
        bot.queue.pop()
        bot.endpoint = endpoint
        return told

    async def post(self, app_id: str, activity: Mapping[str, Any], **claims: Any) -> httpx2.Response:
        """An activity as it is, signed by Microsoft."""
        bot = self.bot(app_id)
        return await self._world.post(bot, activity, self._world.signed(bot, **claims))

    def signed(self, app_id: str, **claims: Any) -> str:
        return self._world.signed(self.bot(app_id), **claims)

    # --- the connector -------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> Response:
        body = await _object(request)
        return self._do(request, "create", lambda bot: self.api.create(bot, body), 201)

    async def _say(self, request: Request) -> Response:
        cid: str = request.path_params["cid"]
        body, thread = await _object(request), cid.partition(";messageid=")[2]
        return self._do(
            request, "say", lambda bot: self.api.say(bot, self.api.chat(bot, cid), thread, body), 201
        )

    async def _activity(self, request: Request) -> Response:
        cid, ref = request.path_params["cid"], request.path_params["ref"]
        if request.method == "DELETE":
            return self._do(request, "delete", lambda bot: self.api.delete(bot, self.api.chat(bot, cid), ref))
        body = await _object(request)
        if request.method == "PUT":
            return self._do(
                request, "change", lambda bot: self.api.change(bot, self.api.chat(bot, cid), ref, body)
            )
        thread = cid.partition(";messageid=")[2]
        return self._do(
            request, "say", lambda bot: self.api.say(bot, self.api.chat(bot, cid), thread, body), 201
        )

    async def _team(self, request: Request) -> Response:
        return self._do(request, "team", lambda bot: self.api.team(bot, request.path_params["team"]))

    async def _channels(self, request: Request) -> Response:
        return self._do(request, "team", lambda bot: self.api.channels(bot, request.path_params["team"]))

    async def _react(self, request: Request) -> Response:
        cid, ref, kind = (request.path_params[name] for name in ("cid", "ref", "kind"))
        on = request.method == "PUT"
        return self._do(
            request, "react", lambda bot: self.api.react(bot, self.api.chat(bot, cid), ref, kind, on=on)
        )

    def _do(
        self, request: Request, kind: str, act: Callable[[Bot], dict[str, Any] | None], status: int = 200
    ) -> Response:
        self.calls[kind] += 1
        try:
            if self._down:
                raise Refusal(503, "ServiceUnavailable", "Service unavailable")
            bot = self._world.holder_of(request.headers.get("authorization", ""))
            if self.next_errors:
                raise self.next_errors.pop(0)
            return JSONResponse(act(bot) or {}, status)
        except Refusal as refusal:
            error = {"code": refusal.code, "message": refusal.message}
            return JSONResponse({"error": error}, refusal.status, refusal.headers)

    # --- files ---------------------------------------------------------------------------------------------

    async def _picture(self, request: Request) -> Response:
        try:
            self._world.holder_of(request.headers.get("authorization", ""))
        except Refusal:
            return Response(status_code=401)
        return await self._file(request)

    async def _file(self, request: Request) -> Response:
        self.calls["file"] += 1
        body = self._world.files.get(request.path_params["name"])
        return Response(status_code=404) if body is None else Response(body)

    async def _upload(self, request: Request) -> Response:
        self.calls["file"] += 1
        body = await request.body()
        told = _RANGE.fullmatch(request.headers.get("content-range", ""))
        whole = told is not None and int(told[2]) == len(body) == int(told[1]) + 1
        if "authorization" in request.headers or not whole:
            return Response(status_code=400)
        self._world.files[request.path_params["name"]] = body
        return JSONResponse({"id": "01ABC"}, 201)

    # --- inside --------------------------------------------------------------------------------------------

    def _new(self, ref: str, kind: str, tenant: str, app_id: str, name: str) -> Chat:
        chat = self._world.chats[ref] = Chat(ref, kind, tenant, {app_id}, name)
        return chat

    def _say_of(self, app_id: str, person: Person, chat: Chat | None, **about: Any) -> None:
        self._world.tell(self.bot(app_id), chat or self.direct(app_id, person), person, **about)


async def _object(request: Request) -> dict[str, Any]:
    try:
        told: object = await request.json()
    except ValueError:
        told = None
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}
