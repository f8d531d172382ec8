"""What the call WebSocket tells an agent about its audio: JSON, built. No I/O."""

from collections.abc import Mapping

from chamade_mcp.audio.agent import AgentStats, Receive
from chamade_mcp.audio.frame import FRAME_MS, AudioFormat
from chamade_mcp.audio.playout import PlayoutStats
from chamade_mcp.audio.port import PortStats
from chamade_mcp.audio.voice import MarkPassed, VoiceNews
from chamade_mcp.audio.voice_activity import SpeechNews, SpeechStarted
from chamade_mcp.audio.wire import Wire
from chamade_mcp.model.ids import ParticipantRef


def audio_config(
    native: AudioFormat,
    declared: AudioFormat,
    *,
    receive: Receive,
    speech_events: bool,
    barge_in: bool,
    ready: bool,
) -> Wire:
    """The answer to every `audio_config`. `ready`: audio flows, the call is active."""
    wire = declared.to_wire()
    return {
        "type": "audio_config",
        "sample_rate": wire["sample_rate"],
        "native_sample_rate": native.rate_hz,
        "resampling": declared.rate_hz != native.rate_hz,
        "format": wire["format"],
        "channels": wire["channels"],
        "frame_duration_ms": wire["frame_duration_ms"],
        "frame_bytes": wire["frame_bytes"],
        "receive": receive,
        "speech_events": speech_events,
        "barge_in": barge_in,
        "ready": ready,
    }


def audio_participants(indices: Mapping[ParticipantRef, int], names: Mapping[ParticipantRef, str]) -> Wire:
    """Whose sounds are told apart, and by which index."""
    people = [{"index": index, "id": ref, "name": names.get(ref, "")} for ref, index in indices.items()]
    return {"type": "audio_participants", "participants": people}


def speech(news: SpeechNews, name: str, timestamp: str, at_ms: int | None) -> Wire:
    """`speech_started` or `speech_stopped`."""
    return {
        "type": "speech_started" if isinstance(news, SpeechStarted) else "speech_stopped",
        "participant": news.ref,
        "name": name,
        "timestamp": timestamp,
        "at_ms": at_ms,
    }


def barge_in(ref: ParticipantRef, name: str, heard_s: float, cleared_s: float) -> Wire:
    """What an agent said is dropped, for somebody who has started to speak."""
    return {
        "type": "barge_in",
        "participant": ref,
        "name": name,
        "heard_ms": _ms(heard_s),
        "cleared_ms": _ms(cleared_s),
    }


def cleared(seconds: float) -> Wire:
    """The answer to `clear`."""
    return {"type": "cleared", "cleared_ms": _ms(seconds)}


def voice_news(news: VoiceNews) -> Wire:
    """`mark_played`, `mark_cleared` or `audio_backpressure`."""
    if isinstance(news, MarkPassed):
        return {"type": "mark_played" if news.played else "mark_cleared", "name": news.name}
    return {"type": "audio_backpressure", "high": news.high, "buffered_ms": _ms(news.buffered_s)}


def audio_status(stats: Mapping[str, object]) -> Wire:
    """The answer to `audio_status`: what `agent_stats` says, and the settings in force."""
    return {"type": "audio_status", **stats}


def agent_stats(stats: AgentStats, native: AudioFormat, unread: int) -> Wire:
    """One agent's counts since it came. `unread`: frames it was too slow to take."""
    return {
        **_playout(stats.voice, native),
        "marks": stats.marks,
        "heard_ms": (stats.heard - unread) * FRAME_MS,
        "unread_ms": unread * FRAME_MS,
    }


def leg_stats(stats: PortStats, native: AudioFormat) -> Wire:
    """One leg's counts: what the platform said, and what it was given."""
    return {"from_platform": _playout(stats.pulled, native), "to_platform": _playout(stats.pushed, native)}


def _playout(stats: PlayoutStats, native: AudioFormat) -> Wire:
    def ms(samples: int) -> int:
        return _ms(samples / native.rate_hz)

    return {
        "buffered_ms": ms(stats.buffered),
        "played_ms": ms(stats.pulled),
        "dropped_ms": ms(stats.dropped),
        "cleared_ms": ms(stats.cleared),
        "trimmed_ms": ms(stats.trimmed),
        "padded_ms": ms(stats.padded),
        "underruns": stats.underruns,
    }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
