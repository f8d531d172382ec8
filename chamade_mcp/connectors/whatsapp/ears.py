"""What WhatsApp tells a number, as facts."""

import re
from typing import Final

from chamade_mcp.connectors.whatsapp.client import WINDOW_CLOSED
from chamade_mcp.connectors.whatsapp.messages import TOKEN_PREFIX, WhatsAppMessages
from chamade_mcp.connectors.whatsapp.wire import Heard, Media, Message, Status, file_name
from chamade_mcp.kit.connector import Context
from chamade_mcp.kit.greeter import Greeter
from chamade_mcp.model.access import Scope
from chamade_mcp.model.facts import (
    DeliveryChanged,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Reacting,
    ReactionChanged,
)
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, DeliveryState, Sender

_TOKEN: Final = re.compile(rf"{TOKEN_PREFIX}([A-Za-z0-9_-]{{20,60}})")
_STATES: Final = {
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "played": DeliveryState.READ,
    "failed": DeliveryState.FAILED,
}


class Ears:
    def __init__(self, ctx: Context, mouth: WhatsAppMessages) -> None:
        self._ctx = ctx
        self._mouth = mouth
        self._greeter = Greeter(ctx.people, "This number")

    async def hear(self, told: Heard | Status) -> None:
        """Returns once it is committed. Hearing it again is harmless."""
        if isinstance(told, Status):
            await self._status(told)
            return
        sender, place = Sender(told.author.ref, told.author.name), ConversationRef(told.author.ref)
        self._mouth.note(place, told.author.wa_id, told.message.id)
        token = _TOKEN.search(told.message.said)
        if token is not None:
            await self._mouth.tell(place, await self._greeter.redeem(token[1], sender, place))
            return
        scope = await self._scope(sender)
        if scope is not None:
            await self._say(scope, place, sender, told.message)
        elif words := self._greeter.turn_away(sender):
            await self._mouth.tell(place, words)

    async def _say(self, scope: Scope, place: ConversationRef, sender: Sender, message: Message) -> None:
        emit = self._ctx.emit
        if message.reaction is not None:
            emoji = (message.reaction.emoji,) if message.reaction.emoji else ()
            ref = MessageRef(message.reaction.message_id)
            await emit(scope, ReactionChanged(place, ref, sender, Reacting.REPLACED, emoji))
        elif message.edit is not None:
            ref = MessageRef(message.edit.original_message_id)
            await emit(scope, MessageEdited(place, ref, message.edit.message.said))
        elif message.revoke is not None:
            await emit(scope, MessageDeleted(place, MessageRef(message.revoke.original_message_id)))
        else:
            said, media = message.said, message.media
            if said or media is not None:
                attachments = () if media is None else (await self._keep(scope, *media),)
                quoted = message.context.id if message.context is not None else ""
                reply_to = MessageRef(quoted) if quoted else None
                ref, at = MessageRef(message.id), message.sent_at
                fact = MessageReceived(place, ref, sender, said, attachments, reply_to, sent_at=at)
                await emit(scope, fact)

    async def _keep(self, scope: Scope, kind: str, media: Media) -> Attachment:
        mime = media.mime_type.partition(";")[0].strip() or "application/octet-stream"
        name = file_name(kind, media)
        return await self._ctx.files.keep(scope, media.id, name=name, mime=mime, size_bytes=None)

    async def _status(self, status: Status) -> None:
        state = _STATES.get(status.status)
        if state is None:
            return
        problem = status.errors[0] if status.errors else None
        phone = status.recipient_id
        # Where it was said under another name than this, nothing comes of it.
        for ref in dict.fromkeys((status.recipient_user_id, self._mouth.place_of(phone), phone)):
            scope = await self._scope(Sender(ref, "")) if ref else None
            if scope is not None:
                fact = DeliveryChanged(
                    ConversationRef(ref),
                    status.id,
                    state,
                    problem.words if problem else "",
                    window_closed=problem is not None and problem.code == WINDOW_CLOSED,
                    key=status.key,
                )
                await self._ctx.emit(scope, fact)

    async def _scope(self, sender: Sender) -> Scope | None:
        if self._ctx.connection is not None:
            return self._ctx.connection.scope
        return await self._ctx.people.scope_of(sender.ref)
