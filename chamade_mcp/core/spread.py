"""Durations as counts: how many were about as long as this. Counts can be added up; percentiles cannot.

A decade has sixteen steps, so what is read from them is right within 8 %.
"""

import math
from collections.abc import Mapping
from typing import Final

_STEPS: Final = 16
_LEAST_S: Final = 0.1
_MOST_S: Final = 7 * 86_400.0


def step_of(seconds: float) -> int:
    """0 for a tenth of a second and less; a week and more is one step, too."""
    kept = min(max(seconds, _LEAST_S), _MOST_S)
    return math.floor(math.log10(kept / _LEAST_S) * _STEPS)


def percentile_s(counts: Mapping[int, int], share: float) -> float | None:
    """In seconds, the middle of the step that holds it; None where nothing was counted."""
    wanted, reached = share * sum(counts.values()), 0
    for step in sorted(counts):
        reached += counts[step]
        if reached >= wanted and reached:
            return round(_LEAST_S * 10 ** ((step + 0.5) / _STEPS), 2)
    return None
