"""What an agent says, in the words of Teams."""

import asyncio
import base64
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar
from urllib.parse import urlencode

from chamade_mcp.connectors.teams.cards import card_of, summary_of
from chamade_mcp.connectors.teams.client import BotConnector, Missing
from chamade_mcp.connectors.teams.offers import Offers
from chamade_mcp.connectors.teams.reactions import name_of
from chamade_mcp.kit.connector import Context, Invite, InviteKind, PlatformUnavailable
from chamade_mcp.kit.holding import Fate
from chamade_mcp.kit.http import Unanswered, repeatable
from chamade_mcp.kit.parts import SentParts
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing

T = TypeVar("T")

TOKEN_PREFIX: Final = "TEAMSLINK_"  # noqa: S105 -- what stands before one
_LINK_LIFE: Final = timedelta(minutes=15)
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif"})
_PICTURE_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Where:
    place: str
    thread: str | None

    @property
    def channel(self) -> bool:
        """Of a team; what is said there outside a thread begins one."""
        return self.place.endswith(("@thread.tacv2", "@thread.skype"))

    @property
    def alone(self) -> bool:
        """A person and the bot: only there Teams hands over files."""
        return self.place.startswith("a:")


class TeamsMessages:
    """`Messages` with the facets `Edits`, `Deletes` and `Reacts`."""

    def __init__(self, ctx: Context, api: BotConnector, offers: Offers, fate: Fate) -> None:
        self._ctx = ctx
        self._api = api
        self._offers = offers
        self._fate = fate
        self._parts = SentParts()

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        try:
            ref, offered = await self._send(_Where(to, message.thread), message)
        except Unanswered as error:
            return Delivery(DeliveryState.UNKNOWN, detail=str(error))
        return Delivery(DeliveryState.SENT if offered else DeliveryState.DELIVERED, ref)

    async def typing(self, to: ConversationRef) -> None:
        if _Where(to, None).channel:
            return  # there it would stand below no post
        # It is shown for a few seconds: not worth a word.
        with suppress(PlatformRefused, PlatformUnavailable, Unanswered):
            await self._fate.decided_by(self._api.say(to, None, {"type": "typing"}))

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        token = await self._ctx.people.issue(scope)
        until = self._ctx.clock.now() + _LINK_LIFE
        query = urlencode({"users": self._api.me, "message": f"{TOKEN_PREFIX}{token}"})
        url = f"https://teams.microsoft.com/l/chat/0/0?{query}"
        return url, Invite(scope, InviteKind.CHAT, "", f"Chat with {agent_name}", agent_name, until)

    async def edit(self, to: ConversationRef, ref: MessageRef, message: Outgoing) -> None:
        said = await self._said(message)
        try:
            await self._once(self._api.change(to, ref, said))
        except PlatformRefused as error:
            if "attachments" not in said or isinstance(error, Missing):
                raise
            await self._once(self._api.change(to, ref, _text(message.text)))

    async def delete(self, to: ConversationRef, ref: MessageRef) -> None:
        with suppress(Missing):
            await self._once(self._api.delete(to, ref))

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        await self._once(self._api.react(to, ref, name_of(emoji), on=on))

    async def tell(self, to: ConversationRef, words: str) -> None:
        """A line of the gateway's own. Not worth more than one try."""
        with suppress(PlatformRefused, PlatformUnavailable, Unanswered):
            await self._fate.decided_by(self._api.say(to, None, {"type": "message", "text": words}))

    # --- inside --------------------------------------------------------------------------------------------

    async def _send(self, where: _Where, message: Outgoing) -> tuple[MessageRef, bool]:
        """The reference of the first part, which has the text, and whether a person has to accept a file."""
        refs: list[MessageRef] = []
        if message.text:
            refs.append(await self._parts.once(message.key, 0, lambda: self._speak(where, message)))
        for attachment in message.attachments:

            async def hand(attachment: Attachment = attachment) -> MessageRef:
                return await self._put(where, await self._file(where, message.key, attachment))

            refs.append(await self._parts.once(message.key, len(refs), hand))
        offered = where.alone and not all(map(_is_picture, message.attachments))
        return refs[0], offered

    async def _speak(self, where: _Where, message: Outgoing) -> MessageRef:
        """What Teams refuses in one form, as when what it quotes is gone, it may take in a simpler one."""
        said = await self._said(message)
        forms = [said]
        if message.reply_to is not None and not where.channel:
            forms.insert(0, _quoting(said, message.reply_to))
        if "attachments" in said:
            forms.append(_text(message.text))
        for form in forms[:-1]:
            with suppress(PlatformRefused):
                return await self._put(where, form)
        return await self._put(where, forms[-1])

    async def _said(self, message: Outgoing) -> dict[str, object]:
        card = await asyncio.to_thread(card_of, message.markdown, message.text) if message.markdown else None
        if card is None:
            return _text(message.text)
        return {"type": "message", "summary": summary_of(message.markdown), "attachments": [card]}

    async def _file(self, where: _Where, key: str, attachment: Attachment) -> Mapping[str, object]:
        """The message that has it, or offers it."""
        content = await self._ctx.files.open(attachment)
        if _is_picture(replace(attachment, size_bytes=content.size_bytes)):
            raw = b"".join([chunk async for chunk in content.chunks])
            picture = {
                "contentType": attachment.mime,
                "contentUrl": f"data:{attachment.mime};base64,{base64.b64encode(raw).decode()}",
                "name": attachment.name,
            }
            return {"type": "message", "attachments": [picture]}
        if where.alone:
            card = self._offers.card(where.place, key, attachment, content.size_bytes)
            return {"type": "message", "attachments": [card]}
        # In groups Teams takes no files from bots: who is there may fetch it from the gateway.
        name = "".join(f"\\{c}" if c in "\\[]*_`~<&" else c for c in attachment.name)
        return _text(f"[{name}]({attachment.url})")

    async def _put(self, where: _Where, body: Mapping[str, object]) -> MessageRef:
        if where.channel and where.thread is None:
            return MessageRef(await self._fate.decided_by(self._api.post(where.place, body)))
        return MessageRef(await self._fate.decided_by(self._api.say(where.place, where.thread, body)))

    async def _once(self, call: Awaitable[None]) -> None:
        with repeatable():
            await self._fate.decided_by(call)


def _is_picture(attachment: Attachment) -> bool:
    """One that stands in the message itself."""
    return attachment.mime in _PICTURES and attachment.size_bytes <= _PICTURE_BYTES


def _text(text: str) -> dict[str, object]:
    return {"type": "message", "text": text, "textFormat": "markdown"}


def _quoting(said: Mapping[str, object], ref: str) -> dict[str, object]:
    """Teams shows what is quoted above the answer, and refuses what is gone."""
    mark = f'<quoted messageId="{ref}"/>'
    entity = {"type": "quotedReply", "quotedReply": {"messageId": ref}}
    return {**said, "text": f"{mark} {said.get('text', '')}".rstrip(), "entities": [entity]}
