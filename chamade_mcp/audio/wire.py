"""The JSON side of the call WebSocket: what agents send, parsed; what they are told, built. No I/O.

Whatever comes in, `parse` gives a message or raises `WireError`, and nothing else. A `WireError` is told to
the agent as a `call_error` message; the socket stays open. Binary frames are PCM and never come here.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn, TypeAlias, cast

from chamade_mcp.audio.agent import Receive
from chamade_mcp.model.audio import MAX_RATE_HZ, MIN_RATE_HZ
from chamade_mcp.model.limits import MAX_ATTACHMENTS, MAX_NAME, MAX_TEXT

_MAX_DEPTH = 8
"""Of an attachment entry. Deeper ones would only make trouble further in."""

_MOST_DIGITS = 64
_DIGITS = re.compile(rf"[0-9*#A-Da-d]{{1,{_MOST_DIGITS}}}")

Wire: TypeAlias = dict[str, object]


class WireCode(StrEnum):
    INVALID_JSON = "INVALID_JSON"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    INVALID_FIELD = "INVALID_FIELD"
    INVALID_BASE64 = "INVALID_BASE64"
    ODD_BYTE_COUNT = "ODD_BYTE_COUNT"
    UNSUPPORTED_RATE = "UNSUPPORTED_RATE"


class WireError(Exception):
    """A message that makes no sense. `message` says what is wrong, in words a model can act on."""

    def __init__(self, code: WireCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def to_wire(self) -> Wire:
        return call_error(self.message, self.code)


@dataclass(frozen=True, slots=True)
class Say:
    text: str


@dataclass(frozen=True, slots=True)
class SendChat:
    text: str
    """Empty only beside attachments."""
    sender_name: str = ""
    attachments: tuple[Mapping[str, object], ...] = ()
    """As sent; section 5.4 of the contract says what the entries may be."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    pcm: bytes
    """s16le mono, whole samples."""
    rate_hz: int | None
    """None: the rate the agent has declared."""


@dataclass(frozen=True, slots=True)
class AudioConfigQuery:
    """Asks for the settings in force."""


@dataclass(frozen=True, slots=True)
class AudioConfigDeclare:
    """Changes what is given."""

    rate_hz: int | None = None
    receive: Receive | None = None
    speech_events: bool | None = None
    barge_in: bool | None = None


@dataclass(frozen=True, slots=True)
class AudioStatusQuery:
    """Asks what waits, and what became of the rest."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Drops what this socket has said and nobody has heard yet."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Asks to be told when all that was said before has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """Presses keys of a telephone."""

    digits: str
    """Of ``0-9 * # A-D``."""


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    pass


@dataclass(frozen=True, slots=True)
class Transcript:
    """A line from an agent that does its own speech recognition."""

    speaker: str
    text: str


ClientMessage: TypeAlias = (
    Say
    | SendChat
    | AudioChunk
    | AudioConfigQuery
    | AudioConfigDeclare
    | AudioStatusQuery
    | Clear
    | Mark
    | Dtmf
    | StopSpeaking
    | Transcript
)


def parse(frame: str | bytes) -> ClientMessage:
    """One text frame. Unknown fields are ignored; raises `WireError`."""
    fields = _load(frame)
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise WireError(WireCode.INVALID_FIELD, "type must be a string")
    parser = _PARSERS.get(kind)
    if parser is None:
        raise WireError(WireCode.UNKNOWN_TYPE, f"unknown type; known are {', '.join(sorted(_PARSERS))}")
    return parser(fields)


def pcm_bytes(data: bytes) -> bytes:
    """A binary frame; raises `WireError` on half a sample."""
    if len(data) % 2:
        raise WireError(WireCode.ODD_BYTE_COUNT, f"PCM s16le has two bytes per sample, got {len(data)} bytes")
    return data


def _load(frame: str | bytes) -> dict[str, Any]:
    try:
        document: object = json.loads(frame, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):  # ValueError: also bad UTF-8 and integers of thousands of digits
        raise WireError(WireCode.INVALID_JSON, "a text frame must be valid JSON") from None
    if not isinstance(document, dict):
        raise WireError(WireCode.INVALID_JSON, "a text frame must be a JSON object")
    return cast(dict[str, Any], document)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _say(fields: dict[str, Any]) -> Say:
    return Say(_text(fields, "text", MAX_TEXT))


def _send_chat(fields: dict[str, Any]) -> SendChat:
    attachments = _attachments(fields.get("attachments"))
    return SendChat(
        text=_text(fields, "text", MAX_TEXT, optional=bool(attachments)),
        sender_name=_text(fields, "sender_name", MAX_NAME, optional=True),
        attachments=attachments,
    )


