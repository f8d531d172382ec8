"""Durations as counts."""

from collections import Counter

import pytest

from chamade_mcp.core.spread import percentile_s, step_of


@pytest.mark.parametrize("seconds", [0.2, 0.9, 1.0, 3.3, 60.0, 4000.0, 500_000.0])
def test_what_is_read_is_near_what_was_counted(seconds: float) -> None:
    read = percentile_s({step_of(seconds): 1}, 0.5)
    assert read == pytest.approx(seconds, rel=0.08)


def test_nothing_is_too_short_or_too_long() -> None:
    assert step_of(-1) == step_of(0) == step_of(0.1) == 0
    assert step_of(1e9) == step_of(7 * 86_400) == max(map(step_of, (1, 1e3, 1e6, 1e12)))


def test_percentiles_of_many() -> None:
    counts = Counter(step_of(seconds) for seconds in range(1, 101))
    assert percentile_s(counts, 0.5) == pytest.approx(50, rel=0.1)
    assert percentile_s(counts, 0.95) == pytest.approx(95, rel=0.1)
    assert percentile_s({}, 0.5) is None
    assert percentile_s({3: 0}, 0.5) is None
