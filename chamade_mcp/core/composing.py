"""What an agent wrote as the messages it goes out as: one, or as many as the platform's limit asks for."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import Row

from chamade_mcp.core.by_hand import signed
from chamade_mcp.core.dms import OUTBOUND, NewMessage, by_hand
from chamade_mcp.core.wording import worded
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.markdown.split import split
from chamade_mcp.model.errors import Action, FieldError, Outcome, PlatformRefused
from chamade_mcp.model.ids import MessageId, MessageRef, ThreadRef
from chamade_mcp.model.messages import Attachment, DeliveryState, Outgoing


class HowToSend(TypedDict, total=False):
    """What may be said of a message beside its text."""

    keep_typing: bool
    attachments: Sequence[Mapping[str, Any]]
    conversation_id: str | None
    """The most recently active one of the platform, when absent."""
    message_id: str | None
    """The one it must bear; the same twice is sent once."""
    reply_to: str | None
    """The id of a message: it is quoted, and names the conversation and the thread, too."""
    thread: str | None
    split: bool
    """What is too long for the platform goes out as several messages."""


async def texts_of(manifest: Manifest, markdown: str) -> list[str]:
    """What each message says where it may be several, in the agent's Markdown."""
    if manifest.text_limit is None:
        return [markdown]
    # A second and more, for text made to be hard: others are served meanwhile.
    return await asyncio.to_thread(split, markdown, manifest.format, manifest.text_unit, manifest.text_limit)


def compose(
    manifest: Manifest,
    texts: Sequence[str],
    key: str,
    *,
    attachments: tuple[Attachment, ...],
    reply_to: MessageRef | None,
    thread: ThreadRef | None,
    sender_name: str = "",
) -> list[Outgoing]:
    """With a `sender_name` the owner says it, not the agent. Attachments and what is quoted go with the first
    one, which bears `key`; the others' are made of it, so that the same again is the same.

    Raises what `worded` raises.
    """
    parts = [outgoing(manifest, key, texts[0], sender_name, attachments, reply_to, thread)]
    for number, text in enumerate(texts[1:], 2):
        parts.append(outgoing(manifest, f"{key}_{number}", text, sender_name, thread=thread))
    return parts


def part_before(key: str) -> str | None:
    """The key of the part before the one that bears `key`; None for a first one, and for a whole message."""
    first, _, number = key.rpartition("_")
    if "_" not in first or not number.isdecimal():  # ids have one of their own
        return None
    return first if number == "2" else f"{first}_{int(number) - 1}"


def outgoing(
    manifest: Manifest,
    key: str,
    markdown: str,
    sender_name: str = "",
    attachments: tuple[Attachment, ...] = (),
    reply_to: MessageRef | None = None,
    thread: ThreadRef | None = None,
) -> Outgoing:
    """A message as a platform takes it. Raises what `worded` raises."""
    shown = signed(manifest, markdown, sender_name)
    own = by_hand(OUTBOUND, sender_name)
    said = worded(manifest, shown)
    return Outgoing(key, said, sender_name, attachments, shown, reply_to, thread, own)


def incomplete(platform: str, keys: Sequence[str], sent: int) -> PlatformRefused:
    """The first `sent` parts are out, and the others will not be."""
    missing = ", ".join(keys[sent:])
    return PlatformRefused(
        f"Sent {sent} of {len(keys)} parts: send the others again by their ids",
        code="SEND_INCOMPLETE",
        action=Action.WAIT,
        platform=platform,
        outcome=Outcome.UNKNOWN,
        errors=[FieldError("text", f"not sent: {missing}")],
    )


def to_be_stored(outgoing: Outgoing, markdown: str, at: datetime, quoted: Row[Any] | None) -> NewMessage:
    """As the conversation keeps it: what the agent wrote."""
    return NewMessage(
        id=MessageId(outgoing.key),
        direction=OUTBOUND,
        ref=outgoing.key,
        sender_name=outgoing.sender_name,
        text=markdown,
        attachments=outgoing.attachments,
        status=str(DeliveryState.PENDING),
        at=at,
        reply_to=None if quoted is None else quoted.id,
        thread=outgoing.thread,
    )
