"""When a delivery is tried again, and when an endpoint has failed for too long."""

import random
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

PAUSES_S: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0)
"""After the first attempt, the second and so on; what still fails after the last is given up."""
_SPREAD: Final = 0.1
"""A pause is up to this part longer, so that what failed together does not come back together."""
LONGEST_RETRY_AFTER_S: Final = 36_000.0
DISABLED_AFTER: Final = timedelta(days=5)
_FORGOTTEN_AFTER: Final = timedelta(days=1)
"""Of failures that lie so far apart nobody knows what was between them."""


def pause_after(attempts: int, retry_after_s: float = 0.0) -> float | None:
    """Seconds to the next attempt after so many have failed; None when it was the last.

    A receiver may ask for more patience, within reason, and never for less.
    """
    if attempts > len(PAUSES_S):
        return None
    pause = PAUSES_S[attempts - 1] * random.uniform(1.0, 1.0 + _SPREAD)  # noqa: S311
    return max(pause, min(retry_after_s, LONGEST_RETRY_AFTER_S))


def retry_after_s(header: str | None, now: datetime) -> float:
    """What a `Retry-After` asks for, in seconds or as a date; 0 for what is neither."""
    if header is None:
        return 0.0
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        return max(0.0, (parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def failing_since(since: datetime | None, failed_at: datetime | None, now: datetime) -> datetime:
    """Since when nothing has gone well, given that an attempt has failed again at `now`."""
    if since is None or failed_at is None or now - failed_at > _FORGOTTEN_AFTER:
        return now
    return since