def _audio(fields: dict[str, Any]) -> AudioChunk:
    encoded = fields.get("audio")
    if not isinstance(encoded, str):
        raise WireError(WireCode.INVALID_FIELD, "audio must be a string of base64")
    try:
        pcm = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters outside ASCII
        raise WireError(WireCode.INVALID_BASE64, "audio is not valid base64") from None
    return AudioChunk(pcm_bytes(pcm), _rate(fields))


def _audio_config(fields: dict[str, Any]) -> AudioConfigQuery | AudioConfigDeclare:
    rate_hz = _rate(fields)
    receive = fields.get("receive")
    if receive is not None and not isinstance(receive, bool) and receive != "participants":
        raise WireError(WireCode.INVALID_FIELD, 'receive must be true, false or "participants"')
    declared = AudioConfigDeclare(rate_hz, receive, _flag(fields, "speech_events"), _flag(fields, "barge_in"))
    return AudioConfigQuery() if declared == AudioConfigDeclare() else declared


def _mark(fields: dict[str, Any]) -> Mark:
    return Mark(_text(fields, "name", MAX_NAME))


def _dtmf(fields: dict[str, Any]) -> Dtmf:
    digits = fields.get("digits")
    if not isinstance(digits, str) or _DIGITS.fullmatch(digits) is None:
        raise WireError(WireCode.INVALID_FIELD, f"digits must be 1-{_MOST_DIGITS} of 0-9, *, #, A-D")
    return Dtmf(digits.upper())


def _stop_speaking(_: dict[str, Any]) -> StopSpeaking:
    return StopSpeaking()


def _transcript(fields: dict[str, Any]) -> Transcript:
    return Transcript(_text(fields, "speaker", MAX_NAME), _text(fields, "text", MAX_TEXT))


_PARSERS: dict[str, Callable[[dict[str, Any]], ClientMessage]] = {
    "say": _say,
    "send_chat": _send_chat,
    "audio": _audio,
    "audio_config": _audio_config,
    "audio_status": lambda _: AudioStatusQuery(),
    "clear": lambda _: Clear(),
    "dtmf": _dtmf,
    "mark": _mark,
    "stop_speaking": _stop_speaking,
    "transcript": _transcript,
}


def _text(fields: dict[str, Any], name: str, longest: int, *, optional: bool = False) -> str:
    value = fields.get(name)
    if value is None and optional:
        return ""
    if not isinstance(value, str):
        raise WireError(WireCode.INVALID_FIELD, f"{name} must be a string")
    shortest = 0 if optional else 1
    if not shortest <= len(value) <= longest:
        raise WireError(WireCode.INVALID_FIELD, f"{name} must have {shortest}-{longest:,} characters")
    _check_unicode(value, name)
    return value


def _flag(fields: dict[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise WireError(WireCode.INVALID_FIELD, f"{name} must be true or false")
    return value


def _rate(fields: dict[str, Any]) -> int | None:
    rate_hz = fields.get("sample_rate")
    if rate_hz is None:
        return None
    if not isinstance(rate_hz, int) or isinstance(rate_hz, bool):
        raise WireError(WireCode.INVALID_FIELD, "sample_rate must be an integer")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise WireError(WireCode.UNSUPPORTED_RATE, f"sample_rate must be {MIN_RATE_HZ}-{MAX_RATE_HZ}")
    return rate_hz


def _attachments(value: object) -> tuple[Mapping[str, object], ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise WireError(WireCode.INVALID_FIELD, "attachments must be a list")
    entries = cast(list[object], value)
    if len(entries) > MAX_ATTACHMENTS:
        raise WireError(WireCode.INVALID_FIELD, f"attachments may have at most {MAX_ATTACHMENTS} entries")
    checked: list[Mapping[str, object]] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise WireError(WireCode.INVALID_FIELD, f"attachments.{index} must be an object")
        _check_tree(cast(object, entry), f"attachments.{index}", _MAX_DEPTH)
        checked.append(cast(dict[str, object], entry))
    return tuple(checked)


def _check_tree(value: object, name: str, depth: int) -> None:
    if depth == 0:
        raise WireError(WireCode.INVALID_FIELD, f"{name} is nested too deeply")
    if isinstance(value, str):
        _check_unicode(value, name)
    elif isinstance(value, dict):
        for key, child in cast(dict[str, object], value).items():
            _check_unicode(key, name)
            _check_tree(child, name, depth - 1)
    elif isinstance(value, list):
        for child in cast(list[object], value):
            _check_tree(child, name, depth - 1)


def _check_unicode(value: str, name: str) -> None:
    """JSON can name half of a surrogate pair, which no encoding can carry further."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WireError(WireCode.INVALID_FIELD, f"{name} has a lone surrogate") from None


def encode(message: Wire) -> str:
    """The text frame of a message."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def call_error(message: str, code: str | None = None) -> Wire:
    wire: Wire = {"type": "call_error", "message": message}
    if code is not None:
        wire["code"] = str(code)
    return wire
