"""What pages say: text frames to dataclasses. Pure; only `Refused` escapes `parse`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from chamade_mcp.connectors.web.text import clean_name, clean_text, is_emoji, is_plain
from chamade_mcp.connectors.web.wire import ErrorCode, Refused
from chamade_mcp.model.limits import MAX_ATTACHMENTS, MAX_TEXT

KEY_CHARS: Final = 64
ID_CHARS: Final = 200
SECRET_CHARS: Final = 200
MAX_RECEIPTS: Final = 200
_PING_MAX: Final = 2.0**53


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
    reply_to: str | None = None
    """The id of the message it quotes."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One's own message says `text` from now on. `key` is what `ack` and errors name."""

    key: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Delete:
    key: str
    id: str


@dataclass(frozen=True, slots=True)
class React:
    key: str
    id: str
    emoji: str
    on: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """The page shows these messages of the agent, or the person has them before their eyes."""

    ids: tuple[str, ...]
    read: bool


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


Change: TypeAlias = Edit | Delete | React
FromPerson: TypeAlias = Hello | Say | Change | Receipt | Typing | Mute | Rename | Ping | RingAgent | HangUp


def parse(text: str) -> FromPerson:
    """One text frame. Raises `Refused`, never anything else, whatever came."""
    fields = _object(text)
    type_ = fields.get("type")
    read = _READ.get(type_) if isinstance(type_, str) else None
    if read is None:
        raise _invalid(f"'type' must be one of {', '.join(_READ)}")
    return read(fields)


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


def _key(fields: Mapping[str, object]) -> str:
    key = fields.get("key")
    if not isinstance(key, str) or not is_plain(key, KEY_CHARS):
        raise _invalid(f"'key' must be a string of 1-{KEY_CHARS} characters")
    return key


def _id(fields: Mapping[str, object], name: str = "id") -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not is_plain(value, ID_CHARS):
        raise _invalid(f"'{name}' must be the id of a message", _key(fields))
    return value


def _text(fields: Mapping[str, object], key: str) -> str:
    raw = fields.get("text", "")
    if not isinstance(raw, str):
        raise _invalid("'text' must be a string", key)
    if len(raw) > MAX_TEXT:
        raise Refused(ErrorCode.TEXT_TOO_LONG, f"A message holds {MAX_TEXT} characters at most", key)
    return clean_text(raw)


def _strings(fields: Mapping[str, object], name: str, most: int, key: str | None = None) -> tuple[str, ...]:
    listed = fields.get(name, [])
    if not isinstance(listed, list):
        raise _invalid(f"'{name}' must be a list of ids", key)
    found: list[str] = []
    for item in cast(list[object], listed):
        if not isinstance(item, str):
            raise _invalid(f"'{name}' must be a list of ids", key)
        found.append(item)
    if len(found) > most:
        raise _invalid(f"'{name}' holds {most} ids at most", key)
    return tuple(found)


def _say(fields: Mapping[str, object]) -> Say:
    key = _key(fields)
    text = _text(fields, key)
    file_ids = _strings(fields, "attachments", MAX_ATTACHMENTS, key)
    if not text.strip() and not file_ids:
        raise _invalid("Text or an attachment is needed", key)
    reply_to = None if fields.get("reply_to") is None else _id(fields, "reply_to")
    return Say(key, text, file_ids, reply_to)


def _react(fields: Mapping[str, object]) -> React:
    key, emoji = _key(fields), _string(fields, "emoji", "")
    if not is_emoji(emoji):
        raise _invalid("'emoji' must be one emoji", key)
    return React(key, _id(fields), emoji, _flag(fields, "on"))


def _receipt(fields: Mapping[str, object]) -> Receipt:
    state = fields.get("state")
    if state not in ("delivered", "read"):
        raise _invalid("'state' must be delivered or read")
    return Receipt(_strings(fields, "ids", MAX_RECEIPTS), state == "read")


def _hello(fields: Mapping[str, object]) -> Hello:
    return Hello(clean_name(_string(fields, "name", "")), _secret(fields), _flag(fields, "muted", False))


def _edit(fields: Mapping[str, object]) -> Edit:
    key = _key(fields)
    return Edit(key, _id(fields), _text(fields, key))


_READ: Final[Mapping[str, Callable[[Mapping[str, object]], FromPerson]]] = {
    "hello": _hello,
    "chat": _say,
    "edit": _edit,
    "delete": lambda fields: Delete(_key(fields), _id(fields)),
    "react": _react,
    "receipt": _receipt,
    "typing": lambda _: Typing(),
    "mute": lambda fields: Mute(_flag(fields, "muted")),
    "rename": lambda fields: Rename(clean_name(_string(fields, "name"))),
    "ping": lambda fields: Ping(_number(fields, "t")),
    "call": lambda _: RingAgent(),
    "hang_up": lambda _: HangUp(),
}
