"""What an agent says, in Slack's words."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from chamade_mcp.connectors.slack.client import WebApi, shared_as
from chamade_mcp.connectors.slack.emoji import name_of
from chamade_mcp.kit.connector import Context, Invite, PlatformUnavailable
from chamade_mcp.kit.holding import Fate
from chamade_mcp.kit.http import Unanswered, repeatable
from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.kit.markdown.render import render
from chamade_mcp.kit.markdown.split import split
from chamade_mcp.kit.parts import SentParts
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import NotAvailable, PlatformRefused
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing

T = TypeVar("T")

BLOCK_LIMIT: Final = 3000
"""Of the text in one block."""
_BLOCKS_LIMIT: Final = 12_000
"""Of all blocks of a message together: above about 13,200 Slack refuses it."""
_LOOKS_S: Final = (0.0, 0.3, 0.7, 1.5)
"""A file stands in its message a moment after Slack has said that it does."""


class SlackMessages:
    """`Messages` with the facets `Edits`, `Deletes` and `Reacts`."""

    def __init__(self, ctx: Context, api: WebApi, fate: Fate) -> None:
        self._ctx = ctx
        self._api = api
        self._fate = fate
        self._parts = SentParts()

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        try:
            ref = await self._fate.decided_by(self._send(to, message))
        except Unanswered as error:
            return Delivery(DeliveryState.UNKNOWN, detail=str(error))
        return Delivery(DeliveryState.DELIVERED, ref or None)

    async def typing(self, to: ConversationRef) -> None:
        """Slack has no indicator for apps."""

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        raise NotAvailable("Slack has no links that let a person in: they find the app by its name")

    async def edit(self, to: ConversationRef, ref: MessageRef, message: Outgoing) -> None:
        await self._once("chat.update", {"channel": to, "ts": ref, **await said(message)})

    async def delete(self, to: ConversationRef, ref: MessageRef) -> None:
        await self._once("chat.delete", {"channel": to, "ts": ref}, "message_not_found")

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        params = {"channel": to, "timestamp": ref, "name": name_of(emoji)}
        if on:
            await self._once("reactions.add", params, "already_reacted")
        else:
            await self._once("reactions.remove", params, "no_reaction")

    # --- inside --------------------------------------------------------------------------------------------

    async def _send(self, to: ConversationRef, message: Outgoing) -> MessageRef:
        """The first part's reference: that which has the text."""
        place: dict[str, object] = {"thread_ts": message.thread or message.reply_to}
        files = message.attachments
        comment = message.text if files and len(message.text) <= BLOCK_LIMIT else ""
        number = 0
        refs: list[MessageRef] = []
        if message.text and not comment:
            refs.append(await self._parts.once(message.key, 0, lambda: self._post(to, message, place)))
            number = 1
        ids: list[MessageRef] = []
        for attachment in files:
            ids.append(await self._parts.once(message.key, number, lambda a=attachment: self._upload(a)))
            number += 1
        if files:
            named = [{"id": ref, "title": a.name} for ref, a in zip(ids, files, strict=True)]
            asked = {**place, "files": json.dumps(named), "initial_comment": comment or None}
            refs.append(await self._parts.once(message.key, number, lambda: self._share(to, asked)))
        return refs[0]

    async def _post(self, to: ConversationRef, message: Outgoing, place: dict[str, object]) -> MessageRef:
        told = await self._api.call("chat.postMessage", {**place, **await said(message)}, channel=to)
        return MessageRef(str(told.get("ts", "")))

    async def _upload(self, attachment: Attachment) -> MessageRef:
        content = await self._ctx.files.open(attachment)
        return MessageRef(await self._api.upload(attachment.name, content))

    async def _share(self, to: ConversationRef, asked: dict[str, object]) -> MessageRef:
        """The message that the files stand in; "" when Slack takes its time to say."""
        told = await self._api.call("files.completeUploadExternal", {**asked, "channel_id": to})
        files: Any = told.get("files")
        try:
            for pause_s in _LOOKS_S:
                await self._ctx.clock.sleep(pause_s)
                if ts := await shared_as(self._api, str(files[0]["id"]), to):
                    return MessageRef(ts)
        except (PlatformRefused, PlatformUnavailable, Unanswered, LookupError, TypeError):
            pass  # it is out: that it cannot be changed later is no reason to send it again
        return MessageRef("")

    async def _once(self, method: str, params: Mapping[str, object], *fine: str) -> None:
        with repeatable():
            await self._fate.decided_by(self._api.call(method, params, fine=frozenset(fine)))


def sections_of(message: Outgoing) -> list[str]:
    """A message that is longer than a block, by what each of its blocks has; none for one that is text alone.

    Slack would cut a text this long into several messages, of which only the first could be changed.
    """
    if not BLOCK_LIMIT < len(message.text) <= _BLOCKS_LIMIT:
        return []
    parts = split(message.markdown, Format.SLACK, Unit.CHARACTERS, BLOCK_LIMIT)
    texts = [render(part, Format.SLACK) for part in parts]
    # What cannot be cut, such as a link of that length, fits into no block.
    return texts if all(0 < len(text) <= BLOCK_LIMIT for text in texts) else []


async def said(message: Outgoing) -> dict[str, object]:
    """Beside blocks the text is for notifications only. Without the empty list, old blocks would stay."""
    sections = await asyncio.to_thread(sections_of, message)
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in sections]
    return {"text": sections[0] if sections else message.text, "blocks": json.dumps(blocks)}
