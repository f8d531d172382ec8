"""What agents are told of direct messages, as events (CONTRACT section 7.6)."""

from datetime import datetime
from typing import Any

from chamade_mcp.core import dms
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.connections import Trust
from chamade_mcp.model.events import Event, EventType


def dm_event(type: EventType, whom: Correspondent, at: datetime, **fields: object) -> Event:
    payload = {
        "type": str(type),
        "platform": whom.platform,
        "conversation_id": whom.conversation,
        **fields,
        "timestamp": iso(at),
    }
    return Event(whom.scope.account, whom.scope.agent, type, payload)


def dm_chat(whom: Correspondent, new: dms.NewMessage) -> Event:
    """A person wrote. What a platform may tell beside the words stands there only where it has."""
    payload: dict[str, Any] = {
        "type": str(EventType.DM_CHAT),
        "platform": whom.platform,
        "conversation_id": whom.conversation,
        "message_id": new.id,
        "sender": new.sender_name,
        "sender_id": new.sender_ref,
        "sender_status": new.trust,
        "from_agent": new.trust is Trust.AGENT,
        "text": new.text,
        "attachments": [a.to_wire() for a in new.attachments],
    }
    if new.reply_to:
        payload["reply_to"] = new.reply_to
    if new.thread:
        payload["thread"] = new.thread
    if new.group is not None:
        payload["group"] = True
    if new.mentions_me:
        payload["mentions_me"] = True
    if new.sent_at:
        payload["sent_at"] = iso(new.sent_at)
    payload["timestamp"] = iso(new.at)
    return Event(whom.scope.account, whom.scope.agent, EventType.DM_CHAT, payload)


def dm_answered(whom: Correspondent, new: dms.NewMessage) -> Event:
    """The owner wrote, by hand."""
    return dm_event(
        EventType.DM_ANSWERED,
        whom,
        new.at,
        message_id=new.id,
        sender=new.sender_name,
        from_owner=True,
        text=new.text,
        attachments=[a.to_wire() for a in new.attachments],
    )
