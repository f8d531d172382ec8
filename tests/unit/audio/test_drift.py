"""Clocks that differ: an hour of it, and what following them does to the sound."""

import random
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from chamade_mcp.audio.drift import bend
from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.playout import LIVE, QUEUED, PlayoutBuffer, Profile

HOUR_S = 3600.0


@dataclass
class Weather:
    ppm: float
    """How much faster the producer's clock runs than ours."""
    jitter_s: float = 0.003
    chunk_s: float = FRAME_S


@dataclass
class Hour:
    buffer: PlayoutBuffer
    waits_s: list[float]
    """How long sound was on its way, once a second."""


def listen(rate_hz: int, profile: Profile, weather: Weather, seconds: float) -> Hour:
    """A producer pushes by its own clock, with jitter; the beat pulls by ours. No time passes."""
    chance = random.Random(7)
    buffer = PlayoutBuffer(AudioFormat(rate_hz), profile)
    count = rate_hz // 50
    sound = np.full(round(weather.chunk_s * rate_hz), 8_000, np.int16)
    step_s = weather.chunk_s / (1 + weather.ppm * 1e-6)
    pushes, due, at = 0, chance.random() * weather.jitter_s, 0.0
    hour = Hour(buffer, [])
    for beat in range(round(seconds / FRAME_S)):
        at = beat * FRAME_S
        while due <= at:
            buffer.push(sound, due)
            pushes += 1
            due = pushes * step_s + chance.random() * weather.jitter_s
        buffer.pull(count, at)
        if beat % 50 == 49:
            said = (at / step_s + 1) * len(sound)
            hour.waits_s.append((said - buffer.stats.pulled) / rate_hz)
    return hour


@pytest.mark.parametrize("profile", [LIVE, QUEUED], ids=["live", "queued"])
@pytest.mark.parametrize("ppm", [-200.0, 200.0])
@pytest.mark.parametrize("chunk_s", [0.01, 0.02, 0.06])
def test_an_hour_of_two_clocks_neither_grows_nor_runs_dry(
    profile: Profile, ppm: float, chunk_s: float
) -> None:
    hour = listen(8_000, profile, Weather(ppm, chunk_s=chunk_s), HOUR_S)
    stats = hour.buffer.stats
    assert (stats.underruns, stats.dropped, stats.trimmed, stats.padded) == (0, 0, 0, 0)
    followed = (stats.shortened if ppm > 0 else stats.stretched) / 8_000
    assert followed == pytest.approx(0.2e-3 * HOUR_S, abs=0.08), "what the clocks differ by in an hour"
    assert min(stats.shortened, stats.stretched) <= 0.02 * 8_000, "never both ways in turn"
    settled = hour.waits_s[len(hour.waits_s) // 3 :]
    assert max(settled) - min(settled) < 0.012 + chunk_s
    assert max(settled) < 0.04 + 2 * chunk_s + (0.04 if profile is QUEUED else 0.0)


def test_clocks_that_agree_are_left_alone() -> None:
    stats = listen(8_000, LIVE, Weather(0.0, jitter_s=0.004), 600.0).buffer.stats
    assert (stats.stretched, stats.shortened, stats.trimmed, stats.underruns) == (0, 0, 0, 0)


def test_without_it_the_same_hour_has_gaps() -> None:
    deaf = Profile(LIVE.budget_s, LIVE.margin_s, LIVE.margin_max_s, LIVE.trim_over_s)
    assert listen(8_000, deaf, Weather(-200.0), HOUR_S).buffer.stats.underruns > 10
    assert listen(8_000, deaf, Weather(200.0), HOUR_S).buffer.stats.trimmed > 10 * 160


def test_speech_pushed_at_once_is_never_bent() -> None:
    buffer = PlayoutBuffer(AudioFormat(8_000), QUEUED)
    said = (np.arange(80_000) % 30_000).astype(np.int16)
    buffer.push(said, 0.0)
    heard = [buffer.pull(160, 0.02 * beat) for beat in range(1, 485)]
    played = np.concatenate([frame for frame in heard if frame is not None])
    assert np.array_equal(played, said[: len(played)])
    assert len(played) > 77_000


# --- the sound -------------------------------------------------------------------------------------------


def tone(rate_hz: int, hz: float, count: int) -> Samples:
    return np.rint(20_000 * np.sin(2 * np.pi * hz * np.arange(count) / rate_hz + 0.3)).astype(np.int16)


def places(count: int, extra: int) -> NDArray[np.float64]:
    """Where in the original each sample of a bent frame comes from."""
    moved = min(240, count - 32)
    way = np.arange(1, moved + 1) / (moved + 1)
    inner = np.arange(16, 16 + moved) + extra * (0.5 - 0.5 * np.cos(np.pi * way))
    return np.concatenate((np.arange(16.0), inner, np.arange(16.0 + moved, count) + extra))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("extra", [1, -1])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.8])
def test_a_bent_frame_is_the_same_sound_85_db_clean(rate_hz: int, extra: int, share: float) -> None:
    count, hz = rate_hz // 50, share * rate_hz / 2
    bent = bend(tone(rate_hz, hz, count + extra), count).astype(float)
    ideal = 20_000 * np.sin(2 * np.pi * hz * places(count, extra) / rate_hz + 0.3)
    noise = np.mean((bent - ideal) ** 2)
    assert 10 * np.log10(np.mean(ideal**2) / noise) > 85


def test_a_bent_frame_of_full_scale_does_not_wrap() -> None:
    square = np.where(np.arange(961) % 37 < 18, 32_767, -32_768).astype(np.int16)
    bent = bend(square, 960).astype(int)
    assert np.abs(bent[1:] - square[:959].astype(int))[:14].max() <= 65_535
    loud = (square[1:] > 0) & (square[:-1] > 0) & (np.roll(square, 2)[1:] > 0) & (np.roll(square, -2)[1:] > 0)
    assert bent[loud[:960]].min() > 0, "nothing turns over"


def test_a_tone_that_is_followed_stays_one_tone() -> None:
    """Ten seconds at 48 kHz with 200 ppm between the clocks: what the bending adds is below -60 dB."""
    rate_hz, hz = 48_000, 1_000.0
    buffer = PlayoutBuffer(AudioFormat(rate_hz), LIVE)
    step_s, pushes, at = FRAME_S / (1 - 200e-6), 0, 0.0
    heard: list[Samples] = []
    source = tone(rate_hz, hz, rate_hz * 42)
    for beat in range(2_000):
        at = beat * FRAME_S
        while pushes * step_s + 0.0145 <= at:  # so that the margin is nearly used up from the start
            buffer.push(source[pushes * 960 : (pushes + 1) * 960], pushes * step_s + 0.0145)
            pushes += 1
        frame = buffer.pull(960, at)
        if frame is not None:
            heard.append(frame)
    assert buffer.stats.stretched > 200
    assert buffer.stats.underruns == 0
    wave = np.concatenate(heard)[-(1 << 18) :].astype(float)
    spectrum = np.abs(np.fft.rfft(wave * np.blackman(len(wave)))) ** 2
    hertz = np.fft.rfftfreq(len(wave), 1 / rate_hz)
    beside = spectrum[(np.abs(hertz - hz) > 150) & (hertz > 20)].sum()
    assert 10 * np.log10(beside / spectrum.sum()) < -60
