import numpy as np
import pytest

from chamade_mcp.audio.frame import FRAME_S, AudioFormat
from chamade_mcp.audio.voice import (
    MAX_MARKS,
    PRESSURE_S,
    RELIEF_S,
    MarkPassed,
    Pressure,
    TooManyMarks,
    Voice,
    VoiceNews,
)

NATIVE = AudioFormat(48_000)


class Speaker:
    def __init__(self) -> None:
        self.told: list[VoiceNews] = []
        self.voice = Voice(NATIVE, self.told.append)
        self.now = 100.0

    def say(self, seconds: float, rate_hz: int = 48_000) -> None:
        self.voice.push(bytes(2 * round(seconds * rate_hz)), rate_hz, self.now)

    def beat(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += FRAME_S
            self.voice.pull(NATIVE.frame_samples, self.now)

    def beats_until_told(self) -> int:
        """How many beats until there are news; the news are in `told`."""
        self.told.clear()
        for beats in range(1, 1_000):
            self.beat()
            if self.told:
                return beats
        raise AssertionError("nothing was told")


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 44_100, 48_000])
def test_a_mark_is_played_with_the_last_frame_before_it(rate_hz: int) -> None:
    speaker = Speaker()
    speaker.say(0.1, rate_hz)
    speaker.voice.mark("a")
    speaker.say(0.1, rate_hz)
    speaker.voice.mark("b")
    assert speaker.voice.marks == 2
    first = speaker.beats_until_told()
    assert speaker.told == [MarkPassed("a", played=True)]
    assert first in ((5,) if rate_hz == 48_000 else (6,)), "a filter's delay later where there is one"
    second = speaker.beats_until_told()
    assert speaker.told == [MarkPassed("b", played=True)]
    assert first + second in ((10,) if rate_hz == 48_000 else (10, 11, 12))
    assert speaker.voice.marks == 0


def test_a_mark_in_silence_is_played_at_once() -> None:
    speaker = Speaker()
    speaker.voice.mark("start")
    assert speaker.told == [MarkPassed("start", played=True)]


def test_marks_of_what_is_cleared_or_lost_say_so() -> None:
    speaker = Speaker()
    speaker.say(1.0, 24_000)
    speaker.voice.mark("cleared")
    assert speaker.voice.clear() == pytest.approx(1.0)
    assert speaker.told == [MarkPassed("cleared", played=False)]
    speaker.told.clear()
    speaker.say(1.0)
    speaker.voice.mark("lost")
    speaker.say(100.0)
    speaker.say(100.0)
    assert MarkPassed("lost", played=False) in speaker.told
    assert speaker.voice.stats.dropped == 81 * 48_000


def test_a_mark_after_less_than_a_sample_is_passed_too() -> None:
    speaker = Speaker()
    speaker.voice.push(b"", 8_000, speaker.now)
    speaker.voice.mark("nothing")
    speaker.beat(3)
    assert speaker.told == [MarkPassed("nothing", played=True)]


def test_marks_are_bounded() -> None:
    speaker = Speaker()
    speaker.say(1.0)
    for number in range(MAX_MARKS):
        speaker.voice.mark(str(number))
    with pytest.raises(TooManyMarks):
        speaker.voice.mark("one more")
    speaker.beat(60)
    assert speaker.told == [MarkPassed(str(n), played=True) for n in range(MAX_MARKS)]


def test_pressure_is_told_once_above_and_once_below() -> None:
    speaker = Speaker()
    for _ in range(40):
        speaker.say(1.0)
    assert [type(news) for news in speaker.told] == [Pressure]
    assert speaker.told[0] == Pressure(True, 31.0)
    beats = speaker.beats_until_told()
    assert beats == pytest.approx((40 - RELIEF_S) / FRAME_S, abs=2)
    [relieved] = speaker.told
    assert isinstance(relieved, Pressure)
    assert not relieved.high
    assert RELIEF_S - 0.1 < relieved.buffered_s < RELIEF_S < PRESSURE_S
    speaker.told.clear()
    speaker.say(10.0)
    speaker.voice.clear()
    assert speaker.told[-1] == Pressure(False, 0.0)
    assert len(speaker.told) == 2


def test_what_was_said_is_what_is_played() -> None:
    speaker = Speaker()
    said = np.arange(1, 4_801, dtype=np.int16)
    speaker.voice.push(said.tobytes(), 48_000, speaker.now)
    speaker.voice.mark("in the middle")
    frames: list[np.ndarray[tuple[int], np.dtype[np.int16]]] = []
    for _ in range(5):
        speaker.now += FRAME_S
        frame = speaker.voice.pull(960, speaker.now)
        assert frame is not None
        frames.append(frame)
    assert np.array_equal(np.concatenate(frames), said)
