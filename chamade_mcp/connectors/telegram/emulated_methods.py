"""The methods of the emulated Bot API."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chamade_mcp.connectors.telegram.emulated_text import BadMarkup, parsed, units
from chamade_mcp.connectors.telegram.emulated_world import DEFAULT_UPDATES, Bot, ChatState, Refusal, World

_DOWNLOAD_BYTES: Final = 20 * 1024 * 1024
_PHOTO_BYTES: Final = 10 * 1024 * 1024
_UPLOAD_BYTES: Final = 50 * 1024 * 1024
_TEXT: Final = 4096
_CAPTION: Final = 1024
_RAW_BYTES: Final = 32768
_ACTIONS: Final = frozenset(
    [
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ]
)
_EMOJI: Final = frozenset(
    [
        "👍",
        "👎",
        "❤",
        "🔥",
        "🥰",
        "👏",
        "😁",
        "🤔",
        "🤯",
        "😱",
        "🤬",
        "😢",
        "🎉",
        "🤩",
        "🤮",
        "💩",
        "🙏",
        "👌",
        "🕊",
        "🤡",
        "👀",
        "✍",
        "🤝",
        "💯",
    ]
)
_SENDING: Final = {
    "sendphoto": ("photo", _PHOTO_BYTES),
    "senddocument": ("document", _UPLOAD_BYTES),
    "sendaudio": ("audio", _UPLOAD_BYTES),
    "sendvoice": ("voice", _UPLOAD_BYTES),
    "sendvideo": ("video", _UPLOAD_BYTES),
}
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{1,256}")


@dataclass(frozen=True, slots=True)
class Uploaded:
    body: bytes
    name: str
    mime: str


class Methods:
    def __init__(self, world: World) -> None:
        self._world = world

    async def call(self, bot: Bot, method: str, params: dict[str, Any]) -> Any:
        """Raises `Refusal`."""
        serving = getattr(self, f"_on_{method}", None) or (self._send_file if method in _SENDING else None)
        if serving is None:
            raise Refusal(404, "Not Found: method not found")
        if method in _SENDING:
            params["_kind"], params["_most"] = _SENDING[method]
        return await serving(bot, params)

    async def _on_getme(self, bot: Bot, params: dict[str, Any]) -> Any:
        return bot.to_wire() | {
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    async def _on_getupdates(self, bot: Bot, params: dict[str, Any]) -> Any:
        if bot.webhook:
            raise Refusal(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete "
                "the webhook first",
            )
        if bot.polling is not None:
            bot.polling.set()
        mine, token = asyncio.Event(), bot.token
        bot.polling = mine
        self._allow(bot, params)
        offset, limit = _integer(params, "offset", 0), min(100, max(1, _integer(params, "limit", 100)))
        bot.queue = [update for update in bot.queue if update["update_id"] >= offset]
        until = self._world.clock.monotonic() + min(50, max(0, _integer(params, "timeout", 0)))
        while not bot.queue and (left := until - self._world.clock.monotonic()) > 0:
            bot.wake.clear()
            waiting = [asyncio.create_task(bot.wake.wait()), asyncio.create_task(mine.wait())]
            try:
                await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()
            self._world.authorised(token)
            if mine.is_set():
                raise Refusal(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance "
                    "is running",
                )
        if bot.polling is mine:
            bot.polling = None
        return bot.queue[:limit]

    async def _on_setwebhook(self, bot: Bot, params: dict[str, Any]) -> Any:
        secret, url = str(params.get("secret_token", "")), str(params.get("url", ""))
        if len(secret) > 256:
            raise Refusal(400, "Bad Request: secret token is too long")
        if secret and not _SECRET.fullmatch(secret):
            raise Refusal(400, "Bad Request: secret token contains unallowed characters")
        self._allow(bot, params)
        bot.webhook, bot.secret = url, secret
        if bot.polling is not None:
            bot.polling.set()
        self._world.deliver_soon(bot)
        return True

    async def _on_deletewebhook(self, bot: Bot, params: dict[str, Any]) -> Any:
        bot.webhook = ""
        return True

    async def _on_getwebhookinfo(self, bot: Bot, params: dict[str, Any]) -> Any:
        told = {"url": bot.webhook, "has_custom_certificate": False, "pending_update_count": len(bot.queue)}
        return told | ({"last_error_message": bot.last_error} if bot.last_error else {})

    async def _on_sendmessage(self, bot: Bot, params: dict[str, Any]) -> Any:
        text = self._text(params, "text", _TEXT, "message is too long")
        if not text:
            raise Refusal(400, "Bad Request: message text is empty")
        return self._post(bot, params, {"text": text})

    async def _send_file(self, bot: Bot, params: dict[str, Any]) -> Any:
        kind = params["_kind"]
        caption = self._text(params, "caption", _CAPTION, "message caption is too long")
        given = params.get(kind)
        if isinstance(given, str) and given.startswith("attach://"):
            given = params.get(given.removeprefix("attach://"))
        if isinstance(given, Uploaded):
            body = given.body
            if len(body) > params["_most"]:
                raise Refusal(413, "Request Entity Too Large")
            if kind == "photo" and not body.startswith((b"\x89PNG", b"\xff\xd8\xff", b"RIFF")):
                raise Refusal(400, "Bad Request: IMAGE_PROCESS_FAILED")
            about = {"file_id": self._world.keep(body, kind), "file_unique_id": "u", "file_size": len(body)}
            about |= {"file_name": given.name, "mime_type": given.mime}
        elif isinstance(given, str) and given in self._world.files:
            about = {"file_id": given, "file_unique_id": "u"}
        elif not given:
            raise Refusal(400, f"Bad Request: there is no {kind} in the request")
        else:
            raise Refusal(400, "Bad Request: wrong file identifier/HTTP URL specified")
        if kind == "photo":
            return self._post(
                bot, params, {"photo": [about | {"width": 1, "height": 1}], **caption_of(caption)}
            )
        if kind in ("audio", "voice", "video"):
            about |= {"duration": 1} | ({"width": 1, "height": 1} if kind == "video" else {})
        return self._post(bot, params, {kind: about, **caption_of(caption)})

    async def _on_sendchataction(self, bot: Bot, params: dict[str, Any]) -> Any:
        if params.get("action") not in _ACTIONS:
            raise Refusal(400, "Bad Request: wrong parameter action in request")
        bot.actions.append((self._open_chat(bot, params).id, params["action"]))
        return True

    async def _on_editmessagetext(self, bot: Bot, params: dict[str, Any]) -> Any:
        text = self._text(params, "text", _TEXT, "MESSAGE_TOO_LONG")
        if not text:
            raise Refusal(400, "Bad Request: message text is empty")
        return self._change(bot, params, "text", text)

    async def _on_editmessagecaption(self, bot: Bot, params: dict[str, Any]) -> Any:
        caption = self._text(params, "caption", _CAPTION, "message caption is too long")
        return self._change(bot, params, "caption", caption)

    async def _on_deletemessage(self, bot: Bot, params: dict[str, Any]) -> Any:
        chat = self._open_chat(bot, params)
        if chat.messages.pop(_integer(params, "message_id", 0), None) is None:
            raise Refusal(400, "Bad Request: message to delete not found")
        return True

    async def _on_setmessagereaction(self, bot: Bot, params: dict[str, Any]) -> Any:
        chat, number = self._open_chat(bot, params), _integer(params, "message_id", 0)
        if number not in chat.messages:
            raise Refusal(400, "Bad Request: message to react not found")
        emoji = [one.get("emoji", "") for one in json.loads(params.get("reaction") or "[]")]
        if len(emoji) > 1:
            raise Refusal(400, "Bad Request: REACTIONS_TOO_MANY")
        if any(one.rstrip("\ufe0f") not in _EMOJI for one in emoji):
            raise Refusal(400, "Bad Request: REACTION_INVALID")
        chat.reactions[number] = emoji
        return True

    async def _on_getfile(self, bot: Bot, params: dict[str, Any]) -> Any:
        kept = self._world.files.get(str(params.get("file_id")))
        if kept is None:
            raise Refusal(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        body, path = kept
        if len(body) > _DOWNLOAD_BYTES:
            raise Refusal(400, "Bad Request: file is too big")
        told = {"file_id": params["file_id"], "file_unique_id": "u", "file_size": len(body)}
        return told | {"file_path": path}

    # --- inside ---------------------------------------------------------------------------------------------

    def _text(self, params: dict[str, Any], name: str, most: int, too_long: str) -> str:
        raw = str(params.get(name) or "")
        if len(raw.encode()) > _RAW_BYTES:
            raise Refusal(400, "Bad Request: text is too long")
        mode = str(params.get("parse_mode") or "").lower()
        if mode not in ("", "html"):
            raise Refusal(400, "Bad Request: unsupported parse_mode")
        try:
            text = (parsed(raw) if mode else raw).strip()
        except BadMarkup as error:
            raise Refusal(400, f"Bad Request: can't parse entities: {error}") from None
        if units(text) > most:
            raise Refusal(400, f"Bad Request: {too_long}")
        return text

    def _open_chat(self, bot: Bot, params: dict[str, Any]) -> ChatState:
        if not params.get("chat_id"):
            raise Refusal(400, "Bad Request: chat_id is empty")
        chat = self._world.chats.get((bot.id, _integer(params, "chat_id", 0)))
        if chat is None:
            raise Refusal(400, "Bad Request: chat not found")
        if chat.moved_to is not None:
            raise Refusal(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.moved_to,
            )
        if chat.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        return chat

    def _post(self, bot: Bot, params: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
        chat = self._open_chat(bot, params)
        self._world.count(chat)
        message = self._world.message(chat, bot.to_wire()) | content
        if thread := _integer(params, "message_thread_id", 0):
            message |= {"message_thread_id": thread, "is_topic_message": True}
        reply = json.loads(params.get("reply_parameters") or "{}")
        if reply:
            quoted = chat.messages.get(int(reply["message_id"]))
            if quoted is None and not reply.get("allow_sending_without_reply"):
                raise Refusal(400, "Bad Request: message to be replied not found")
            if quoted is not None:
                message["reply_to_message"] = {k: v for k, v in quoted.items() if k != "reply_to_message"}
        chat.messages[message["message_id"]] = message
        return message

    def _change(self, bot: Bot, params: dict[str, Any], field_name: str, value: str) -> dict[str, Any]:
        chat = self._open_chat(bot, params)
        message = chat.messages.get(_integer(params, "message_id", 0))
        if message is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        if message["from"]["id"] != bot.id:
            raise Refusal(400, "Bad Request: message can't be edited")
        if field_name == "text" and "text" not in message:
            raise Refusal(400, "Bad Request: there is no text in the message to edit")
        if message.get(field_name) == value:
            raise Refusal(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message",
            )
        message |= {field_name: value, "edit_date": self._world.now()}
        return message

    def _allow(self, bot: Bot, params: dict[str, Any]) -> None:
        if params.get("allowed_updates"):
            bot.allowed = frozenset(json.loads(params["allowed_updates"])) or DEFAULT_UPDATES


def _integer(params: Mapping[str, Any], name: str, default: int) -> int:
    try:
        return int(params.get(name) or default)
    except ValueError:
        return default


def caption_of(text: str | None) -> dict[str, str]:
    return {"caption": text} if text else {}
