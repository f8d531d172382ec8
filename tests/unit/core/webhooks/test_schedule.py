"""When it is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from chamade_mcp.core.webhooks.schedule import (
    LONGEST_RETRY_AFTER_S,
    PAUSES_S,
    failing_since,
    pause_after,
    retry_after_s,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_pauses_are_those_that_are_promised_or_a_little_longer() -> None:
    assert PAUSES_S == (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
    for attempts, promised in enumerate(PAUSES_S, start=1):
        pauses = {pause_after(attempts) for _ in range(50)}
        assert len(pauses) > 1, "what failed together comes back together"
        assert all(pause is not None and promised <= pause <= promised * 1.1 for pause in pauses)
    assert pause_after(len(PAUSES_S) + 1) is None


def test_a_receiver_may_ask_for_more_patience_and_not_for_less() -> None:
    assert pause_after(1, 120.0) == 120.0
    assert pause_after(1, 10**8) == LONGEST_RETRY_AFTER_S
    hurried = pause_after(2, 1.0)
    assert hurried is not None
    assert hurried >= 300


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("0", 0),
        ("120", 120),
        ("9" * 5000, 999_999_999),
        ("Fri, 20 Nov 2026 12:02:00 GMT", 120),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 20 Nov 2026 12:02:00", 0),
        ("-5", 0),
        ("١٢", 0),
        ("soon", 0),
        ("", 0),
        ("1 Jan 99999999999999999999 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float) -> None:
    assert retry_after_s(header, NOW) == seconds


def test_failures_that_lie_far_apart_are_no_long_failure() -> None:
    hour, day = timedelta(hours=1), timedelta(days=1)
    assert failing_since(None, None, NOW) == NOW
    assert failing_since(NOW - 3 * day, NOW - hour, NOW) == NOW - 3 * day
    assert failing_since(NOW - 3 * day, NOW - day - hour, NOW) == NOW
