import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.playout import DIRECT, LIVE, QUEUED, PlayoutBuffer, Profile

FORMAT = AudioFormat(8_000)
COUNT = FORMAT.frame_samples


def counted(first: int, count: int = COUNT) -> Samples:
    """Samples that tell where they came from: 1, 2, 3... from `first` on."""
    return (np.arange(first, first + count) % 32_000 + 1).astype(np.int16)


def loud(count: int = COUNT) -> Samples:
    return np.full(count, 10_000, np.int16)


def quiet(count: int = COUNT) -> Samples:
    return np.zeros(count, np.int16)


def balance(buffer: PlayoutBuffer) -> None:
    s = buffer.stats
    assert s.pushed == s.pulled + s.dropped + s.trimmed + s.cleared + s.buffered
    assert s.buffered == buffer.buffered >= 0


@settings(max_examples=150, deadline=None)
@given(phase=st.floats(0, 0.0199), chunk_ms=st.sampled_from([20, 40, 60]))
def test_latency_is_between_margin_and_one_frame_more_whatever_the_phase(phase: float, chunk_ms: int) -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    chunk_s = chunk_ms / 1_000
    chunk = COUNT * chunk_ms // 20
    pushes = [(phase + i * chunk_s, i) for i in range(45)]
    arrived: dict[int, float] = {}
    played = 0
    for beat in range(40):
        at = beat * FRAME_S
        while pushes and pushes[0][0] <= at:
            moment, index = pushes.pop(0)
            arrived.update((index * chunk + k, moment) for k in range(0, chunk, COUNT))
            buffer.push(counted(index * chunk, chunk), moment)
        frame = buffer.pull(COUNT, at)
        if frame is None:
            assert played == 0, "a gap in mid-stream"
            continue
        assert frame[0] == played + 1
        if played % chunk == 0:
            waited = at - arrived[played]
            assert LIVE.margin_s - 1e-5 <= waited <= FRAME_S + LIVE.margin_s + 1e-5
        played += COUNT
    assert played
    assert buffer.stats.underruns == 0


@settings(max_examples=100, deadline=None)
@given(
    phase=st.floats(0, 0.0199), late=st.lists(st.floats(0, LIVE.margin_s - 1e-4), min_size=30, max_size=30)
)
def test_jitter_below_the_margin_leaves_no_gap(phase: float, late: list[float]) -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    pushes = [(phase + i * FRAME_S + (late[i] if i else 0), i) for i in range(30)]
    frames: list[Samples] = []
    for beat in range(30):
        at = beat * FRAME_S
        while pushes and pushes[0][0] <= at:
            moment, index = pushes.pop(0)
            buffer.push(counted(index * COUNT), moment)
        frame = buffer.pull(COUNT, at)
        if frame is not None:
            frames.append(frame)
        assert frame is not None or not frames
    assert np.array_equal(np.concatenate(frames), counted(0, len(frames) * COUNT))


