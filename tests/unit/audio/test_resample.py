import gc
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.resample import Engine, Resampler, make_resampler

RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
PAIRS = [(a, b) for a, b in itertools.product(RATES, RATES) if a != b]
ENGINES: tuple[Engine, ...] = ("polyphase", "swresample", "samplerate")


def noise(count: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).integers(-20_000, 20_000, count).astype(np.int16)


def pushed_in_steps(resampler: Resampler, samples: Samples, step: int) -> list[Samples]:
    return [resampler.push(samples[at : at + step]) for at in range(0, len(samples), step)]


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_20_ms_in_is_20_ms_out(source_hz: int, target_hz: int, engine: Engine) -> None:
    out = pushed_in_steps(make_resampler(source_hz, target_hz, engine), noise(source_hz), source_hz // 50)
    assert {len(frame) for frame in out} == {target_hz // 50}


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
@pytest.mark.parametrize("engine", ["polyphase", "swresample"])
def test_delay_is_at_most_3_ms(source_hz: int, target_hz: int, engine: Engine) -> None:
    assert make_resampler(source_hz, target_hz, engine).delay_s <= 0.003


@settings(max_examples=60, deadline=None)
@given(
    pair=st.sampled_from([*PAIRS, (11_025, 48_000), (48_000, 12_345), (9_001, 24_000)]),
    cuts=st.lists(st.integers(1, 1_500), min_size=1, max_size=40),
    engine=st.sampled_from(ENGINES),
)
def test_chunking_of_the_input_does_not_change_the_output(
    pair: tuple[int, int], cuts: list[int], engine: Engine
) -> None:
    source_hz, target_hz = pair
    samples = noise(sum(cuts), seed=len(cuts))
    whole = make_resampler(source_hz, target_hz, engine).push(samples)
    pieces = make_resampler(source_hz, target_hz, engine)
    edges = list(itertools.accumulate(cuts, initial=0))
    got = [pieces.push(samples[a:b]) for a, b in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(got), whole)
    assert len(whole) == len(samples) * target_hz // source_hz


@settings(max_examples=25, deadline=None)
@given(source_hz=st.integers(8_000, 48_000), target_hz=st.integers(8_000, 48_000), step=st.integers(1, 5_000))
def test_no_sample_is_lost_or_added_at_any_rate(source_hz: int, target_hz: int, step: int) -> None:
    resampler = make_resampler(source_hz, target_hz)
    block = np.zeros(step, np.int16)
    given_out = 0
    for turn in range(1, 40):
        given_out += len(resampler.push(block))
        assert given_out == turn * step * target_hz // source_hz


@pytest.mark.parametrize(("source_hz", "target_hz"), [(44_100, 48_000), (48_000, 44_100), (8_000, 48_000)])
def test_ten_minutes_are_ten_minutes(source_hz: int, target_hz: int) -> None:
    resampler = make_resampler(source_hz, target_hz)
    ten_seconds = np.zeros(10 * source_hz, np.int16)
    assert sum(len(resampler.push(ten_seconds)) for _ in range(60)) == 600 * target_hz


def test_equal_rates_pass_the_very_array() -> None:
    samples = noise(960)
    resampler = make_resampler(48_000, 48_000)
    assert resampler.push(samples) is samples
    assert resampler.delay_s == 0
    assert len(resampler.flush()) == 0


def test_nothing_in_is_nothing_out() -> None:
    assert len(make_resampler(8_000, 48_000).push(np.zeros(0, np.int16))) == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("source_hz", "target_hz"), [(24_000, 48_000), (48_000, 8_000), (44_100, 16_000)])
def test_flush_lets_the_whole_sound_out(source_hz: int, target_hz: int, engine: Engine) -> None:
    click = np.zeros(source_hz // 50, np.int16)
    click[-1] = 30_000
    flushed = make_resampler(source_hz, target_hz, engine)
    early, tail = flushed.push(click), flushed.flush()
    more = make_resampler(source_hz, target_hz, engine)
    endless = more.push(np.concatenate((click, np.zeros(source_hz // 10, np.int16))))
    assert np.array_equal(np.concatenate((early, tail)), endless[: len(early) + len(tail)])
    assert np.abs(endless[len(early) + len(tail) :]).max() <= 40, "the rest is below -58 dB"
    assert np.abs(flushed.push(np.zeros(source_hz // 10, np.int16))).max() <= 40


@pytest.mark.parametrize("rates", [(7_999, 48_000), (48_000, 48_001), (0, 8_000), (-1, 8_000)])
def test_other_rates_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="sample rate must be 8000-48000"):
        make_resampler(*rates)


def test_full_scale_saturates() -> None:
    square = np.where(np.arange(4_800) % 96 < 48, 32_767, -32_768).astype(np.int16)
    out = make_resampler(48_000, 16_000).push(square).astype(np.int32)
    inner = out[200:1_500]
    assert inner.max() == 32_767
    assert inner.min() == -32_768
    assert np.abs(np.diff(np.sign(inner[inner != 0]))).sum() <= 2 * 2 * (len(inner) / 32 + 1), (
        "no wrap-around"
    )


def test_what_came_out_outlives_the_resampler() -> None:
    kept: list[Samples] = []
    for seed in range(50):
        resampler = make_resampler(16_000, 48_000)
        kept.append(resampler.push(noise(320, seed)))
        del resampler
    gc.collect()
    for seed, out in enumerate(kept):
        assert np.array_equal(out, make_resampler(16_000, 48_000).push(noise(320, seed)))


def test_a_megabyte_at_once() -> None:
    samples = noise(524_288)
    at_once = make_resampler(24_000, 48_000).push(samples)
    assert len(at_once) == 1_048_576
    in_steps = pushed_in_steps(make_resampler(24_000, 48_000), samples, 480)
    assert np.array_equal(at_once, np.concatenate(in_steps))
