"""Moments as text."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=256)  # one moment is written in half a dozen places
def stamp(moment: datetime) -> str:
    """UTC with microseconds and a Z: sorts as text in the order of time."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    # Not strftime: it writes the year 999 with three digits, which sort behind every other.
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"  # for +00:00