@settings(max_examples=50, deadline=None)
@given(phase=st.floats(0, 0.0199), step=st.integers(1, COUNT // 2 - 1))
@example(phase=0.013671875, step=54)
def test_a_stream_of_crumbs_plays_without_gaps(phase: float, step: int) -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    pushed = 0
    frames: list[Samples] = []
    for beat in range(30):
        at = beat * FRAME_S
        while phase + (pushed + step) / FORMAT.rate_hz <= at:
            moment = phase + (pushed + step) / FORMAT.rate_hz
            buffer.push(counted(pushed, step), moment)
            pushed += step
        frame = buffer.pull(COUNT, at)
        assert frame is not None or not frames
        if frame is not None:
            frames.append(frame)
    assert len(frames) >= 26
    assert np.array_equal(np.concatenate(frames), counted(0, len(frames) * COUNT))


@settings(max_examples=150, deadline=None)
@given(
    profile=st.sampled_from([LIVE, QUEUED, DIRECT]),
    steps=st.lists(
        st.tuples(st.sampled_from(["push", "pull", "clear"]), st.integers(0, 4 * COUNT), st.floats(0, 0.03)),
        max_size=80,
    ),
)
def test_every_sample_is_accounted_for_and_order_is_kept(
    profile: Profile, steps: list[tuple[str, int, float]]
) -> None:
    buffer = PlayoutBuffer(FORMAT, replace(profile, trim_over_s=None))
    at, pushed = 0.0, 0
    last = 0
    for what, count, wait in steps:
        at += wait
        if what == "push":
            buffer.push(counted(pushed, count), at)
            pushed += count
        elif what == "clear":
            assert buffer.clear() + buffer.buffered >= 0
            assert buffer.buffered == 0
        else:
            before = buffer.stats
            frame = buffer.pull(COUNT, at)
            if frame is not None:
                assert len(frame) == COUNT
                real = frame[: buffer.stats.pulled - before.pulled]
                assert real[0] > last
                assert np.array_equal(real, counted(int(real[0]) - 1, len(real)))
                assert not frame[len(real) :].any()
                last = int(real[-1])
        balance(buffer)
        assert buffer.buffered <= profile.budget_s * FORMAT.rate_hz


def test_a_whole_frame_is_handed_on_uncopied() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    first, second = counted(0), counted(COUNT)
    buffer.push(first, 0.0)
    buffer.push(second, 0.02)
    assert buffer.pull(COUNT, 0.021) is first
    assert buffer.pull(COUNT, 0.041) is second


def test_nothing_is_played_before_the_margin() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    buffer.push(counted(0), 10.0)
    assert buffer.pull(COUNT, 10.004) is None
    assert buffer.pull(COUNT, 10.005) is not None


def test_the_end_of_a_burst_is_padded_and_counted() -> None:
    buffer = PlayoutBuffer(FORMAT, QUEUED)
    buffer.push(counted(0, COUNT + 50), 0.0)
    assert buffer.pull(COUNT, 0.02) is not None
    last = buffer.pull(COUNT, 0.04)
    assert last is not None
    assert np.array_equal(last[:50], counted(COUNT, 50))
    assert not last[50:].any()
    assert buffer.stats.padded == COUNT - 50
    assert buffer.stats.pulled == COUNT + 50
    assert buffer.pull(COUNT, 0.06) is None
    assert buffer.stats.underruns == 0


def test_a_burst_shorter_than_a_frame_is_played() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    buffer.push(counted(0, 10), 0.0)
    assert buffer.pull(COUNT, 0.02) is None, "more may come"
    frame = buffer.pull(COUNT, 0.04)
    assert frame is not None
    assert np.array_equal(frame[:10], counted(0, 10))


def test_over_budget_the_oldest_are_dropped() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    for index in range(30):
        buffer.push(counted(index * COUNT), index * FRAME_S)
    assert buffer.buffered == LIVE.budget_s * FORMAT.rate_hz
    assert buffer.stats.dropped == 10 * COUNT
    frame = buffer.pull(COUNT, 1.0)
    assert frame is not None
    assert frame[0] == 10 * COUNT + 1
    balance(buffer)


def test_one_push_over_the_budget_keeps_its_end() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    buffer.push(counted(0, 5_000), 0.0)
    frame = buffer.pull(COUNT, 1.0)
    assert frame is not None
    assert frame[0] == 5_000 - LIVE.budget_s * FORMAT.rate_hz + 1


def test_two_minutes_of_speech_are_queued_whole() -> None:
    buffer = PlayoutBuffer(FORMAT, QUEUED)
    buffer.push(loud(120 * FORMAT.rate_hz), 0.0)
    assert sum(buffer.pull(COUNT, 0.02 * beat) is not None for beat in range(1, 6_100)) == 6_000
    assert buffer.stats.dropped == buffer.stats.trimmed == buffer.stats.padded == 0


def starve(buffer: PlayoutBuffer, at: float) -> None:
    """One underrun in mid-stream: a frame comes after its beat."""
    buffer.push(loud(), at)
    assert buffer.pull(COUNT, at + 0.08) is not None
    assert buffer.pull(COUNT, at + 0.1) is None
    buffer.push(loud(), at + 0.105)
    buffer.pull(COUNT, at + 0.2)
    buffer.pull(COUNT, at + 0.22)


def test_an_underrun_in_mid_stream_raises_the_margin_up_to_a_bound() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    starve(buffer, 0.0)
    assert buffer.stats.underruns == 1
    assert buffer.margin_s == pytest.approx(0.01, abs=1e-4)
    for turn in range(1, 30):
        starve(buffer, turn * 10.0)
    assert buffer.stats.underruns == 30
    assert 0.055 < buffer.margin_s <= LIVE.margin_max_s


def test_a_pause_is_not_an_underrun() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    for burst in range(5):
        buffer.push(loud(), burst * 1.0)
        assert buffer.pull(COUNT, burst + 0.01) is not None
        assert buffer.pull(COUNT, burst + 0.03) is None
    assert buffer.stats.underruns == 0
    assert buffer.margin_s == LIVE.margin_s


def test_the_margin_relaxes_while_all_is_well() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    starve(buffer, 0.0)
    for beat in range(50 * 10):
        buffer.push(loud(), 1.0 + beat * FRAME_S)
        buffer.pull(COUNT, 1.01 + beat * FRAME_S)
    assert buffer.margin_s == LIVE.margin_s


def run(buffer: PlayoutBuffer, frames: list[Samples], at: float) -> list[Samples]:
    out: list[Samples] = []
    for beat, frame in enumerate(frames):
        buffer.push(frame, at + beat * FRAME_S)
        got = buffer.pull(COUNT, at + 0.01 + beat * FRAME_S)
        if got is not None:
            out.append(got)
    return out


def backlog(buffer: PlayoutBuffer, frames: int) -> None:
    for _ in range(frames):
        buffer.push(loud(), 0.0)


def noise(frames: int) -> list[Samples]:
    return list(np.random.default_rng(3).integers(-9_000, 9_000, (frames, COUNT)).astype(np.int16))


def tone(frames: int) -> list[Samples]:
    at = np.arange(frames * COUNT) / FORMAT.rate_hz
    return list((9_000 * np.sin(2 * np.pi * 233.0 * at)).astype(np.int16).reshape(frames, COUNT))


def test_a_constant_backlog_of_noise_is_trimmed_where_it_is_quiet() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    for frame in noise(8):
        buffer.push(frame, 0.0)
    run(buffer, noise(55), 0.1)
    assert buffer.stats.trimmed == 0
    run(buffer, [quiet()] * 30, 1.2)
    assert buffer.stats.trimmed >= 5 * COUNT
    assert buffer.buffered <= 3 * COUNT
    balance(buffer)


def test_a_backlog_of_noise_that_is_never_quiet_is_trimmed_slowly() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    for frame in noise(8):
        buffer.push(frame, 0.0)
    run(buffer, noise(190), 0.1)
    assert buffer.stats.trimmed == 0
    run(buffer, noise(60), 0.1 + 190 * FRAME_S)
    assert buffer.stats.trimmed >= 5 * COUNT
    assert buffer.buffered <= 3 * COUNT
    balance(buffer)


@pytest.mark.parametrize("profile", [LIVE, QUEUED], ids=["live", "queued"])
def test_what_a_stall_has_added_is_taken_out_of_a_voice_within_a_second(profile: Profile) -> None:
    """The producer streams, is stopped for 160 ms, and makes up for it: no word is lost by that."""
    buffer = PlayoutBuffer(FORMAT, profile)
    said = tone(250)
    heard = run(buffer, said[:100], 0.0)
    stalled = 100 * FRAME_S + 0.16
    heard += [frame for beat in range(8) if (frame := buffer.pull(COUNT, 2.01 + beat * FRAME_S)) is not None]
    for frame in said[100:109]:
        buffer.push(frame, stalled)
    assert buffer.buffered > 8 * COUNT
    live = run(buffer, said[109:170], stalled + FRAME_S)
    assert buffer.buffered <= 2.5 * COUNT + LIVE.margin_max_s * FORMAT.rate_hz
    played = np.concatenate(live).astype(float)
    curve = np.abs(np.diff(played, 2))
    assert curve.max() < 1.3 * 9_000 * (2 * np.pi * 233.0 / FORMAT.rate_hz) ** 2, "neither gap nor click"
    assert buffer.stats.underruns == 0 or profile is LIVE
    balance(buffer)


def test_a_lead_that_a_producer_wants_stays() -> None:
    """Half a second ahead, then in real time: it was pushed to be played whole."""
    buffer = PlayoutBuffer(FORMAT, QUEUED)
    said = tone(300)
    for frame in said[:25]:
        buffer.push(frame, 0.0)
    heard = run(buffer, said[25:], FRAME_S)
    assert buffer.stats.trimmed == buffer.stats.shortened == buffer.stats.stretched == 0
    assert np.array_equal(np.concatenate(heard), np.concatenate(said)[: len(heard) * COUNT])


def test_a_short_backlog_is_left_alone() -> None:
    buffer = PlayoutBuffer(FORMAT, LIVE)
    backlog(buffer, 1)
    run(buffer, [quiet()] * 300, 0.1)
    assert buffer.stats.trimmed == 0


def test_queued_speech_is_never_trimmed() -> None:
    buffer = PlayoutBuffer(FORMAT, QUEUED)
    backlog(buffer, 50)
    run(buffer, [quiet()] * 500, 0.1)
    assert buffer.stats.trimmed == 0
    assert buffer.buffered == 50 * COUNT


def test_direct_adds_nothing_and_sheds_a_backlog_at_once() -> None:
    buffer = PlayoutBuffer(FORMAT, DIRECT)
    frame = counted(0)
    buffer.push(frame, 5.0)
    assert buffer.pull(COUNT, 5.0) is frame
    assert buffer.pull(COUNT, 5.02) is None
    backlog(buffer, 9)
    assert buffer.buffered == 4 * COUNT
    run(buffer, [loud()] * 40, 6.0)
    assert buffer.buffered == 0


def test_clear_forgets_all_and_starts_anew() -> None:
    buffer = PlayoutBuffer(FORMAT, QUEUED)
    buffer.push(loud(1_000), 0.0)
    assert buffer.pull(COUNT, 0.02) is not None
    assert buffer.clear() == 1_000 - COUNT
    assert buffer.clear() == 0
    assert buffer.pull(COUNT, 0.04) is None
    buffer.push(loud(), 0.041)
    assert buffer.pull(COUNT, 0.042) is None, "the margin counts again"
    assert buffer.stats.underruns == 0
    balance(buffer)


def test_crumbs_are_collected() -> None:
    """A producer of single samples costs memory for samples, not for objects."""
    import tracemalloc

    buffer = PlayoutBuffer(FORMAT, QUEUED)
    one = loud(1)
    tracemalloc.start()
    for _ in itertools.repeat(None, 20_000):
        buffer.push(one, 0.0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20_000 * 2 * 4
