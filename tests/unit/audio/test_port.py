import numpy as np

from chamade_mcp.audio.frame import AudioFormat
from chamade_mcp.audio.port import LIVE, AudioPort, PortPair

FORMAT = AudioFormat(16_000)


def test_what_goes_in_at_one_end_comes_out_at_the_other_in_the_same_beat() -> None:
    pair = PortPair(FORMAT)
    ends: list[tuple[AudioPort, AudioPort]] = [(pair.near, pair.far), (pair.far, pair.near)]
    for here, there in ends:
        frame = np.full(FORMAT.frame_samples, 7, np.int16)
        here.push(frame, 1.0)
        assert there.pull(FORMAT.frame_samples, 1.0) is frame
        assert there.pull(FORMAT.frame_samples, 1.02) is None
        assert here.pull(FORMAT.frame_samples, 1.02) is None


def test_both_ends_have_the_format() -> None:
    pair = PortPair(FORMAT)
    assert pair.near.format == pair.far.format == FORMAT


def test_an_end_that_nobody_pulls_holds_a_few_frames() -> None:
    pair = PortPair(FORMAT)
    for beat in range(100):
        pair.near.push(np.ones(FORMAT.frame_samples, np.int16), beat * 0.02)
    assert pair.to_far.buffered == 4 * FORMAT.frame_samples
    assert pair.to_far.stats.dropped == 96 * FORMAT.frame_samples
    assert pair.to_near.stats.pushed == 0


def test_another_profile() -> None:
    pair = PortPair(FORMAT, LIVE)
    pair.near.push(np.ones(FORMAT.frame_samples, np.int16), 0.0)
    assert pair.far.pull(FORMAT.frame_samples, 0.001) is None
    assert pair.far.pull(FORMAT.frame_samples, 0.01) is not None
