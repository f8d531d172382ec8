"""Identifiers. Ours carry a prefix and chance enough; a platform's own end in ``Ref`` and are opaque."""

import os
import secrets
from collections import deque
from datetime import datetime
from functools import lru_cache
from itertools import product
from typing import Final, NewType

AccountId = NewType("AccountId", str)
AgentId = NewType("AgentId", str)
KeyId = NewType("KeyId", str)
CallId = NewType("CallId", str)
ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
FileId = NewType("FileId", str)
LinkId = NewType("LinkId", str)
GrantId = NewType("GrantId", str)
WebhookId = NewType("WebhookId", str)
WebhookDeliveryId = NewType("WebhookDeliveryId", str)
RecordingId = NewType("RecordingId", str)
TrackId = NewType("TrackId", str)
PairingId = NewType("PairingId", str)
ConnectionId = NewType("ConnectionId", str)

COMMON = ConnectionId("")
"""The one link that a platform has for everybody: an embedded platform's, or that of the shared bot."""

Platform = NewType("Platform", str)
"""A connector's name, as in ``manifest.toml``: the name of its folder."""

RoomRef = NewType("RoomRef", str)
ParticipantRef = NewType("ParticipantRef", str)
ConversationRef = NewType("ConversationRef", str)
MessageRef = NewType("MessageRef", str)
ThreadRef = NewType("ThreadRef", str)

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # no 0/o, 1/i/l: ids are read aloud and typed
_LENGTH: Final = 20
_DRAWN: Final = bytes(ord(_ALPHABET[byte % len(_ALPHABET)]) for byte in range(256))
_UNEVEN: Final = bytes(range(256 - 256 % len(_ALPHABET), 256))
"""Bytes that are left out, so that each letter is as likely as the others."""
_AT_ONCE: Final = 4096

_random: Final = deque[str]()
"""Asking the system takes as long as all the rest of an id, and longer where threads wait for each other."""
os.register_at_fork(after_in_child=_random.clear)

_IN_ORDER: Final = tuple(a + b for a, b in product(sorted(_ALPHABET), repeat=2))
"""Pairs of letters, as text is sorted."""
_PER_S: Final = 100


def _letters() -> str:
    """Twenty letters by chance: 99 bits."""
    while True:
        try:
            return _random.popleft()  # atomic, and so is `extend`: any thread may make ids
        except IndexError:
            drawn = secrets.token_bytes(_AT_ONCE).translate(_DRAWN, _UNEVEN).decode()
            _random.extend(drawn[at : at + _LENGTH] for at in range(0, len(drawn) - _LENGTH + 1, _LENGTH))


def new_id(prefix: str) -> str:
    """A fresh id such as ``call_k3n...``: the prefix, an underscore, 20 characters (99 bits)."""
    return f"{prefix}_{_letters()}"


def new_account_id() -> AccountId:
    return AccountId(new_id("acct"))


def new_agent_id() -> AgentId:
    return AgentId(new_id("agent"))


def new_call_id() -> CallId:
    return CallId(new_id("call"))


def new_conversation_id() -> ConversationId:
    return ConversationId(new_id("conv"))


def new_message_id(at: datetime) -> MessageId:
    """Begins with the moment, to 10 ms, and ends with 12 letters (59 bits): messages that are made together
    stand together in an index, where each would be a page to write otherwise."""
    return MessageId(_moment(int(at.timestamp() * _PER_S)) + _letters()[8:])


@lru_cache(maxsize=1)
def _moment(number: int) -> str:
    rest, last = divmod(number, len(_IN_ORDER))
    rest, third = divmod(rest, len(_IN_ORDER))
    first, second = divmod(rest, len(_IN_ORDER))
    return f"msg_{_IN_ORDER[first % len(_IN_ORDER)]}{_IN_ORDER[second]}{_IN_ORDER[third]}{_IN_ORDER[last]}"


def new_file_id() -> FileId:
    return FileId(new_id("f"))


def new_link_id() -> LinkId:
    return LinkId(new_id("link"))


def new_grant_id() -> GrantId:
    return GrantId(new_id("grant"))


def new_webhook_id() -> WebhookId:
    return WebhookId(new_id("whk"))


def new_webhook_delivery_id() -> WebhookDeliveryId:
    return WebhookDeliveryId(new_id("whd"))


def new_recording_id() -> RecordingId:
    return RecordingId(new_id("rec"))


def new_track_id() -> TrackId:
    return TrackId(new_id("trk"))


def new_connection_id() -> ConnectionId:
    return ConnectionId(new_id("conn"))


def new_pairing_id() -> PairingId:
    return PairingId(new_id("pair"))
