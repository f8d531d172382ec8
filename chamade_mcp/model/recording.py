"""Words about recordings of calls."""

from enum import StrEnum


class RecordingFormat(StrEnum):
    OPUS = "opus"
    """In Ogg (RFC 7845)."""
    WAV = "wav"


class TrackKind(StrEnum):
    MIX = "mix"
    """All that was heard."""
    AGENT = "agent"
    """What the call's own agent said."""
    PARTICIPANT = "participant"


class StopReason(StrEnum):
    ASKED = "asked"
    CALL_ENDED = "call_ended"
    DISK_FULL = "disk_full"
    QUOTA_EXCEEDED = "quota_exceeded"
    TOO_LONG = "too_long"
    INTERRUPTED = "interrupted"
    """The gateway stopped in the middle of it."""
    FAILED = "failed"
    """It could not be written; the gateway's log says why."""
