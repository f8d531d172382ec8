"""Events in the words of MCP: channel messages as Claude Code shows them, and updates of resources."""

from typing import Final

from chamade_mcp.kit.compact import compact
from chamade_mcp.model.events import Cursor, Envelope, EventType
from chamade_mcp.sessions import jsonrpc
from chamade_mcp.sessions.protocol import CHANNEL, CHANNEL_PERMISSION
from chamade_mcp.sessions.surface import JsonObject

_ATTRIBUTES: Final = ("type", "platform", "conversation_id", "call_id", "message_id")
"""Plain identifiers: clients drop other keys, and refuse values that are no strings."""
_WHO: Final = {
    EventType.DM_CHAT: "sender",
    EventType.DM_ANSWERED: "sender",
    EventType.DM_EDITED: "sender",
    EventType.DM_REACTION: "sender",
    EventType.CALL_CHAT: "sender",
    EventType.CALL_TRANSCRIPT: "speaker",
    EventType.CALL_DTMF: "sender",
    EventType.CALL_INVITE: "caller",
}
"""Events with people's own words, and where these say whose they are."""


def channel_message(envelope: Envelope) -> bytes:
    """The notification for one event; `content` is the event as JSON."""
    payload = envelope.event.payload
    meta = {name: str(payload[name]) for name in _ATTRIBUTES if payload.get(name)}
    who = _WHO.get(envelope.event.type)
    if who is not None:
        if payload.get(who):
            meta["sender"] = str(payload[who])
        meta["trust"] = "untrusted"
    params: JsonObject = {"content": compact(payload).decode(), "meta": meta}
    return jsonrpc.notification(CHANNEL, params)


def missed_message(oldest: Cursor) -> bytes:
    """Told to one who was away for longer than events are kept."""
    told = {
        "type": "reset",
        "oldest": oldest,
        "detail": "You were away for longer than events are kept: look at chamade_inbox",
    }
    params: JsonObject = {"content": compact(told).decode(), "meta": {"type": "reset"}}
    return jsonrpc.notification(CHANNEL, params)


def verdict_message(request_id: str, *, allow: bool) -> bytes:
    params: JsonObject = {"request_id": request_id, "behavior": "allow" if allow else "deny"}
    return jsonrpc.notification(CHANNEL_PERMISSION, params)
