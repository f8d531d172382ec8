"""What an agent says, in WhatsApp's words."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar

from chamade_mcp.connectors.whatsapp.client import CloudApi, RecipientRefused
from chamade_mcp.kit.connector import (
    Context,
    Invite,
    InviteKind,
    PlatformUnavailable,
    WindowClosed,
)
from chamade_mcp.kit.holding import Fate
from chamade_mcp.kit.http import Unanswered, repeatable
from chamade_mcp.kit.parts import SentParts
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing

T = TypeVar("T")

TOKEN_PREFIX: Final = "WALINK_"  # noqa: S105 -- what stands before one
_LINK_LIFE: Final = timedelta(minutes=15)
_CAPTION: Final = 1024
_MB: Final = 1024 * 1024
_KINDS: Final[Mapping[str, tuple[str, int]]] = {
    "image/jpeg": ("image", 5 * _MB),
    "image/png": ("image", 5 * _MB),
    "video/mp4": ("video", 16 * _MB),
    "video/3gpp": ("video", 16 * _MB),
    "audio/aac": ("audio", 16 * _MB),
    "audio/amr": ("audio", 16 * _MB),
    "audio/mpeg": ("audio", 16 * _MB),
    "audio/mp4": ("audio", 16 * _MB),
    "audio/ogg": ("audio", 16 * _MB),
}
"""What is shown as such, and up to which size; all else is a document."""
_REMEMBERED: Final = 5000


class WhatsAppMessages:
    """`Messages` with the facets `Reacts` and `Nudges`."""

    def __init__(self, ctx: Context, api: CloudApi, number: str, fate: Fate) -> None:
        self._ctx = ctx
        self._api = api
        self._number = number
        self._fate = fate
        self._parts = SentParts()
        self._phones: Recent[str, str] = Recent(_REMEMBERED)
        """Telephone numbers of people, where they were told."""
        self._latest: Recent[str, str] = Recent(_REMEMBERED)
        """The newest message of each conversation: typing is shown to who wrote it."""
        self._places: Recent[str, str] = Recent(_REMEMBERED)
        """Conversations by telephone number: statuses may name nothing else."""

    def note(self, to: ConversationRef, wa_id: str, message_id: str) -> None:
        """Somebody wrote."""
        self._latest[to] = message_id
        if wa_id:
            self._phones[to] = wa_id
            self._places[wa_id] = to

    def place_of(self, phone: str) -> str:
        """The conversation with whoever has this number, where that was told."""
        return self._places.get(phone, "")

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        try:
            return Delivery(DeliveryState.SENT, await self._send(to, message))
        except Unanswered as error:
            return Delivery(DeliveryState.UNKNOWN, detail=str(error))

    async def typing(self, to: ConversationRef) -> None:
        """Marks what the person wrote last as read: one is not to be had without the other."""
        if (newest := self._latest.get(to)) is not None:
            with suppress(PlatformRefused, Unanswered):
                await self._fate.decided_by(self._api.read(newest, typing=True))

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        token = await self._ctx.people.issue(scope)
        until = self._ctx.clock.now() + _LINK_LIFE
        url = f"https://wa.me/{self._number}?text={TOKEN_PREFIX}{token}"
        return url, Invite(scope, InviteKind.CHAT, "", f"Chat with {agent_name}", agent_name, until)

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        reaction = {"message_id": ref, "emoji": emoji if on else ""}
        message = {"type": "reaction", "reaction": reaction}
        with repeatable():
            await self._say(recipient(to), message)

    async def nudge(self, to: ConversationRef, key: str, preview: str) -> None:
        settings = self._ctx.settings
        message = {
            "type": "template",
            "template": {
                "name": settings["template"],
                "language": {"code": settings["template_language"]},
                "components": [{"type": "body", "parameters": [{"type": "text", "text": preview or "…"}]}],
            },
        }

        async def ask() -> MessageRef:
            try:
                return await self._say(recipient(to), message)
            except RecipientRefused:
                if to not in self._phones:
                    raise
                return await self._say({"to": self._phones[to]}, message)

        with repeatable():
            await self._parts.once(f"nudge {key}", 0, ask)

    async def tell(self, to: ConversationRef, words: str) -> None:
        """A line of the gateway's own. Not worth more than one try."""
        with suppress(PlatformRefused, PlatformUnavailable, WindowClosed, Unanswered):
            message = {"type": "text", "text": {"body": words}}
            await self._say(recipient(to), message)

    # --- inside --------------------------------------------------------------------------------------------

    async def _send(self, to: ConversationRef, message: Outgoing) -> MessageRef:
        """The reference of the part that has the text."""
        quote: dict[str, object] = {}
        if message.reply_to is not None:
            quote["context"] = {"message_id": message.reply_to}
        refs: list[MessageRef] = []
        caption = message.text if self._fits_first(message) else ""
        if message.text and not caption:
            text = {"type": "text", "text": {"body": message.text, "preview_url": False}, **quote}
            refs.append(await self._part(to, message.key, 0, text))
            quote = {}
        for attachment in message.attachments:
            number = len(refs)

            async def upload(
                attachment: Attachment = attachment,
                caption: str = caption,
                quote: Mapping[str, object] = quote,
            ) -> MessageRef:
                return await self._file(to, message.key, attachment, caption, quote)

            refs.append(await self._parts.once(message.key, number, upload))
            caption, quote = "", {}
        return refs[0]

    def _fits_first(self, message: Outgoing) -> bool:
        """Whether the text can stand below the first file: a sound has no words."""
        if not message.attachments or len(message.text) > _CAPTION:
            return False
        return _kind(message.attachments[0]) != "audio"

    async def _part(
        self, to: ConversationRef, key: str, number: int, message: Mapping[str, object]
    ) -> MessageRef:
        async def send() -> MessageRef:
            return await self._say(recipient(to), message, key)

        return await self._parts.once(key, number, send)

    async def _file(
        self,
        to: ConversationRef,
        key: str,
        attachment: Attachment,
        caption: str,
        quote: Mapping[str, object],
    ) -> MessageRef:
        content = await self._ctx.files.open(attachment)
        kind = _kind(attachment, content.size_bytes)
        with repeatable():  # nobody has seen anything of it
            media = await self._fate.decided_by(self._api.upload(attachment.name, attachment.mime, content))
        about: dict[str, object] = {"id": media}
        if caption:
            about["caption"] = caption
        if kind == "document":
            about["filename"] = attachment.name
        message = {"type": kind, kind: about, **quote}
        return await self._say(recipient(to), message, key)

    async def _say(self, to: Mapping[str, str], message: Mapping[str, object], key: str = "") -> MessageRef:
        return MessageRef(await self._fate.decided_by(self._api.send(to, message, key)))


def recipient(to: ConversationRef) -> dict[str, str]:
    """As the API wants it: user ids of WhatsApp's have a country and a full stop, numbers are digits."""
    return {"recipient": to} if "." in to else {"to": to}


def _kind(attachment: Attachment, size_bytes: int | None = None) -> str:
    kind, most = _KINDS.get(attachment.mime, ("document", 0))
    return "document" if (size_bytes or attachment.size_bytes) > most else kind
