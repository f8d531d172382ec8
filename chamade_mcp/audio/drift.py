"""Two clocks that are not the same: follows a producer a few hundred ppm off, one sample at a time.

How long samples wait before they are played wanders when the producer's clock and ours differ. Where it
leaves its band, single samples are added to or taken out of frames by bandlimited interpolation, at most one
in a frame: nothing is cut or repeated, and the pitch moves by some cents for some milliseconds.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import inf

import numpy as np
from numpy.typing import NDArray

from chamade_mcp.audio.frame import FRAME_S, Samples

_WINDOW_BEATS = 50
"""The least of a second is what counts: jitter makes everything else more."""
_SLACK_S = 0.001
_RELIEF_S = 0.003
_HALF_TAPS = 16
"""Samples at both ends of a frame that stay as they are: a frame is bent without looking at others."""
_BENT = 240
"""At most so many samples after them are moved. That is 5 ms at 48 kHz, in which the pitch is off by a tenth
of a semitone at most; to bend all of the frame would take twice the time."""
_KAISER_BETA = 9.0
_LOWEST = np.array(-32768, np.float32)  # as arrays, since a number is converted anew by every call
_HIGHEST = np.array(32767, np.float32)


@dataclass(frozen=True, slots=True)
class DriftBand:
    """Between which delays nothing is done."""

    over_s: float
    """So much more than any phase of the two clocks needs may wait; above that samples are taken out."""
    ppm: float = 1000.0
    """How fast the delay is changed. A producer that slowly comes to push just after the beat instead of just
    before it needs a whole frame more in the time in which the margin is used up."""


class DriftGuard:
    """Watches the delay of one buffer, beat by beat.

    Two measures: how much later the frame at hand could have come (too little: samples are added), and how
    far playout is behind the producer's clock (too much: samples are taken out). The first jumps by a whole
    frame when the phase of pushes and beats turns over; the second is smooth, but does not tell of gaps.
    """

    __slots__ = (
        "_band",
        "_beats",
        "_credit",
        "_going",
        "_lag_s",
        "_largest",
        "_newest_at",
        "_rate_hz",
        "_spare_s",
    )

    def __init__(self, band: DriftBand, rate_hz: int) -> None:
        self._band = band
        self._rate_hz = rate_hz
        self._newest_at = 0.0
        self._credit = 0.0
        self.reset()

    def reset(self) -> None:
        """Playout starts anew."""
        self._going = 0
        self._begin()

    def pushed(self, count: int, at: float) -> None:
        self._newest_at = at
        if count > self._largest:
            self._largest = count

    def step(self, spare_s: float, behind: float, margin_s: float, count: int, at: float) -> int:
        """1: add a sample to this frame; -1: take one out.

        `spare_s`: how long the last sample of the frame has waited. `behind`: samples held after it; infinite
        while the producer has queued on purpose, which tells nothing of its clock.
        """
        lag_s = at - self._newest_at + behind / self._rate_hz
        if behind == inf:
            spare_s = inf
        self._spare_s = min(self._spare_s, spare_s)
        self._lag_s = min(self._lag_s, lag_s)
        self._beats += 1
        if self._beats == _WINDOW_BEATS:
            self._decide(margin_s)
            self._begin()
        if not self._going:
            return 0
        self._credit += self._band.ppm * 1e-6 * count
        if self._credit < 1.0:
            return 0
        self._credit -= 1.0
        return self._going

    def _begin(self) -> None:
        self._beats = 0
        self._largest = 0
        self._spare_s = self._lag_s = inf

    def _decide(self, margin_s: float) -> None:
        highest_s = margin_s + max(FRAME_S / 2, self._largest / self._rate_hz) + self._band.over_s
        enough_s = margin_s + (_SLACK_S if self._going > 0 else 0.0)
        if self._spare_s < enough_s:
            self._going = 1
        elif self._lag_s < inf and self._lag_s > highest_s - (_RELIEF_S if self._going < 0 else 0.0):
            self._going = -1
        else:
            self._going = 0


def bend(samples: Samples, count: int) -> Samples:
    """`samples`, one more or one less than `count`, as `count` samples that begin and end the same."""
    weights = _weights(min(_BENT, count - 2 * _HALF_TAPS), len(samples) - count)
    end = _HALF_TAPS + len(weights)
    wave = samples[: end + _HALF_TAPS + 1].astype(np.float32)
    first = 1 if len(samples) > count else 0
    windows = np.ndarray(weights.shape, np.float32, wave, 4 * first, (4, 4))
    bent = np.einsum("ij,ij->i", windows, weights)
    np.rint(bent, out=bent)
    frame = np.empty(count, np.int16)
    frame[:_HALF_TAPS] = samples[:_HALF_TAPS]
    frame[_HALF_TAPS:end] = bent.clip(_LOWEST, _HIGHEST, out=bent)
    frame[end:] = samples[end - count :]
    return frame


@lru_cache(maxsize=32)
def _weights(inner: int, extra: int) -> NDArray[np.float32]:
    """The filter of each sample that is moved: a windowed sinc, later and later by up to one sample."""
    way = np.arange(1, inner + 1) / (inner + 1)
    shift = 0.5 - 0.5 * np.cos(np.pi * way)  # the pitch neither jumps away nor back
    fraction = shift if extra > 0 else 1.0 - shift
    offsets = np.arange(-_HALF_TAPS + 1, _HALF_TAPS + 1) - fraction[:, None]
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1 - (offsets / _HALF_TAPS) ** 2)))
    taps = np.sinc(offsets) * window / np.i0(_KAISER_BETA)
    return (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
