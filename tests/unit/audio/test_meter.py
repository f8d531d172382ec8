"""Levels as the eye wants them."""

import numpy as np
import pytest

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.meter import Meter


def loud(level: float) -> Samples:
    return np.full(960, round(level * 32_768), np.int16)


def test_each_rises_at_once_and_falls_slowly() -> None:
    meter = Meter[str]()
    meter.hear([("ann", loud(0.5)), ("ben", loud(0.1))])
    assert meter.levels() == {"ann": pytest.approx(0.5), "ben": pytest.approx(0.1, rel=0.01)}
    meter.hear([("ben", loud(0.2))])
    assert meter.levels() == {"ann": pytest.approx(0.425), "ben": pytest.approx(0.2, rel=0.01)}
    for _ in range(100):
        meter.hear([])
    assert meter.levels() == {}


def test_a_softer_sound_does_not_cut_the_fall_short() -> None:
    meter = Meter[str]()
    meter.hear([("ann", loud(0.5))])
    meter.hear([("ann", loud(0.1))])
    assert meter.levels() == {"ann": pytest.approx(0.425)}
