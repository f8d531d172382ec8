"""What a platform, a call or a connection can do (CONTRACT section 6.2), and what its direct messages can."""

from enum import StrEnum


class Capability(StrEnum):
    AUDIO_IN = "audio_in"
    """The agent can hear people."""
    AUDIO_OUT = "audio_out"
    """People can hear the agent."""
    READ = "read"
    WRITE = "write"
    TYPING = "typing"
    FILES = "files"
    HOSTED_STT = "hosted_stt"
    HOSTED_TTS = "hosted_tts"


VOICE = frozenset({Capability.AUDIO_IN, Capability.AUDIO_OUT})


class MessageFeature(StrEnum):
    """What a platform's direct messages can do beyond being sent and received."""

    REPLY = "reply"
    """A message may quote an earlier one."""
    THREADS = "threads"
    """Messages may stand in a thread beside their conversation."""
    EDIT = "edit"
    """The agent may change what it said."""
    DELETE = "delete"
    """The agent may take back what it said."""
    REACT = "react"
    """The agent may put an emoji on a message."""
    READ_RECEIPTS = "read_receipts"
    """The platform tells what people have read."""
