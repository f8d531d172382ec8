"""Facts: what a platform said, in its words. Connectors emit them; the core makes events of them."""

from dataclasses import dataclass

from chamade_mcp.model.ids import CallId, ConversationRef, MessageRef, ParticipantRef, RoomRef
from chamade_mcp.model.messages import Attachment, Sender


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A direct message came in. `ref` makes a repeated delivery harmless."""

    conversation: ConversationRef
    ref: MessageRef
    sender: Sender
    text: str
    attachments: tuple[Attachment, ...] = ()


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


Fact = (
    MessageReceived
    | ChatPosted
    | ParticipantJoined
    | ParticipantLeft
    | DigitPressed
    | CallInvited
    | CallerGaveUp
)
