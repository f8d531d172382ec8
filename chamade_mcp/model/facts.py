"""Facts: what a platform said, in its words. Connectors emit them; the core makes events of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from chamade_mcp.model.ids import CallId, ConversationRef, MessageRef, ParticipantRef, RoomRef, ThreadRef
from chamade_mcp.model.messages import Attachment, DeliveryState, Sender


class MessageReceived(NamedTuple):
    """A message came in. `ref` makes a repeated delivery harmless."""

    conversation: ConversationRef
    ref: MessageRef
    sender: Sender
    text: str
    attachments: tuple[Attachment, ...] = ()
    reply_to: MessageRef | None = None
    """The message it quotes, the agent's or anybody's."""
    thread: ThreadRef | None = None
    group: str | None = None
    """The name of the group or channel it was said in, "" for one without; None: said to the agent alone."""
    mentions_me: bool = False
    """The agent was called by name."""
    sent_at: datetime | None = None
    """When the person wrote it, by the platform's clock; aware."""


@dataclass(frozen=True, slots=True)
class MessageEdited:
    """A person changed what they wrote. `text` is all of it as it is now."""

    conversation: ConversationRef
    ref: MessageRef
    text: str


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """A message is gone from the platform: a person's, or one of the agent's that somebody removed."""

    conversation: ConversationRef
    ref: MessageRef


class Reacting(StrEnum):
    """How the emoji of a `ReactionChanged` relate to those that person had put there before."""

    ADDED = "added"
    REMOVED = "removed"
    REPLACED = "replaced"
    """They are all there are now; none: all are gone."""


@dataclass(frozen=True, slots=True)
class ReactionChanged:
    """A person put emoji on a message, or took them away. Saying it twice is harmless."""

    conversation: ConversationRef
    ref: MessageRef
    sender: Sender
    how: Reacting
    emoji: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeliveryChanged:
    """The platform tells later what became of a message of the agent's: in any order, and more than once."""

    conversation: ConversationRef
    ref: str
    """The platform's id of it; or its `Outgoing.key`, where the platform has none."""
    state: DeliveryState
    detail: str = ""
    """Why it failed, in the platform's words."""
    window_closed: bool = False
    """It failed because the person has to write again first, as `kit.connector.WindowClosed` says at once."""
    key: str = ""
    """The `Outgoing.key`, where the platform gives that back beside an id of its own: what it tells may come
    before its answer to the sending, and that may be lost."""


MessageFact = MessageReceived | MessageEdited | MessageDeleted | ReactionChanged | DeliveryChanged
"""Facts of a conversation. One about a message that the gateway does not know changes nothing."""


@dataclass(frozen=True, slots=True)
class ChatPosted:
    """Somebody wrote in the chat of a room the agent is in."""

    call: CallId
    ref: MessageRef
    sender: Sender
    text: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """Said again for somebody who is there already, it is their new name."""

    call: CallId
    participant: ParticipantRef
    name: str


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    call: CallId
    participant: ParticipantRef


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """Somebody in the call pressed a key of a telephone (DTMF)."""

    call: CallId
    participant: ParticipantRef
    digit: str
    """One of ``0-9 * # A-D``."""


@dataclass(frozen=True, slots=True)
class CallInvited:
    """Somebody rings. `room` is what `Calls.join` takes once the agent has accepted."""

    room: RoomRef
    caller: Sender
    meeting_url: str
    agent_name: str = "AI Agent"
    auto_answer: bool = False


@dataclass(frozen=True, slots=True)
class CallerGaveUp:
    """The person who rang hung up before anybody answered."""

    room: RoomRef


CallFact = ChatPosted | ParticipantJoined | ParticipantLeft | DigitPressed | CallInvited | CallerGaveUp
Fact = MessageFact | CallFact
