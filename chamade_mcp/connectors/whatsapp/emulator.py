"""A WhatsApp of one's own: the Cloud API's side, with people who write to business numbers.

It refuses what Meta refuses, with its codes. Serve `WhatsAppEmulator.app`, give its address with a version
as CHAMADE_WHATSAPP_API_URL, and tell `subscribe` where the gateway takes webhooks.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chamade_mcp.connectors.whatsapp.emulated_world import Number, Person, Refusal, World
from chamade_mcp.kit.clock import Clock, SystemClock

VERSION: Final = "v25.0"
_TEXT: Final = 4096
_CAPTION: Final = 1024
_URL_S: Final = 300.0
_MB: Final = 1024 * 1024
_LIMITS: Final = {"audio": 16 * _MB, "document": 100 * _MB, "image": 5 * _MB, "video": 16 * _MB}
_TYPES: Final = {
    "image": ("image/jpeg", "image/png"),
    "video": ("video/mp4", "video/3gpp"),
    "audio": ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"),
}
_MAY_HAVE: Final = {
    "image": {"id", "link", "caption"},
    "video": {"id", "link", "caption"},
    "document": {"id", "link", "caption", "filename"},
    "audio": {"id", "link", "voice"},
}


class WhatsAppEmulator:
    def __init__(self, clock: Clock | None = None) -> None:
        self._world = World(clock or SystemClock())
        self.running = self._world.running
        self.templates = self._world.templates
        """The names of those that Meta has approved."""
        self.calls: dict[str, int] = defaultdict(int)
        self.down = False
        self.hasty = False
        """People have read what they get before its sending is answered."""
        self.next_errors: list[Refusal] = []
        """What sends are refused with, in this order, before they are looked at."""
        route = f"/{VERSION}"
        self.app = Starlette(
            routes=[
                Route(f"{route}/{{number}}/messages", self._messages, methods=["POST"]),
                Route(f"{route}/{{number}}/media", self._upload, methods=["POST"]),
                Route(f"{route}/{{id}}", self._object, methods=["GET"]),
                Route("/media/{secret}", self._download, methods=["GET"]),
            ]
        )

    # --- Meta's dashboard ----------------------------------------------------------------------------------

    def new_number(self, token: str = "EAAG-token", app_secret: str = "app-secret") -> str:  # noqa: S107
        """The id of a business number."""
        number = self._world.new_id("1065")
        display = f"+1 555 {next(self._world.ids)}"
        self._world.numbers[number] = Number(number, display, token, app_secret)
        return number

    async def subscribe(self, number: str, callback: str, verify_token: str) -> bool:
        """From now on webhooks go to `callback`, when it knows the token; whether it does."""
        mine = self._world.numbers[number]
        mine.callback, mine.verify_token = callback, verify_token
        if not await self._world.subscribe(mine):
            mine.callback = ""
        return bool(mine.callback)

    def revoke(self, number: str, token: str) -> None:
        """Another token from now on."""
        self._world.numbers[number].token = token

    # --- people --------------------------------------------------------------------------------------------

    def person(self, name: str, *, number: bool = True) -> Person:
        """Somebody; without a number: known by a user name, as WhatsApp has it since 2026."""
        serial = next(self._world.ids)
        person = Person(f"DE.{serial}7301", f"4917{serial}" if number else "", name)
        self._world.people[person.user_id] = person
        if number:
            self._world.people[person.wa_id] = person
        return person

    def write(
        self,
        number: str,
        person: Person,
        text: str = "",
        *,
        quote: str = "",
        more: Mapping[str, Any] | None = None,
    ) -> str:
        """Its id. `more` are fields as they are, such as another type."""
        world, mine = self._world, self._world.numbers[number]
        message: dict[str, Any] = {"id": world.new_id("wamid."), "timestamp": world.now(), "type": "text"}
        if person.wa_id:
            message["from"] = person.wa_id
        message |= dict(more) if more else {"text": {"body": text}}
        if quote:
            message["context"] = {"from": mine.display, "id": quote}
        mine.heard_at[person.user_id] = world.clock.monotonic()
        if message["type"] not in ("reaction", "edit", "revoke"):
            mine.chats.setdefault(person.user_id, []).append({**message, "mine": False})
        world.tell(mine, person, messages=[message])
        return message["id"]

    def send_file(self, number: str, person: Person, kind: str, body: bytes, mime: str, **about: Any) -> str:
        """Kinds: image, video, audio, document, sticker."""
        file = {"id": self.keep(body, mime), "mime_type": mime, "sha256": "x", **about}
        return self.write(number, person, more={"type": kind, kind: file})

    def keep(self, body: bytes, mime: str) -> str:
        """A file that is there; its id."""
        media = self._world.new_id("29")
        self._world.media[media] = (body, mime)
        return media

    def waiting(self, number: str) -> list[bytes]:
        """The bodies of webhooks that nobody has taken."""
        return self._world.numbers[number].queue

    def react(self, number: str, person: Person, message: str, emoji: str) -> None:
        reaction = {"message_id": message} | ({"emoji": emoji} if emoji else {})
        self.write(number, person, more={"type": "reaction", "reaction": reaction})

    def edit(self, number: str, person: Person, message: str, text: str) -> None:
        new = {"type": "text", "text": {"body": text}}
        self.write(
            number,
            person,
            more={"type": "edit", "edit": {"original_message_id": message, "message": new}},
        )

    def delete(self, number: str, person: Person, message: str) -> None:
        self.write(number, person, more={"type": "revoke", "revoke": {"original_message_id": message}})

    def status(self, number: str, person: Person, message: str, status: str, **more: Any) -> None:
        """What became of a message of the business's: sent, delivered, read, played or failed."""
        told = {"id": message, "status": status, "timestamp": self._world.now(), **more}
        if person.wa_id:
            told["recipient_id"] = person.wa_id
        for said in self.said(number, person):
            if said["id"] == message and "biz_opaque_callback_data" in said:
                told["biz_opaque_callback_data"] = said["biz_opaque_callback_data"]
        self._world.tell(self._world.numbers[number], person, statuses=[told])

    def close_window(self, number: str, person: Person) -> None:
        """As if the person had written yesterday."""
        self._world.numbers[number].heard_at.pop(person.user_id, None)

    def said(self, number: str, person: Person) -> list[dict[str, Any]]:
        """What the business said to this person."""
        return [one for one in self.messages(number, person) if one["mine"]]

    def messages(self, number: str, person: Person) -> list[dict[str, Any]]:
        return self._world.numbers[number].chats.get(person.user_id, [])

    def content(self, message: Mapping[str, Any]) -> bytes:
        return self._world.media[message[message["type"]]["id"]][0]

    def read(self, number: str) -> list[tuple[str, bool]]:
        """Messages that were marked as read, and whether typing was shown."""
        return self._world.numbers[number].read

    def signed(self, number: str, body: bytes) -> dict[str, str]:
        """The headers with which Meta would send `body`."""
        return self._world.signed(self._world.numbers[number], body)

    # --- the API -------------------------------------------------------------------------------------------

    async def _messages(self, request: Request) -> Response:
        self.calls["messages"] += 1
        try:
            number = self._number(request)
            body = await request.json()
            if self.next_errors:
                raise self.next_errors.pop(0)
            if body.get("messaging_product") != "whatsapp":
                raise Refusal(400, 100, "(#100) The parameter messaging_product is required.")
            if body.get("status") == "read":
                number.read.append((str(body.get("message_id")), "typing_indicator" in body))
                return JSONResponse({"success": True})
            return JSONResponse(self._send(number, body))
        except Refusal as refusal:
            return _refused(refusal)

    def _send(self, number: Number, body: dict[str, Any]) -> dict[str, Any]:
        person = self._world.people.get(str(body.get("to") or body.get("recipient") or ""))
        if person is None:
            raise Refusal(400, 131026, "Message undeliverable")
        kind = str(body.get("type", "text"))
        if not isinstance(body.get(kind), dict):
            raise Refusal(400, 131008, f"(#131008) Required parameter is missing: {kind}")
        content: dict[str, Any] = body[kind]
        self._check(kind, content)
        if kind != "template" and not self._world.open_window(number, person):
            raise Refusal(
                400,
                131047,
                "Re-engagement message",
                "Message failed to send because more than 24 hours have passed since the customer last "
                "replied to this number.",
            )
        self._world.count(number, person)
        message: dict[str, Any] = {"id": self._world.new_id("wamid."), "type": kind, kind: content}
        message["mine"] = True
        message |= {key: body[key] for key in ("context", "biz_opaque_callback_data") if key in body}
        number.chats.setdefault(person.user_id, []).append(message)
        if self.hasty:
            self.status(number.id, person, message["id"], "read")
        to = {"input": body.get("to") or body.get("recipient"), "wa_id": person.wa_id or None}
        return {
            "messaging_product": "whatsapp",
            "contacts": [to | {"user_id": person.user_id}],
            "messages": [{"id": message["id"]}],
        }

    def _check(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "text" and not 1 <= len(str(content.get("body", ""))) <= _TEXT:
            raise Refusal(400, 100, f"(#100) Param text['body'] must be at most {_TEXT} characters long.")
        if kind == "template" and content.get("name") not in self.templates:
            raise Refusal(404, 132001, "(#132001) Template name does not exist in the translation")
        allowed = _MAY_HAVE.get(kind)
        if allowed is None:
            return
        if extra := sorted(set(content) - allowed):
            raise Refusal(400, 100, f'(#100) Unexpected key "{extra[0]}" on param "{kind}".')
        if ("id" in content) == ("link" in content):
            raise Refusal(400, 131009, "(#131009) Parameter value is not valid", "one of id and link")
        if len(str(content.get("caption", ""))) > _CAPTION:
            raise Refusal(400, 131009, "(#131009) Parameter value is not valid", "caption is too long")
        if "id" in content:
            body, mime = self._world.media.get(str(content["id"]), (b"", ""))
            if not mime or (kind in _TYPES and mime not in _TYPES[kind]):
                raise Refusal(400, 131053, "Media upload error")
            if len(body) > _LIMITS[kind]:
                raise Refusal(400, 131053, "Media upload error", f"{kind} is too large")

    async def _upload(self, request: Request) -> Response:
        self.calls["media"] += 1
        try:
            self._number(request)
            async with request.form() as form:
                file = form.get("file")
                if form.get("messaging_product") != "whatsapp" or not isinstance(file, UploadFile):
                    raise Refusal(400, 100, "(#100) The parameter file is required.")
                media = self._world.new_id("29")
                mime = str(form.get("type") or file.content_type)
                self._world.media[media] = (await file.read(), mime)
        except Refusal as refusal:
            return _refused(refusal)
        return JSONResponse({"id": media})

    async def _object(self, request: Request) -> Response:
        try:
            which = request.path_params["id"]
            if which in self._world.numbers:
                number = self._number(request, which)
                shown = {"id": which, "display_phone_number": number.display, "verified_name": "Example Ltd"}
                return JSONResponse({**shown, "quality_rating": "GREEN"})
            self._authorised(request)
            if which not in self._world.media:
                raise Refusal(
                    400,
                    100,
                    f"Unsupported get request. Object with ID '{which}' does not exist, cannot be loaded due "
                    "to missing permissions, or does not support this operation",
                )
            secret = self._world.new_id("m")
            self._world.urls[secret] = which, self._world.clock.monotonic() + _URL_S
            body, mime = self._world.media[which]
            return JSONResponse(
                {
                    "url": f"{request.url.scheme}://{request.url.netloc}/media/{secret}",
                    "mime_type": mime,
                    "sha256": "x",
                    "file_size": str(len(body)),
                    "id": which,
                    "messaging_product": "whatsapp",
                }
            )
        except Refusal as refusal:
            return _refused(refusal)

    async def _download(self, request: Request) -> Response:
        try:
            self._authorised(request)
        except Refusal:
            return Response(status_code=401)
        media, until = self._world.urls.get(request.path_params["secret"], ("", 0.0))
        if not media or until <= self._world.clock.monotonic():
            return Response(status_code=404)
        body, mime = self._world.media[media]
        return Response(body, media_type=mime)

    def _number(self, request: Request, which: str = "") -> Number:
        number = self._world.numbers.get(which or request.path_params["number"])
        if number is None:
            raise Refusal(400, 100, "Unsupported post request. Object does not exist")
        self._authorised(request, number)
        return number

    def _authorised(self, request: Request, number: Number | None = None) -> None:
        if self.down:
            raise Refusal(503, 131016, "Service unavailable")
        token = re.sub(r"^Bearer ", "", request.headers.get("authorization", ""))
        tokens = {one.token for one in self._world.numbers.values()} if number is None else {number.token}
        if token not in tokens:
            raise Refusal(401, 190, "Invalid OAuth access token - Cannot parse access token")


def _refused(refusal: Refusal) -> Response:
    error: dict[str, Any] = {
        "message": refusal.message,
        "type": "OAuthException",
        "code": refusal.code,
        "fbtrace_id": "A1",
    }
    if refusal.details:
        error["error_data"] = {"messaging_product": "whatsapp", "details": refusal.details}
    return JSONResponse({"error": error}, refusal.status)
