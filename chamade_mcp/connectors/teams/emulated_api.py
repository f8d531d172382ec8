"""The Bot Connector's requests, as the emulated Teams takes them."""

import json
import re
from typing import Any, Final, cast

from chamade_mcp.connectors.teams.emulated_world import Bot, Chat, Refusal, World

_MESSAGE_BYTES: Final = 100 * 1024
_CARD_BYTES: Final = 28 * 1024
_PICTURE_BYTES: Final = 1024 * 1024 * 4 // 3 + 100
_CARD: Final = "application/vnd.microsoft.card.adaptive"
_CONSENT: Final = "application/vnd.microsoft.teams.card.file.consent"
_INFO: Final = "application/vnd.microsoft.teams.card.file.info"
_ELEMENTS: Final = {"RichTextBlock", "TextBlock", "CodeBlock", "Table", "Container", "Image", "FactSet"}
_QUOTED: Final = re.compile(r'<quoted messageId="([^"]*)"/>')
_AT: Final = re.compile(r"<at>(.*?)</at>")


class Api:
    def __init__(self, world: World) -> None:
        self._world = world
        self.refused_cards = False
        """As clients of before 2022 would."""

    def create(self, bot: Bot, asked: dict[str, Any]) -> dict[str, Any]:
        """POST v3/conversations: a post in a channel, or the chat with a person."""
        channel = _dict(_dict(asked.get("channelData")).get("channel"))
        if not channel:
            return self._direct(bot, asked)
        chat = self.chat(bot, str(channel.get("id")))
        if not asked.get("isGroup") or not isinstance(asked.get("activity"), dict):
            raise Refusal(400, "BadSyntax", "Incorrect conversation creation parameters")
        told = self.say(bot, chat, "", asked["activity"])
        return {"id": f"{chat.id};messageid={told['id']}", "activityId": told["id"]}

    def chat(self, bot: Bot, cid: str) -> Chat:
        chat = self._world.chats.get(cid.partition(";messageid=")[0])
        if chat is None:
            raise Refusal(404, "ConversationNotFound", "Conversation not found.")
        if bot.app_id not in chat.bots:
            raise Refusal(
                403, "BotNotInConversationRoster", "The bot is not part of the conversation roster."
            )
        return chat

    def team(self, bot: Bot, ref: str) -> dict[str, Any]:
        """GET v3/teams/<id>."""
        return {"id": ref, "name": self.chat(bot, ref.removesuffix("-team")).team}

    def channels(self, bot: Bot, ref: str) -> dict[str, Any]:
        """GET v3/teams/<id>/conversations: the first has no name."""
        chat = self.chat(bot, ref.removesuffix("-team"))
        name = None if chat.name == "General" else chat.name
        return {"conversations": [{"id": chat.id, "name": name}]}

    def say(self, bot: Bot, chat: Chat, thread: str, activity: dict[str, Any]) -> dict[str, Any]:
        self._world.count(bot, chat)
        if activity.get("type") == "typing":
            chat.typing += 1
            return {}
        self._check(chat, activity)
        if thread and chat.find(thread) is None:
            raise Refusal(404, "ActivityNotFoundInConversation", "Activity not found in conversation")
        ref = self._world.new_id()
        place = thread or (ref if chat.kind == "channel" else "")
        chat.log.append({**activity, "id": ref, "bot": bot.app_id, "thread": place})
        return {"id": ref}

    def change(self, bot: Bot, chat: Chat, ref: str, activity: dict[str, Any]) -> dict[str, Any]:
        self._world.count(bot, chat)
        found = self._own(bot, chat, ref)
        self._check(chat, activity)
        kept = {name: found[name] for name in ("bot", "thread")}
        found.clear()
        found.update({**activity, **kept, "id": ref})
        return {"id": ref}

    def delete(self, bot: Bot, chat: Chat, ref: str) -> None:
        self._own(bot, chat, ref)["gone"] = True

    def react(self, bot: Bot, chat: Chat, ref: str, kind: str, *, on: bool) -> None:
        found = chat.find(ref)
        if found is None:
            raise Refusal(404, "ActivityNotFoundInConversation", "Activity not found in conversation")
        mine: set[str] = found.setdefault("reactions", set())
        mine.add(kind) if on else mine.discard(kind)

    # --- inside --------------------------------------------------------------------------------------------

    def _direct(self, bot: Bot, asked: dict[str, Any]) -> dict[str, Any]:
        members = _list(asked.get("members"))
        if len(members) != 1 or not asked.get("tenantId"):
            raise Refusal(400, "BadSyntax", "Incorrect conversation creation parameters")
        wanted = str(members[0].get("id"))
        for chat in self._world.chats.values():
            if chat.kind == "personal" and chat.name == wanted and bot.app_id in chat.bots:
                return {"id": chat.id, "serviceUrl": self._world.service_url}
        raise Refusal(403, "ForbiddenOperationException", "The bot is not installed for this user.")

    def _own(self, bot: Bot, chat: Chat, ref: str) -> dict[str, Any]:
        found = chat.find(ref)
        if found is None:
            raise Refusal(404, "ActivityNotFoundInConversation", "Activity not found in conversation")
        if found.get("bot") != bot.app_id:
            raise Refusal(403, "ForbiddenOperationException", "The message was sent by another user.")
        return found

    def _check(self, chat: Chat, activity: dict[str, Any]) -> None:
        if activity.get("type") != "message":
            raise Refusal(400, "BadArgument", "Unknown activity type")
        attachments = _list(activity.get("attachments"))
        if not activity.get("text") and not attachments:
            raise Refusal(400, "BadSyntax", "Activity resulted into multiple skype activities")
        self._check_words(chat, str(activity.get("text", "")), _list(activity.get("entities")))
        for attachment in attachments:
            self._check_attachment(chat, attachment)
        plain = [one for one in attachments if not str(one.get("contentUrl", "")).startswith("data:")]
        counted = {**activity, "attachments": plain}
        if len(json.dumps(counted, ensure_ascii=False).encode("utf-16-le")) > _MESSAGE_BYTES:
            raise Refusal(413, "MessageSizeTooBig", "Message size too large.")

    def _check_words(self, chat: Chat, text: str, entities: list[dict[str, Any]]) -> None:
        quoted = {one["quotedReply"]["messageId"] for one in entities if one.get("type") == "quotedReply"}
        if quoted != set(_QUOTED.findall(text)):
            raise Refusal(400, "BadArgument", "A quoted reply needs its place in the text")
        if any(chat.find(ref) is None for ref in quoted):
            raise Refusal(400, "BadArgument", "The quoted message was not found")
        named = {one.get("text") for one in entities if one.get("type") == "mention"}
        if any(f"<at>{name}</at>" not in named for name in _AT.findall(text)):
            raise Refusal(400, "BadArgument", "Mentions in text and entities do not match")

    def _check_attachment(self, chat: Chat, attachment: dict[str, Any]) -> None:
        kind, url = str(attachment.get("contentType")), str(attachment.get("contentUrl", ""))
        if kind == _CARD:
            self._check_card(_dict(attachment.get("content")))
        elif kind == _CONSENT:
            if chat.kind != "personal":
                raise Refusal(400, "BadArgument", "File consent cards are for personal chats only")
            content = _dict(attachment.get("content"))
            if not attachment.get("name") or not isinstance(content.get("sizeInBytes"), int):
                raise Refusal(400, "BadArgument", "A file consent card needs a name and a size")
        elif kind == _INFO:
            if not url or not _dict(attachment.get("content")).get("uniqueId"):
                raise Refusal(400, "BadArgument", "A file card needs its address and id")
        elif kind not in ("image/png", "image/jpeg", "image/gif"):
            raise Refusal(400, "BadArgument", f"Unknown attachment type {kind}")
        elif not url.startswith((f"data:{kind};base64,", "https://")) or len(url) > _PICTURE_BYTES:
            raise Refusal(400, "BadArgument", "The picture cannot be shown")

    def _check_card(self, card: dict[str, Any]) -> None:
        if self.refused_cards or card.get("type") != "AdaptiveCard":
            raise Refusal(400, "BadSyntax", "Unknown card")
        if len(json.dumps(card, ensure_ascii=False).encode()) > _CARD_BYTES:
            raise Refusal(413, "MessageSizeTooBig", "Message size too large.")
        for element in _list(card.get("body")):
            self._check_element(element)

    def _check_element(self, element: dict[str, Any]) -> None:
        kind = element.get("type")
        if kind not in _ELEMENTS:
            raise Refusal(400, "BadSyntax", f"Unknown element {kind}")
        if kind == "RichTextBlock" and not element.get("inlines"):
            raise Refusal(400, "BadSyntax", "A rich text block needs inlines")
        if kind == "Table":
            wide = len(_list(element.get("columns")))
            if any(len(_list(row.get("cells"))) > wide for row in _list(element.get("rows"))):
                raise Refusal(400, "BadSyntax", "A row has more cells than there are columns")
        for inner in _list(element.get("items")):
            self._check_element(inner)


def _dict(told: object) -> dict[str, Any]:
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _list(told: object) -> list[dict[str, Any]]:
    """Those of its entries that are objects."""
    return [_dict(one) for one in cast("list[object]", told) if _dict(one)] if isinstance(told, list) else []
