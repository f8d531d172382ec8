"""What a platform, a call or a connection can do (CONTRACT section 6.2)."""

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
