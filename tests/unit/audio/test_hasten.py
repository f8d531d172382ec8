"""Sound made shorter: pitch, seams and what is refused."""

import numpy as np
import pytest

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.hasten import LONGEST_S, hasten


def tone(rate_hz: int, hz: float, start: int = 0) -> Samples:
    count = rate_hz // 50 + round(LONGEST_S * rate_hz)
    at = np.arange(start, start + count) / rate_hz
    return np.round(9_000 * np.sin(2 * np.pi * hz * at)).astype(np.int16)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("hz", [90.0, 233.0, 1_010.0, 1_510.0])
def test_whole_periods_are_left_out(rate_hz: int, hz: float) -> None:
    sound, count = tone(rate_hz, hz), rate_hz // 50
    found = hasten(sound, count, rate_hz)
    assert found is not None
    frame, left_out = found
    assert len(frame) == count
    assert 0.0025 <= left_out / rate_hz <= LONGEST_S
    assert frame[0] == sound[0]
    assert frame[-1] == sound[left_out + count - 1]
    periods = left_out / rate_hz * hz
    assert abs(periods - round(periods)) < 0.07
    bend = np.abs(np.diff(frame.astype(float), 2)).max()
    assert bend <= np.abs(np.diff(sound.astype(float), 2)).max() * 1.1 + 4


def test_noise_has_no_period() -> None:
    sound = np.random.default_rng(1).integers(-9_000, 9_000, 1_680).astype(np.int16)
    assert hasten(sound, 960, 48_000) is None


def test_an_attack_is_left_alone() -> None:
    sound = tone(48_000, 440.0)
    sound[:300] = 0
    sound[300:] //= 2
    assert hasten(sound, 960, 48_000) is None


def test_silence_may_be_left_alone() -> None:
    assert hasten(np.zeros(1_680, np.int16), 960, 48_000) is None
