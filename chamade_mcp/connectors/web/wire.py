"""The page's messages: text frames to dataclasses and back. Pure; only `Refused` escapes `parse`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, cast

from chamade_mcp.audio.frame import FRAME_MS
from chamade_mcp.connectors.web.text import clean_name, clean_text, is_plain
from chamade_mcp.model.limits import MAX_ATTACHMENTS, MAX_TEXT
from chamade_mcp.model.messages import Attachment

SAMPLE_RATE_HZ = 48_000
KEY_CHARS = 64
SECRET_CHARS = 200
_PING_MAX = 2.0**53


class ErrorCode(StrEnum):
    INVALID_MESSAGE = "INVALID_MESSAGE"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    UNKNOWN_FILE = "UNKNOWN_FILE"
    RATE_LIMITED = "RATE_LIMITED"
    STORE_FAILED = "STORE_FAILED"


class ClosedReason(StrEnum):
    REVOKED = "revoked"
    EXPIRED = "expired"
    REPLACED = "replaced"
    FULL = "full"
    SHUTDOWN = "shutdown"


class CallingState(StrEnum):
    RINGING = "ringing"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    MISSED = "missed"


class Kind(StrEnum):
    PERSON = "person"
    AGENT = "agent"


class Refused(Exception):
    """A person's message that is not accepted; the socket stays open. `key` names the chat message."""

    def __init__(self, code: ErrorCode, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.key = key


@dataclass(frozen=True, slots=True)
class Hello:
    name: str
    guest: str | None
    """The secret of an earlier `welcome`, not yet checked."""
    muted: bool


@dataclass(frozen=True, slots=True)
class Say:
    key: str
    text: str
    file_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Typing:
    pass


@dataclass(frozen=True, slots=True)
class Mute:
    muted: bool


@dataclass(frozen=True, slots=True)
class Rename:
    name: str


@dataclass(frozen=True, slots=True)
class Ping:
    t: float


@dataclass(frozen=True, slots=True)
class RingAgent:
    pass


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


FromPerson: TypeAlias = Hello | Say | Typing | Mute | Rename | Ping | RingAgent | HangUp


def parse(text: str) -> FromPerson:
    """One text frame. Raises `Refused`, never anything else, whatever came."""
    fields = _object(text)
    match fields.get("type"):
        case "hello":
            return Hello(
                clean_name(_string(fields, "name", "")), _secret(fields), _flag(fields, "muted", False)
            )
        case "chat":
            return _say(fields)
        case "typing":
            return Typing()
        case "mute":
            return Mute(_flag(fields, "muted"))
        case "rename":
            return Rename(clean_name(_string(fields, "name")))
        case "ping":
            return Ping(_number(fields, "t"))
        case "call":
            return RingAgent()
        case "hang_up":
            return HangUp()
        case _:
            raise _invalid("'type' must be one of hello, chat, typing, mute, rename, ping, call, hang_up")


def _invalid(message: str, key: str | None = None) -> Refused:
    return Refused(ErrorCode.INVALID_MESSAGE, message, key)


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _object(text: str) -> Mapping[str, object]:
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # ValueError also covers numbers of absurd length
        raise _invalid("The frame is not JSON") from None
    if not isinstance(value, dict):
        raise _invalid("The frame must be a JSON object with a 'type'")
    return cast(dict[str, object], value)


def _string(fields: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise _invalid(f"'{name}' must be a string")
    return value


def _flag(fields: Mapping[str, object], name: str, default: bool | None = None) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise _invalid(f"'{name}' must be true or false")
    return value


def _number(fields: Mapping[str, object], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_PING_MAX <= value <= _PING_MAX:
        raise _invalid(f"'{name}' must be a number")
    return value


def _secret(fields: Mapping[str, object]) -> str | None:
    value = fields.get("guest")
    if value is not None and not isinstance(value, str):
        raise _invalid("'guest' must be a string or null")
    return value if value is not None and is_plain(value, SECRET_CHARS) else None


def _say(fields: Mapping[str, object]) -> Say:
    key = fields.get("key")
    if not isinstance(key, str) or not is_plain(key, KEY_CHARS):
        raise _invalid(f"'key' must be a string of 1-{KEY_CHARS} characters")
    raw = fields.get("text", "")
    if not isinstance(raw, str):
        raise _invalid("'text' must be a string", key)
    if len(raw) > MAX_TEXT:
        raise Refused(ErrorCode.TEXT_TOO_LONG, f"A message holds {MAX_TEXT} characters at most", key)
    listed = fields.get("attachments", [])
    if not isinstance(listed, list):
        raise _invalid("'attachments' must be a list of file ids", key)
    file_ids: list[str] = []
    for item in cast(list[object], listed):
        if not isinstance(item, str):
            raise _invalid("'attachments' must be a list of file ids", key)
        file_ids.append(item)
    if len(file_ids) > MAX_ATTACHMENTS:
        raise _invalid(f"A message carries {MAX_ATTACHMENTS} files at most", key)
    text = clean_text(raw)
    if not text.strip() and not file_ids:
        raise _invalid("Text or an attachment is needed", key)
    return Say(key, text, tuple(file_ids))


@dataclass(frozen=True, slots=True)
class Participant:
    id: str
    name: str
    kind: Kind
    muted: bool = False

    def to_wire(self) -> dict[str, object]:
        return {"id": self.id, "name": self.name, "kind": self.kind, "muted": self.muted}


@dataclass(frozen=True, slots=True)
class Post:
    """A message as pages show it. `id` is the same live and from history: pages tell doubles by it."""

    id: str
    key: str
    sender: str
    sender_id: str
    kind: Kind
    text: str
    attachments: tuple[Attachment, ...]
    at: str

    def to_wire(self) -> dict[str, object]:
        return {
            "id": self.id,
            "key": self.key,
            "sender": self.sender,
            "sender_id": self.sender_id,
            "kind": self.kind,
            "text": self.text,
            "attachments": [a.to_wire() for a in self.attachments],
            "at": self.at,
        }


def _message(type_: str, **fields: object) -> str:
    # Escaped to ASCII on purpose: agents' texts and file names may hold half characters, which no
    # encoder takes.
    return json.dumps({"type": type_, **fields}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Welcome:
    you: str
    guest: str
    kind: str
    title: str
    agent_name: str
    participants: Sequence[Participant]
    posts: Iterable[Post]
    file_bytes: int

    def message(self) -> str:
        return _message(
            "welcome",
            you=self.you,
            guest=self.guest,
            kind=self.kind,
            title=self.title,
            agent_name=self.agent_name,
            participants=[p.to_wire() for p in self.participants],
            messages=[p.to_wire() for p in self.posts],
            sample_rate=SAMPLE_RATE_HZ,
            frame_ms=FRAME_MS,
            limits={"text": MAX_TEXT, "file_bytes": self.file_bytes},
        )


def joined(participant: Participant) -> str:
    return _message("joined", participant=participant.to_wire())


def left(participant_id: str) -> str:
    return _message("left", id=participant_id)


def changed(participant: Participant) -> str:
    return _message("changed", participant=participant.to_wire())


def chat(post: Post) -> str:
    return _message("chat", message=post.to_wire())


def ack(key: str, post_id: str) -> str:
    return _message("ack", key=key, id=post_id)


def typing(participant_id: str, name: str) -> str:
    return _message("typing", id=participant_id, name=name)


def levels(of: Mapping[str, float]) -> str:
    """RMS 0-1 by participant, to two decimals."""
    return _message("levels", levels={key: round(min(level, 1.0), 2) for key, level in of.items()})


def caption(speaker: str, text: str) -> str:
    return _message("caption", speaker=speaker, text=text)


def calling(state: CallingState, room_url: str | None = None) -> str:
    return (
        _message("calling", state=state)
        if room_url is None
        else _message("calling", state=state, room_url=room_url)
    )


def pong(t: float) -> str:
    return _message("pong", t=t)


def error(refused: Refused) -> str:
    fields: dict[str, object] = {"code": refused.code, "message": refused.message}
    if refused.key is not None:
        fields["key"] = refused.key
    return _message("error", **fields)


def closed(reason: ClosedReason) -> str:
    return _message("closed", reason=reason)
