"""Audio ports: where PCM crosses from one owner to another without either waiting."""

from dataclasses import dataclass
from typing import Protocol

from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.audio.playout import DIRECT, LIVE, QUEUED, PlayoutBuffer, PlayoutStats, Profile

__all__ = [
    "DIRECT",
    "LIVE",
    "QUEUED",
    "AudioPort",
    "PlayoutBuffer",
    "PlayoutStats",
    "PortPair",
    "PortStats",
    "Profile",
]


@dataclass(frozen=True, slots=True)
class PortStats:
    """In samples, seen from the end that has it."""

    pulled: PlayoutStats
    """What the far side said."""
    pushed: PlayoutStats
    """What it was given to hear."""


class AudioPort(Protocol):
    """Two-way: `pull` takes what the far side said, `push` gives what it shall hear.

    Times are seconds on the caller's monotonic clock.
    """

    @property
    def format(self) -> AudioFormat: ...

    @property
    def stats(self) -> PortStats: ...

    def push(self, samples: Samples, at: float) -> None:
        """Never blocks; over budget drops the oldest samples and counts them."""
        ...

    def pull(self, count: int, at: float) -> Samples | None:
        """Exactly `count` samples; None when there is nothing but silence. Never blocks."""
        ...


class PortPair:
    """A two-way pipe: what is pushed into one end is pulled from the other.

    The connector keeps one end and gives the other to the core; neither knows the other.
    """

    def __init__(self, format: AudioFormat, profile: Profile = DIRECT) -> None:
        self.to_near = PlayoutBuffer(format, profile)
        self.to_far = PlayoutBuffer(format, profile)
        self.near: AudioPort = _End(self.to_far, self.to_near)
        """The core's end."""
        self.far: AudioPort = _End(self.to_near, self.to_far)
        """The room's end."""


class _End:
    __slots__ = ("_into", "_out", "format", "pull", "push")

    def __init__(self, out: PlayoutBuffer, into: PlayoutBuffer) -> None:
        self.format = out.format
        self._out, self._into = out, into
        self.push = out.push  # bound once: both are called on every beat
        self.pull = into.pull

    @property
    def stats(self) -> PortStats:
        return PortStats(self._into.stats, self._out.stats)
