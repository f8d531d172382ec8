"""Audio ports: where PCM crosses from one owner to another without either waiting."""

from typing import Protocol

from chamade_mcp.audio.frame import AudioFormat, Samples


class AudioPort(Protocol):
    """Two-way: `pull` takes what the far side said, `push` gives what it shall hear.

    Times are seconds on the caller's monotonic clock.
    """

    @property
    def format(self) -> AudioFormat: ...

    def push(self, samples: Samples, at: float) -> None:
        """Never blocks; over budget drops the oldest samples and counts them."""
        ...

    def pull(self, count: int, at: float) -> Samples | None:
        """Exactly `count` samples; None when there is nothing but silence. Never blocks."""
        ...
