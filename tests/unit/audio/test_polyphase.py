"""The matrix product against the sum it stands for, written out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.polyphase import Polyphase, has_matrix
from chamade_mcp.audio.resample import make_resampler

RATES = (8_000, 12_000, 16_000, 24_000, 32_000, 48_000)
PAIRS = [(a, b) for a, b in itertools.product(RATES, RATES) if a != b]


def noise(count: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).integers(-32_768, 32_768, count).astype(np.int16)


def impulse_responses(source_hz: int, target_hz: int) -> list[list[int]]:
    """What each input sample of one period of the filter adds to the output, in units of 2**-14."""
    responses: list[list[int]] = []
    for place in range(source_hz // np.gcd(source_hz, target_hz)):
        one = np.zeros(source_hz // 50, np.int16)
        one[place] = 1 << 14
        responses.append(Polyphase(source_hz, target_hz).push(one).tolist())
    return responses


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_the_usual_rates_have_a_matrix(source_hz: int, target_hz: int) -> None:
    assert has_matrix(source_hz, target_hz)
    assert isinstance(make_resampler(source_hz, target_hz), Polyphase)


@pytest.mark.parametrize("rates", [(44_100, 48_000), (48_000, 44_100), (11_025, 48_000), (47_999, 48_000)])
def test_rates_with_little_in_common_are_left_to_others(rates: tuple[int, int]) -> None:
    assert not has_matrix(*rates)
    assert not isinstance(make_resampler(*rates), Polyphase)


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_the_output_is_the_sum_of_what_each_sample_adds(source_hz: int, target_hz: int) -> None:
    responses = impulse_responses(source_hz, target_hz)
    period = len(responses)
    per_period = period * target_hz // source_hz
    samples = (noise(source_hz // 50) // 4).astype(np.int16)
    expected = np.zeros(target_hz // 50)
    for index, sample in enumerate(samples.tolist()):
        shift = index // period * per_period
        added = np.array(responses[index % period][: len(expected) - shift]) / (1 << 14)
        expected[shift:] += sample * added
    # A response is rounded to 2**-14 wherever it is added: a few units in all.
    assert np.abs(Polyphase(source_hz, target_hz).push(samples) - expected).max() <= 8


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_a_constant_stays_that_very_constant(source_hz: int, target_hz: int) -> None:
    out = Polyphase(source_hz, target_hz).push(np.full(source_hz // 10, 12_345, np.int16))
    assert set(out[target_hz // 50 :].tolist()) == {12_345}


@settings(max_examples=80, deadline=None)
@given(
    pair=st.sampled_from(PAIRS),
    cuts=st.lists(st.integers(1, 2_500), min_size=1, max_size=30),
    seed=st.integers(0, 9),
)
def test_full_scale_noise_comes_out_the_same_however_it_is_cut(
    pair: tuple[int, int], cuts: list[int], seed: int
) -> None:
    samples = noise(sum(cuts), seed)
    pieces, edges = Polyphase(*pair), itertools.accumulate(cuts, initial=0)
    got = [pieces.push(samples[a:b]) for a, b in itertools.pairwise(edges)]
    assert np.array_equal(np.concatenate(got), Polyphase(*pair).push(samples))


@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_streams_of_the_same_rates_do_not_hear_each_other(source_hz: int, target_hz: int) -> None:
    one, other = noise(source_hz // 5, 1), noise(source_hz // 5, 2)
    alone = Polyphase(source_hz, target_hz).push(one)
    first, second = Polyphase(source_hz, target_hz), Polyphase(source_hz, target_hz)
    heard: list[Samples] = []
    for at in range(0, len(one), 100):
        heard.append(first.push(one[at : at + 100]))
        second.push(other[at : at + 700])
    assert np.array_equal(np.concatenate(heard), alone)


def test_what_is_pushed_may_be_read_only_and_is_left_as_it_was() -> None:
    samples = np.frombuffer(noise(480).tobytes(), np.int16)
    before = samples.copy()
    Polyphase(24_000, 48_000).push(samples)
    assert np.array_equal(samples, before)
