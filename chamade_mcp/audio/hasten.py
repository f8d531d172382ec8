"""Making sound shorter without a gap, a click or another pitch: a whole period of it is left out."""

import numpy as np
from numpy.typing import NDArray

from chamade_mcp.audio.frame import Samples

LONGEST_S = 0.015
"""The longest stretch left out at once: a period of a low voice, or several of a higher one."""
_SHORTEST_S = 0.0025
_OVERLAP_S = 0.005
_ALIKE = 0.9
"""The least correlation of what is blended. Below it, it is an attack or noise, and would be heard."""
_SEARCH_HZ = 8_000
_SPLICE_S = 0.0025


def hasten(sound: Samples, count: int, rate_hz: int) -> tuple[Samples, int] | None:
    """`count` samples made of a few more of `sound`, and how many were left out; None: it has no period.

    `sound` has `count` samples and `LONGEST_S` more. The frame begins with its first sample and ends with the
    last that is used up, so it fits seamlessly to both sides. The longest period that repeats is taken (pitch
    synchronous overlap-add, as in WebRTC's NetEq).
    """
    overlap, longest = round(_OVERLAP_S * rate_hz), len(sound) - count
    wave = sound[: overlap + longest].astype(np.float32)
    lag = _period(wave, overlap, round(_SHORTEST_S * rate_hz), rate_hz)
    if lag is None:
        return None
    frame = sound[lag : lag + count].copy()
    rise = np.linspace(0.0, 1.0, overlap, dtype=np.float32)
    frame[:overlap] = wave[:overlap] * (1.0 - rise) + wave[lag : lag + overlap] * rise
    return frame, lag


def splice(left_out: Samples, kept: Samples, rate_hz: int) -> Samples:
    """`kept`, entered over a moment from `left_out`, which follows what was played last."""
    count = round(_SPLICE_S * rate_hz)
    rise = np.linspace(0.0, 1.0, count, dtype=np.float32)
    frame = kept.copy()
    frame[:count] = left_out[:count] * (1.0 - rise) + kept[:count] * rise
    return frame


def _period(wave: NDArray[np.float32], overlap: int, shortest: int, rate_hz: int) -> int | None:
    """The longest lag at which `wave` is as alike to its beginning as anywhere; None where it is not."""
    step = max(1, rate_hz // _SEARCH_HZ)
    coarse = _likeness(wave[::step].copy(), overlap // step, shortest // step)
    best = float(coarse.max())
    if best < _ALIKE * 0.9:  # samples between those looked at may fit better
        return None
    # Later periods fit a little worse than the first, and leave out more.
    about = (int(np.flatnonzero(coarse >= best - 0.02)[-1]) + shortest // step) * step
    first = max(shortest, about - step)
    fine = _likeness(wave[: min(len(wave), about + step + overlap)], overlap, first)
    found = int(np.argmax(fine))
    return first + found if fine[found] >= _ALIKE else None


def _likeness(wave: NDArray[np.float32], overlap: int, shortest: int) -> NDArray[np.float32]:
    """Normalised correlation of the first `overlap` samples with those at each lag from `shortest` on."""
    head = wave[:overlap]
    # `sliding_window_view` would take longer than all the rest.
    lags = len(wave) - shortest - overlap + 1
    windows = np.ndarray((lags, overlap), np.float32, wave, 4 * shortest, (4, 4))
    energies = np.einsum("ij,ij->i", windows, windows)
    scale = np.sqrt(energies * float(head @ head)) + 1.0
    return (windows @ head) / scale
