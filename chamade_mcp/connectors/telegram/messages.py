"""What an agent says, in Telegram's words."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, cast

from chamade_mcp.connectors.telegram.client import BotApi, Migrated
from chamade_mcp.connectors.telegram.wire import User
from chamade_mcp.kit.connector import (
    Context,
    Invite,
    InviteKind,
    PlatformUnavailable,
)
from chamade_mcp.kit.form import FilePart
from chamade_mcp.kit.holding import Fate
from chamade_mcp.kit.http import Unanswered, repeatable
from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.kit.markdown.limits import length
from chamade_mcp.kit.parts import SentParts
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing

START_PREFIX: Final = "TGLINK_"
"""Before the token of a deep link (CONTRACT section 6)."""
_LINK_LIFE: Final = timedelta(minutes=15)
_CAPTION_LIMIT: Final = 1024
_PHOTO_BYTES: Final = 10 * 1024 * 1024
_MEDIA: Final[Mapping[str, tuple[str, str]]] = {
    "image/jpeg": ("sendPhoto", "photo"),
    "image/png": ("sendPhoto", "photo"),
    "image/webp": ("sendPhoto", "photo"),
    "audio/ogg": ("sendVoice", "voice"),
    "audio/mpeg": ("sendAudio", "audio"),
    "audio/mp4": ("sendAudio", "audio"),
    "video/mp4": ("sendVideo", "video"),
}
"""Method and field by media type; all else is a document."""


class TelegramMessages:
    """`Messages` with the facets `Edits`, `Deletes` and `Reacts`."""

    def __init__(self, ctx: Context, api: BotApi, me: User, fate: Fate) -> None:
        self._ctx = ctx
        self._api = api
        self._me = me
        self._fate = fate
        self._parts = SentParts()
        self._moved: dict[str, str] = {}
        """Groups that were made supergroups, to what they are now."""

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        try:
            return Delivery(DeliveryState.DELIVERED, await self._send(to, message))
        except Unanswered as error:
            return Delivery(DeliveryState.UNKNOWN, detail=str(error))

    async def typing(self, to: ConversationRef) -> None:
        params = {"chat_id": self._moved.get(to, to), "action": "typing"}
        # It is shown for five seconds at most: not worth a word.
        with suppress(PlatformRefused, Unanswered, Migrated):
            await self._fate.decided_by(self._api.call("sendChatAction", params))

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        token = await self._ctx.people.issue(scope)
        until = self._ctx.clock.now() + _LINK_LIFE
        url = f"https://t.me/{self._me.username}?start={START_PREFIX}{token}"
        return url, Invite(scope, InviteKind.CHAT, "", f"Chat with {agent_name}", agent_name, until)

    async def edit(self, to: ConversationRef, ref: MessageRef, message: Outgoing) -> None:
        params = {"message_id": int(ref), "text": message.text, "parse_mode": "HTML"}
        try:
            await self._once("editMessageText", to, params)
        except PlatformRefused as error:
            if "there is no text" in error.detail:
                params["caption"] = params.pop("text")
                await self._once("editMessageCaption", to, params)
            elif "is not modified" not in error.detail:
                raise

    async def delete(self, to: ConversationRef, ref: MessageRef) -> None:
        try:
            await self._once("deleteMessage", to, {"message_id": int(ref)})
        except PlatformRefused as error:
            if "not found" not in error.detail:
                raise

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        reaction = [{"type": "emoji", "emoji": emoji}] if on else []
        params = {"message_id": int(ref), "reaction": reaction}
        await self._once("setMessageReaction", to, params)

    async def tell(self, to: ConversationRef, words: str) -> None:
        """A line of the gateway's own. Not worth more than one try."""
        with suppress(PlatformRefused, PlatformUnavailable, Unanswered):
            await self._say("sendMessage", to, {"text": words})

    # --- inside --------------------------------------------------------------------------------------------

    async def _send(self, to: ConversationRef, message: Outgoing) -> MessageRef:
        """The first part's reference: that which has the text."""
        place: dict[str, object] = {}
        if message.thread is not None:
            place["message_thread_id"] = int(message.thread)
        first: dict[str, object] = dict(place)
        if message.reply_to is not None:
            first["reply_parameters"] = {
                "message_id": int(message.reply_to),
                "allow_sending_without_reply": True,
            }
        text = message.text
        caption = text if _fits_a_caption(text) and message.attachments else ""
        number = 0
        refs: list[MessageRef] = []
        if text and not caption:
            params = {**first, "text": text, "parse_mode": "HTML"}
            refs.append(await self._parts.once(message.key, 0, lambda: self._part("sendMessage", to, params)))
            number, first = 1, place
        for attachment in message.attachments:
            params = {**first, "caption": caption, "parse_mode": "HTML"} if caption else dict(first)
            refs.append(
                await self._parts.once(
                    message.key, number, lambda a=attachment, p=params: self._upload(to, a, p)
                )
            )
            number, caption, first = number + 1, "", place
        return refs[0]

    async def _upload(
        self, to: ConversationRef, attachment: Attachment, params: Mapping[str, object]
    ) -> MessageRef:
        content = await self._ctx.files.open(attachment)
        method, field = _MEDIA.get(attachment.mime, ("sendDocument", "document"))
        if field == "photo" and content.size_bytes > _PHOTO_BYTES:
            method, field = "sendDocument", "document"
        try:
            part = FilePart(field, attachment.name, attachment.mime, content)
            return await self._part(method, to, params, part)
        except PlatformRefused:
            if field == "document":
                raise
        # What Telegram does not take as a picture, sound or film it still takes as a file.
        again = FilePart("document", attachment.name, attachment.mime, await self._ctx.files.open(attachment))
        return await self._part("sendDocument", to, params, again)

    async def _part(
        self, method: str, to: ConversationRef, params: Mapping[str, object], *files: FilePart
    ) -> MessageRef:
        told = await self._say(method, to, params, *files)
        sent = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
        return MessageRef(str(sent.get("message_id", "")))

    async def _once(self, method: str, to: ConversationRef, params: Mapping[str, object]) -> None:
        with repeatable():
            await self._say(method, to, params)

    async def _say(
        self, method: str, to: ConversationRef, params: Mapping[str, object], *files: FilePart
    ) -> Any:
        chat = self._moved.get(to, to)
        try:
            return await self._fate.decided_by(self._api.say(method, chat, params, files))
        except Migrated as moved:
            self._moved[to] = moved.chat_id
            raise PlatformUnavailable("The group has got another id", retry_after=1) from None


def _fits_a_caption(text: str) -> bool:
    return length(text, Format.TELEGRAM_HTML, Unit.UTF16) <= _CAPTION_LIMIT
