"""How loud each of several voices is, as the eye wants it: at once up, and slowly down."""

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

import numpy as np

from chamade_mcp.audio.frame import Samples

RELEASE: Final = 0.85
"""How much of a level is left after 20 ms of silence: 100 ms to half."""
FLOOR: Final = 1e-3
_STRIDE: Final = 4
"""A meter needs no more than every fourth sample."""
_FULL_SCALE: Final = 32768.0

K = TypeVar("K")


class Meter(Generic[K]):
    """To be told of every beat."""

    def __init__(self) -> None:
        self._levels: dict[K, float] = {}

    def hear(self, audible: Iterable[tuple[K, Samples]]) -> None:
        """20 ms of each who is audible."""
        heard = {key: rms(samples) for key, samples in audible}
        fading = {key: level * RELEASE for key, level in self._levels.items() if level * RELEASE > FLOOR}
        self._levels = fading | {key: max(now, fading.get(key, 0.0)) for key, now in heard.items()}

    def levels(self) -> dict[K, float]:
        """RMS 0-1 of each who was audible just now."""
        return {key: level for key, level in self._levels.items() if level > FLOOR}


def rms(frame: Samples) -> float:
    """Root mean square of a frame, 0-1, estimated from every fourth sample."""
    wave = frame[::_STRIDE].astype(np.float32)
    return float(np.dot(wave, wave) / max(1, len(wave))) ** 0.5 / _FULL_SCALE
