"""What an agent says, in Nextcloud Talk's words."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar

from chamade_mcp.connectors.nctalk.client import Cloud
from chamade_mcp.kit.connector import Context, Invite, InviteKind, PlatformUnavailable
from chamade_mcp.kit.holding import Fate
from chamade_mcp.kit.http import Unanswered, repeatable
from chamade_mcp.kit.parts import SentParts
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing

T = TypeVar("T")

_LINK_LIFE: Final = timedelta(days=365)
"""It opens a conversation that stays; only its owner is let in by Nextcloud."""


class TalkMessages:
    """`Messages` with the facets `Edits`, `Deletes` and `Reacts`."""

    def __init__(self, ctx: Context, cloud: Cloud, nc_url: str, fate: Fate) -> None:
        self._ctx = ctx
        self._cloud = cloud
        self._nc_url = nc_url
        self._fate = fate
        self._parts = SentParts()
        self.alone = ""
        """The room with the bot's owner alone."""

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        try:
            return Delivery(DeliveryState.DELIVERED, await self._send(to, message))
        except Unanswered as error:
            return Delivery(DeliveryState.UNKNOWN, detail=str(error))

    async def typing(self, to: ConversationRef) -> None:
        """Talk shows who types over its signaling server only, which chat does without."""

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        until = self._ctx.clock.now() + _LINK_LIFE
        chat = Invite(scope, InviteKind.CHAT, self.alone, f"Chat with {agent_name}", agent_name, until)
        return f"{self._nc_url}/call/{self.alone}", chat

    async def edit(self, to: ConversationRef, ref: MessageRef, message: Outgoing) -> None:
        await self._once(self._cloud.edit(to, _number(ref), message.text))

    async def delete(self, to: ConversationRef, ref: MessageRef) -> None:
        await self._once(self._cloud.delete(to, _number(ref)))

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        await self._once(self._cloud.react(to, _number(ref), emoji, on=on))

    async def tell(self, to: ConversationRef, words: str) -> None:
        """A line of the gateway's own. Not worth more than one try."""
        with suppress(PlatformRefused, PlatformUnavailable, Unanswered):
            await self._fate.decided_by(self._cloud.say(to, words, silent=True))

    # --- inside --------------------------------------------------------------------------------------------

    async def _send(self, to: ConversationRef, message: Outgoing) -> MessageRef:
        """The first part's reference: that which has the text."""
        refs: list[MessageRef] = []
        number = 0
        quoted = {} if message.reply_to is None else {"replyTo": int(_number(message.reply_to))}
        if message.text:
            refs.append(await self._parts.once(message.key, 0, lambda: self._text(to, message, quoted)))
            number, quoted = 1, {}
        for attachment in message.attachments:
            send = self._file_sender(to, attachment, f"{message.key} {number}", quoted)
            refs.append(await self._parts.once(message.key, number, send))
            number, quoted = number + 1, {}
        return refs[0]

    async def _text(self, to: ConversationRef, message: Outgoing, quoted: dict[str, int]) -> MessageRef:
        more: dict[str, object] = {"referenceId": _reference(f"{message.key} 0"), **quoted}
        try:
            number = await self._fate.decided_by(self._cloud.say(to, message.text, **more))
        except PlatformRefused as error:
            if not quoted or "status 400" not in error.detail:
                raise
            # What it answers is gone: no reason to say nothing.
            more.pop("replyTo")
            number = await self._fate.decided_by(self._cloud.say(to, message.text, **more))
        return MessageRef(str(number))

    def _file_sender(
        self, to: ConversationRef, attachment: Attachment, key: str, quoted: dict[str, int]
    ) -> Callable[[], Awaitable[MessageRef]]:
        reference = _reference(key)

        async def send() -> MessageRef:
            content = await self._ctx.files.open(attachment)
            path = await self._fate.decided_by(self._cloud.upload(reference[:16], attachment.name, content))
            meta = json.dumps({"messageType": "comment", **quoted})
            await self._fate.decided_by(self._cloud.share(to, path, reference, meta))
            return await self._number_of(to, reference)

        return send

    async def _number_of(self, to: ConversationRef, reference: str) -> MessageRef:
        """Of a share Nextcloud tells its own number, and not that of the message."""
        with suppress(PlatformRefused, PlatformUnavailable, Unanswered):
            for said in await self._cloud.newest(to):
                if said.reference == reference:
                    return MessageRef(str(said.id))
        return MessageRef(reference)

    async def _once(self, call: Awaitable[None]) -> None:
        with repeatable():
            await self._fate.decided_by(call)


def _number(ref: MessageRef) -> str:
    if not ref.isdecimal():
        raise PlatformRefused("Nextcloud did not tell the number of this message")
    return ref


def _reference(key: str) -> str:
    """What Nextcloud takes as a `referenceId`: 64 hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()
