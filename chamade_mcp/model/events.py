"""Events: what agents are told, past tense, with our ids (CONTRACT section 7.6).

An event is stored once in its account's log under a sequence number that only grows; that number is the
cursor of every live stream. `payload` is what goes out as JSON, complete with ``type`` and ``timestamp``.
"""

from enum import StrEnum
from typing import Any, NamedTuple, NewType

from chamade_mcp.model.ids import AccountId, AgentId

Cursor = NewType("Cursor", int)
START = Cursor(0)
"""Before the first event."""


class EventType(StrEnum):
    DM_CHAT = "dm_chat"
    DM_DELIVERED = "dm_delivered"
    """What had to wait is out."""
    DM_FAILED = "dm_failed"
    """What had to wait will not go out, or may or may not have."""
    DM_ANSWERED = "dm_answered"
    """The account's owner has written there by hand: the agent need not."""
    DM_READ = "dm_read"
    DM_EDITED = "dm_edited"
    DM_DELETED = "dm_deleted"
    DM_REACTION = "dm_reaction"
    CALL_INVITE = "call_invite"
    CALL_STATE = "call_state"
    CALL_CHAT = "call_chat"
    CALL_TRANSCRIPT = "call_transcript"
    CALL_DTMF = "call_dtmf"
    CALL_ERROR = "call_error"
    WEBHOOK_DISABLED = "webhook_disabled"
    RECORDING_STARTED = "recording_started"
    RECORDING_STOPPED = "recording_stopped"
    CONNECTION_STATE = "connection_state"


class Event(NamedTuple):
    """Something that happened for one agent of one account."""

    account: AccountId
    agent: AgentId
    type: EventType
    payload: dict[str, Any]


class Envelope(NamedTuple):
    """An event at its place in the account's log."""

    cursor: Cursor
    event: Event
