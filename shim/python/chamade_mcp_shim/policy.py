"""When to try again: after 1, 2, 5 s; then no more for a request, every 5 s or so for the push stream."""

from random import random
from typing import Final

from chamade_mcp_shim.failures import NOT_DONE, Failed

DELAYS_S: Final = (1.0, 2.0, 5.0)
MOST_PATIENT_S: Final = 60.0
"""A server that wants more time than this is not waited for: the model is told how long it takes."""


def delay_before(attempt: int, failed: Failed, *, may_repeat: bool) -> float | None:
    """Seconds until attempt number `attempt` (1 is the first repetition); None when it must not come."""
    if not failed.again or attempt > len(DELAYS_S):
        return None
    if failed.outcome != NOT_DONE and not may_repeat:
        return None
    wanted = failed.retry_after or 0.0
    return max(wanted, DELAYS_S[attempt - 1]) if wanted <= MOST_PATIENT_S else None


def pause_of_push(attempt: int, wanted_s: float | None) -> float:
    """Seconds until the push stream is opened again, for the attempt-th time since it last worked."""
    usual = DELAYS_S[attempt - 1] if attempt <= len(DELAYS_S) else DELAYS_S[-1] + random()  # noqa: S311
    return max(usual, min(wanted_s, MOST_PATIENT_S)) if wanted_s is not None else usual
