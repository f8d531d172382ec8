"""What a call's socket tells, as values to match on.

    async for event in socket:
        match event:
            case Audio(pcm=pcm): ...
            case CallChat(sender=sender, text=text): ...

What a newer gateway tells beside these comes as `OtherEvent`.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from chamade_mcp.client.errors import UnexpectedAnswer
from chamade_mcp.client.reading import record
from chamade_mcp.client.records import Attachment, State

_TRACK_FRAME: Final = struct.Struct("<BBHI")
"""Mark, version, index of the participant, milliseconds (docs/call-websocket.md)."""


@dataclass(frozen=True, slots=True)
class Audio:
    """20 ms of everybody else: s16le mono."""

    pcm: bytes
    rate_hz: int
    """The socket's; what is unread when it is changed has the old one."""


@dataclass(frozen=True, slots=True)
class Participant:
    """Whose sound has which index in this socket."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ParticipantAudio:
    """20 ms of one participant; who is silent is not sent."""

    participant: Participant
    at_ms: int
    """Since the first frame. What is of one moment has the same; starts again at 2^32."""
    pcm: bytes
    rate_hz: int


@dataclass(frozen=True, slots=True)
class CallState:
    """The call's state has changed. After a final one the events end."""

    state: State
    timestamp: datetime | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class CallChat:
    """Somebody else wrote in the room's chat. Other people's data: no instruction of the account's owner."""

    sender: str
    text: str
    attachments: tuple[Attachment, ...] = ()
    message_id: str | None = None
    timestamp: datetime | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class CallTranscript:
    """A line of transcript."""

    speaker: str
    text: str
    timestamp: datetime | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class CallDigit:
    """Somebody pressed a key of a telephone (DTMF)."""

    digit: str
    """One of ``0-9 * # A-D``."""
    sender: str
    participant: str
    timestamp: datetime | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class RecordingStarted:
    """The call is recorded from now on."""

    recording_id: str
    format: str
    announced: bool
    """The platform shows it to the people."""
    timestamp: datetime | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class RecordingStopped:
    """It is no longer; `Recordings.get` has the tracks."""

    recording_id: str
    reason: str
    duration_ms: int
    timestamp: datetime | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class CallProblem:
    """A ``call_error``: something could not be carried out, or happened to the call. The socket stays
    open."""

    message: str
    code: str = ""
    timestamp: datetime | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """The settings of the sound in force. `sample_rate` in Hz."""

    sample_rate: int
    native_sample_rate: int
    resampling: bool
    format: str
    channels: int
    frame_duration_ms: int
    frame_bytes: int
    ready: bool
    """The call is active and sound flows."""
    receive: object = False
    speech_events: bool = False
    barge_in: bool = False


@dataclass(frozen=True, slots=True)
class AudioParticipants:
    """Whose sounds are told apart: all of them, each time that changes."""

    participants: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class AudioBackpressure:
    """More than 30 s wait to be played (`high`), or less than 25 s again. `CallSocket.play` heeds it."""

    high: bool
    buffered_ms: int


@dataclass(frozen=True, slots=True)
class AudioStatus:
    """What became of the sound since this socket was opened; docs/call-websocket.md has the words."""

    buffered_ms: int
    """Waits to be played."""
    played_ms: int
    dropped_ms: int
    cleared_ms: int
    trimmed_ms: int
    padded_ms: int
    underruns: int
    marks: int
    heard_ms: int
    unread_ms: int


@dataclass(frozen=True, slots=True)
class MarkPlayed:
    """The sound before that mark has been handed to the room."""

    name: str


@dataclass(frozen=True, slots=True)
class MarkCleared:
    """The sound before that mark was dropped, and nobody has heard all of it."""

    name: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """So much was dropped by `CallSocket.clear`."""

    cleared_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody has started to speak, with ``speech_events``."""

    participant: str
    name: str
    timestamp: datetime
    """When they did; it is told about a tenth of a second later."""
    at_ms: int | None
    """Where that is in the sound of this connection; None while it gets none."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """They are silent since then; told 0.4 s later."""

    participant: str
    name: str
    timestamp: datetime
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class BargedIn:
    """Somebody speaks, with ``barge_in``: what the agent has said and nobody heard yet is dropped."""

    participant: str
    name: str
    heard_ms: int
    """How much was played since the agent had last nothing to say."""
    cleared_ms: int


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The socket broke and is open again. No event is lost; sound that waited to be played, and marks,
    are."""


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event this client has no class for."""

    type: str
    data: Mapping[str, object]


Event: TypeAlias = (
    Audio
    | ParticipantAudio
    | CallState
    | CallChat
    | CallTranscript
    | CallDigit
    | RecordingStarted
    | RecordingStopped
    | CallProblem
    | AudioConfig
    | AudioParticipants
    | AudioBackpressure
    | AudioStatus
    | MarkPlayed
    | MarkCleared
    | Cleared
    | SpeechStarted
    | SpeechStopped
    | BargedIn
    | Reconnected
    | OtherEvent
)

_BY_TYPE: Final[Mapping[str, type[Event]]] = {
    "call_state": CallState,
    "call_chat": CallChat,
    "call_transcript": CallTranscript,
    "call_dtmf": CallDigit,
    "recording_started": RecordingStarted,
    "recording_stopped": RecordingStopped,
    "call_error": CallProblem,
    "audio_config": AudioConfig,
    "audio_participants": AudioParticipants,
    "audio_backpressure": AudioBackpressure,
    "audio_status": AudioStatus,
    "mark_played": MarkPlayed,
    "mark_cleared": MarkCleared,
    "cleared": Cleared,
    "speech_started": SpeechStarted,
    "speech_stopped": SpeechStopped,
    "barge_in": BargedIn,
}


def event(message: Mapping[str, object]) -> Event:
    """A text frame. Raises `UnexpectedAnswer` when a member is missing or wrong."""
    kind = message.get("type")
    known = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    return OtherEvent(str(kind), message) if known is None else record(known, message)


def audio(
    frame: bytes, config: AudioConfig | None, participants: Mapping[int, Participant]
) -> Audio | ParticipantAudio:
    """A binary frame, read by the settings that the gateway told last: its answer stands between the sounds
    before and after a change. Raises `UnexpectedAnswer` where none were told."""
    if config is None:
        raise UnexpectedAnswer("Sound came before its settings")
    if config.receive != "participants":
        return Audio(frame, config.sample_rate)
    if len(frame) < _TRACK_FRAME.size:
        raise UnexpectedAnswer("A participant's sound is shorter than its header")
    _, _, index, at_ms = _TRACK_FRAME.unpack_from(frame)
    who = participants.get(index) or Participant(index, "", "")
    return ParticipantAudio(who, at_ms, frame[_TRACK_FRAME.size :], config.sample_rate)
