"""The unit of audio: mono 16-bit samples, 20 ms at a time, whatever the rate."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from chamade_mcp.model.audio import MAX_RATE_HZ, MIN_RATE_HZ

FRAME_MS = 20
FRAME_S = 0.02

Samples: TypeAlias = NDArray[np.int16]
"""One-dimensional, contiguous, native byte order (little-endian on every platform we run on)."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """PCM s16le mono at `rate_hz`; raises `ValueError` outside 8,000-48,000 Hz."""

    rate_hz: int

    def __post_init__(self) -> None:
        if not MIN_RATE_HZ <= self.rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"sample_rate must be {MIN_RATE_HZ}-{MAX_RATE_HZ}")

    @property
    def frame_samples(self) -> int:
        return self.rate_hz // 50

    @property
    def frame_bytes(self) -> int:
        return self.frame_samples * 2

    def to_wire(self) -> dict[str, object]:
        """The `audio` object of CONTRACT section 1.1."""
        return {
            "sample_rate": self.rate_hz,
            "format": "pcm_s16le",
            "channels": 1,
            "frame_duration_ms": FRAME_MS,
            "frame_bytes": self.frame_bytes,
        }
