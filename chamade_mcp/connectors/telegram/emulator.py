"""A Telegram of one's own: bots, people, groups, files, updates by polling or webhook.

It refuses what Telegram refuses, in Telegram's words. Serve `TelegramEmulator.app` and give its address as
CHAMADE_TELEGRAM_API_URL. People act by the methods of `TelegramEmulator`; what bots say stands in `said`.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chamade_mcp.connectors.telegram.emulated_methods import Methods, Uploaded, caption_of
from chamade_mcp.connectors.telegram.emulated_text import units
from chamade_mcp.connectors.telegram.emulated_world import Bot, ChatState, Person, Refusal, World
from chamade_mcp.kit.clock import Clock, SystemClock


class TelegramEmulator:
    """The platform's side. `app` is its HTTP API; webhooks go out while `running`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._world = World(clock or SystemClock())
        self._methods = Methods(self._world)
        self.running = self._world.running
        self.calls: dict[str, int] = defaultdict(int)
        """How often each method was called."""
        self.down = False
        self.silent: set[str] = set()
        """Methods that are carried out, and whose answer never comes."""
        methods = ["GET", "POST"]
        self.app = Starlette(
            routes=[
                Route("/bot{token}/{method}", self._call, methods=methods),
                Route("/file/bot{token}/{path:path}", self._download, methods=["GET"]),
                Route("/{path:path}", self._nothing, methods=methods),
            ]
        )

    # --- BotFather -----------------------------------------------------------------------------------------

    def new_bot(self, username: str) -> str:
        """Its token."""
        number = next(self._world.numbers)
        token = f"{number}:AAE{username}-{number * 7919}"
        self._world.bots[token] = Bot(number, token, username)
        return token

    def revoke(self, token: str) -> str:
        """A new token; the old one is refused from now on."""
        bot = self._world.bots.pop(token)
        bot.token = f"{bot.id}:BBE{bot.username}-{next(self._world.numbers)}"
        self._world.bots[bot.token] = bot
        if bot.polling is not None:
            bot.polling.set()
        return bot.token

    def webhook_secret(self, token: str) -> str:
        """What the bot has asked to be shown with each update; "" without a webhook."""
        return self._world.bots[token].secret

    # --- people --------------------------------------------------------------------------------------------

    def person(self, first_name: str) -> Person:
        return Person(next(self._world.numbers), first_name, first_name.lower())

    def say(
        self,
        token: str,
        person: Person,
        text: str = "",
        *,
        group: int | None = None,
        reply_to: int | None = None,
        thread: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> int:
        """Writes to a bot, or in one of its groups; the message's number. `more` are fields as they are."""
        chat = self._chat_of(token, person, group)
        message = self._world.message(chat, person.to_wire()) | dict(more or {})
        if text:
            message["text"] = text
            if text.startswith("/"):
                size = units(text.partition(" ")[0])
                message["entities"] = [{"type": "bot_command", "offset": 0, "length": size}]
        if thread is not None:
            message |= {"message_thread_id": thread, "is_topic_message": True}
        if reply_to is not None:
            message["reply_to_message"] = chat.messages[reply_to]
        chat.messages[message["message_id"]] = message
        self._world.tell(token, "message", message)
        return message["message_id"]

    def send_file(
        self,
        token: str,
        person: Person,
        kind: str,
        body: bytes,
        *,
        caption: str = "",
        group: int | None = None,
        **about: Any,
    ) -> int:
        """Kinds: photo, document, audio, voice, video, video_note, animation, sticker."""
        file: dict[str, Any] = {
            "file_id": self._world.keep(body, kind),
            "file_unique_id": "u",
            "file_size": len(body),
            **about,
        }
        words = caption_of(caption)
        if kind == "photo":
            small = {
                **file,
                "file_id": self._world.keep(b"thumb", kind),
                "file_size": 5,
                "width": 90,
                "height": 90,
            }
            file |= {"width": 1280, "height": 1280}
            return self.say(token, person, group=group, more={"photo": [small, file], **words})
        return self.say(token, person, group=group, more={kind: file, **words})

    def edit(self, token: str, person: Person, number: int, text: str, *, group: int | None = None) -> None:
        chat = self._chat_of(token, person, group)
        message = chat.messages[number] | {"text": text, "edit_date": self._world.now()}
        chat.messages[number] = message
        self._world.tell(token, "edited_message", message)

    def react(self, token: str, person: Person, number: int, *emoji: str, group: int | None = None) -> None:
        chat = self._chat_of(token, person, group)
        new = [{"type": "emoji", "emoji": one} for one in emoji]
        told = {"chat": chat.wire, "message_id": number, "user": person.to_wire(), "date": self._world.now()}
        self._world.tell(token, "message_reaction", {**told, "old_reaction": [], "new_reaction": new})

    def block(self, token: str, person: Person) -> None:
        self._chat_of(token, person, None).blocked = True

    def new_group(self, token: str, title: str, *, forum: bool = False) -> int:
        """A group that the bot is in; its number."""
        number = -next(self._world.numbers)
        wire = {"id": number, "type": "supergroup", "title": title}
        self._world.chats[self._world.bots[token].id, number] = ChatState(
            wire | ({"is_forum": True} if forum else {})
        )
        return number

    def upgrade(self, token: str, group: int) -> int:
        """The group becomes a supergroup: it has another number from now on."""
        bot = self._world.bots[token].id
        number = -1_000_000_000_000 - next(self._world.numbers)
        title = self._world.chats[bot, group].wire["title"]
        self._world.chats[bot, number] = ChatState({"id": number, "type": "supergroup", "title": title})
        self._world.chats[bot, group].moved_to = number
        return number

    def flood(self, token: str, chat: int, seconds: float) -> None:
        """From now on, and for so long, the bot is too fast in that chat."""
        self._world.chats[self._world.bots[token].id, chat].flood_until = (
            self._world.clock.monotonic() + seconds
        )

    def messages(self, token: str, chat: int) -> list[dict[str, Any]]:
        """All that stands there."""
        state = self._world.chats.get((self._world.bots[token].id, chat))
        return [] if state is None else list(state.messages.values())

    def said(self, token: str, chat: int) -> list[dict[str, Any]]:
        """What the bot said there, and did not delete."""
        return [m for m in self.messages(token, chat) if m["from"]["is_bot"]]

    def actions(self, token: str) -> list[tuple[int, str]]:
        return self._world.bots[token].actions

    def reactions(self, token: str, chat: int, number: int) -> list[str]:
        """Those of the bot on a message."""
        return self._world.chats[self._world.bots[token].id, chat].reactions.get(number, [])

    def content(self, message: Mapping[str, Any]) -> bytes:
        """The file of a message that a bot sent."""
        for kind in ("document", "audio", "voice", "video"):
            if kind in message:
                return self._world.files[message[kind]["file_id"]][0]
        return self._world.files[message["photo"][-1]["file_id"]][0]

    # --- the API -------------------------------------------------------------------------------------------

    async def _nothing(self, request: Request) -> Response:
        return _refused(Refusal(404, "Not Found"))

    async def _call(self, request: Request) -> Response:
        method = request.path_params["method"].lower()
        self.calls[method] += 1
        if self.down:
            return Response("Bad Gateway", 502)
        try:
            bot = self._world.authorised(request.path_params["token"])
            params = await _params(request)
            answering = asyncio.create_task(self._answer(bot, method, params))
            return await _while_connected(request, answering)
        except Refusal as refusal:
            return _refused(refusal)

    async def _answer(self, bot: Bot, method: str, params: dict[str, Any]) -> Response:
        result = await self._methods.call(bot, method, params)
        if method in self.silent:
            await asyncio.Event().wait()
        return JSONResponse({"ok": True, "result": result})

    async def _download(self, request: Request) -> Response:
        try:
            self._world.authorised(request.path_params["token"])
        except Refusal as refusal:
            return _refused(refusal)
        for body, path in self._world.files.values():
            if path == request.path_params["path"]:
                return Response(body, media_type="application/octet-stream")
        return _refused(Refusal(404, "Not Found"))

    def _chat_of(self, token: str, person: Person, group: int | None) -> ChatState:
        bot = self._world.bots[token]
        number = person.id if group is None else group
        wire = person.to_wire() | {"id": person.id, "type": "private"}
        wire.pop("is_bot")
        wire.pop("language_code")
        return self._world.chats.setdefault((bot.id, number), ChatState(wire))


async def _taken(upload: UploadFile) -> Uploaded:
    return Uploaded(await upload.read(), upload.filename or "", upload.content_type or "")


async def _while_connected(request: Request, answering: asyncio.Task[Response]) -> Response:
    """Nobody waits for somebody who has gone."""
    leaving = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await answering if answering.done() else Response(status_code=499)
    finally:
        leaving.cancel()
        answering.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _params(request: Request) -> dict[str, Any]:
    params: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        told = await request.json()
        params |= {k: v if isinstance(v, str | int) else json.dumps(v) for k, v in told.items()}
    elif kind:
        async with request.form() as form:
            for name, value in form.multi_items():
                params[name] = value if isinstance(value, str) else await _taken(value)
    return params


def _refused(refusal: Refusal) -> Response:
    body: dict[str, object] = {"ok": False, "error_code": refusal.code, "description": refusal.words}
    headers: dict[str, str] = {}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
        if "retry_after" in refusal.parameters:
            headers["retry-after"] = str(refusal.parameters["retry_after"])
    return JSONResponse(body, refusal.code, headers)
