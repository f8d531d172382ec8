"""Words of the command line turned into values. Each raises `ValueError` with a sentence for the person."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from chamade_mcp.model.access import ALL_PERMISSIONS, Permission
from chamade_mcp.model.limits import MAX_NAME

_SPAN: Final = re.compile(r"(\d{1,5})\s*([mhdwy])")
_UNITS: Final = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}


def parse_expiry(text: str, now: datetime) -> datetime:
    """``30d`` (from `now`; m, h, d, w, y) or an ISO 8601 date or moment, UTC unless it says otherwise."""
    if (span := _SPAN.fullmatch(text.strip().lower())) is not None:
        try:
            moment = now + int(span[1]) * _UNITS[span[2]]
        except OverflowError:
            raise ValueError(f"{text!r} lies too far ahead") from None
    else:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ValueError(
                f"{text!r} is neither a span such as 30d nor a date such as 2030-01-31"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
    if moment <= now:
        raise ValueError(f"{text!r} is not in the future")
    return moment


def parse_permissions(text: str | None) -> frozenset[Permission]:
    """A list such as ``read,message``; None means all."""
    if text is None:
        return ALL_PERMISSIONS
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    known = ", ".join(Permission)
    if not names:
        raise ValueError(f"name some of {known}")
    for name in names:
        if name not in list(Permission):
            raise ValueError(f"{name!r} is no permission; there are {known}")
    return frozenset(Permission(name) for name in names)


def parse_name(text: str) -> str:
    """A name to show: one line of 1 to 100 characters."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise ValueError(f"must have 1 to {MAX_NAME} characters")
    return name
