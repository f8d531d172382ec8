import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.audio.meter import rms
from chamade_mcp.audio.mixer import Mixer, Summer

FORMAT = AudioFormat(8_000)
COUNT = FORMAT.frame_samples


class Member:
    """Says what it is given, keeps what it hears."""

    def __init__(self) -> None:
        self.says: Samples | None = None
        self.heard: list[Samples | None] = []

    def source(self, count: int, at: float) -> Samples | None:
        assert count == COUNT
        return self.says

    def sink(self, samples: Samples | None, at: float) -> None:
        self.heard.append(samples)


def room(count: int) -> tuple[Mixer[int], list[Member]]:
    mixer: Mixer[int] = Mixer(FORMAT)
    members = [Member() for _ in range(count)]
    for key, member in enumerate(members):
        mixer.add(key, member.source, member.sink)
    return mixer, members


def noise(seed: int, peak: int) -> Samples:
    return np.random.default_rng(seed).integers(-peak, peak, COUNT, endpoint=True).astype(np.int16)


def reference(frames: list[Samples]) -> NDArray[np.float64]:
    return np.clip(
        np.sum([f.astype(np.float64) for f in frames] or [np.zeros(COUNT)], axis=0), -32_768, 32_767
    )


@settings(max_examples=150, deadline=None)
@given(
    says=st.lists(st.one_of(st.none(), st.sampled_from([10, 3_000, 20_000, 32_767])), max_size=8),
    seed=st.integers(0, 1_000),
)
def test_everybody_hears_the_saturated_sum_of_the_others(says: list[int | None], seed: int) -> None:
    mixer, members = room(len(says))
    for index, peak in enumerate(says):
        members[index].says = None if peak is None else noise(seed + index, peak)
    spoken = [None if m.says is None else m.says.copy() for m in members]
    assert mixer.tick(0.0) is any(frame is not None for frame in spoken)
    for index, member in enumerate(members):
        others = [f for i, f in enumerate(spoken) if i != index and f is not None]
        (heard,) = member.heard
        if not others:
            assert heard is None
            continue
        assert heard is not None
        assert heard.dtype == np.int16
        assert np.array_equal(heard, reference(others))
    for member, frame in zip(members, spoken, strict=True):
        if member.says is not None and frame is not None:
            assert np.array_equal(member.says, frame), "sources are not written to"


def test_the_only_voice_is_handed_on_as_it_is() -> None:
    mixer, (a, b, c) = room(3)
    a.says = noise(1, 1_000)
    mixer.tick(0.0)
    assert a.heard == [None]
    assert b.heard[0] is a.says
    assert c.heard[0] is a.says


def test_of_two_voices_each_hears_the_other_as_it_is() -> None:
    mixer, (a, b, c) = room(3)
    a.says, b.says = noise(1, 30_000), noise(2, 30_000)
    mixer.tick(0.0)
    assert a.heard[0] is b.says
    assert b.heard[0] is a.says
    assert c.heard[0] is not None
    assert np.array_equal(c.heard[0], reference([a.says, b.says]))


def test_what_was_heard_is_not_overwritten_by_the_next_beat() -> None:
    mixer, members = room(4)
    for turn in range(2):
        for index, member in enumerate(members):
            member.says = noise(turn * 10 + index, 9_000)
        mixer.tick(turn * 0.02)
    first = members[0].heard[0]
    assert first is not None
    assert np.array_equal(first, reference([noise(i, 9_000) for i in (1, 2, 3)]))


def test_members_come_and_go_during_a_tick() -> None:
    mixer, (a, b) = room(2)
    late = Member()

    def leave(samples: Samples | None, at: float) -> None:
        mixer.remove(0)
        mixer.remove(1)
        mixer.add(2, late.source, late.sink)

    mixer.add(0, a.source, leave)
    b.says = noise(1, 100)
    mixer.tick(0.0)
    assert len(mixer) == 1
    assert late.heard == []
    mixer.tick(0.02)
    assert late.heard == [None]
    assert len(b.heard) == 1
    mixer.remove(7)


def test_levels_rise_at_once_and_fall_slowly() -> None:
    mixer, (a, _b) = room(2)
    a.says = np.full(COUNT, 16_384, np.int16)
    mixer.tick(0.0)
    assert mixer.levels() == {0: pytest.approx(0.5)}
    a.says = None
    levels: list[float] = []
    for beat in range(60):
        mixer.tick(beat * 0.02)
        levels.append(mixer.levels().get(0, 0.0))
    assert levels == sorted(levels, reverse=True)
    assert 0.15 < levels[4] < 0.35
    assert levels[-1] == 0.0


def test_rms_is_close_to_the_true_one() -> None:
    tone = (20_000 * np.sin(np.arange(960) * 0.13)).astype(np.int16)
    true = float(np.sqrt(np.mean(tone.astype(np.float64) ** 2))) / 32_768
    assert rms(tone) == pytest.approx(true, rel=0.05)
    assert rms(np.zeros(960, np.int16)) == 0.0


@settings(max_examples=50, deadline=None)
@given(count=st.integers(0, 6), seed=st.integers(0, 100))
def test_the_sum_of_frames_is_the_reference(count: int, seed: int) -> None:
    frames = [noise(seed + i, 32_767) for i in range(count)]
    total = Summer(COUNT).total(frames)
    if not frames:
        assert total is None
    else:
        assert total is not None
        assert np.array_equal(total, reference(frames))
