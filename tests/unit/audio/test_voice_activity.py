"""Who speaks, as beats of sound say; what is speech says a judge that goes by loudness alone."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.judges import Judge
from chamade_mcp.audio.voice_activity import (
    HANGOVER_S,
    SpeechNews,
    SpeechStarted,
    SpeechStopped,
    SpeechWatch,
)
from chamade_mcp.model.ids import ParticipantRef
from tests.support.judges import LOUD, Lender, LoudJudge

ANN, BOB = ParticipantRef("ann"), ParticipantRef("bob")
WIDE = AudioFormat(48_000)
FAINT = 150


class Room:
    def __init__(self, format: AudioFormat = WIDE, window_s: float = 0.02) -> None:
        self.format = format
        self.lender = Lender(window_s)
        self.watch = SpeechWatch(format, self.lender)
        self.now = 0.0
        self.told: list[tuple[str, SpeechNews]] = []

    def beats(self, seconds: float, **levels: int) -> None:
        """All who are named sound like that; the others are not heard at all."""
        for _ in range(round(seconds / FRAME_S)):
            self.now += FRAME_S
            sounds = [(ParticipantRef(who), self._square(level)) for who, level in levels.items()]
            self.told += [(f"{self.now:.2f}", news) for news in self.watch.hear(sounds)]

    def _square(self, level: int) -> Samples:
        frame = np.full(self.format.frame_samples, level, np.int16)
        frame[::40] *= -1
        return frame

    @property
    def news(self) -> list[SpeechNews]:
        return [news for _, news in self.told]

    def when(self) -> list[float]:
        """When each began or ended, by its own account."""
        return [round(float(told) - news.ago_s, 2) for told, news in self.told]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("window_s", [0.02, 0.032])
def test_speech_is_told_soon_and_when_it_began(rate_hz: int, window_s: float) -> None:
    room = Room(AudioFormat(rate_hz), window_s)
    room.beats(1.0)
    room.beats(1.0, ann=LOUD)
    room.beats(1.0)
    started, stopped = room.news
    assert (type(started), started.ref) == (SpeechStarted, ANN)
    assert (type(stopped), stopped.ref) == (SpeechStopped, ANN)
    assert float(room.told[0][0]) - 1.0 <= 0.06 + window_s + FRAME_S
    assert float(room.told[1][0]) - 2.0 <= HANGOVER_S + window_s + 2 * FRAME_S
    began, ended = room.when()
    assert abs(began - 1.0) <= 0.04
    assert abs(ended - 2.0) <= 0.06


@pytest.mark.parametrize("seconds", [0.02, 0.04])
def test_a_click_is_not_speech(seconds: float) -> None:
    room = Room()
    for _ in range(5):
        room.beats(seconds, ann=LOUD)
        room.beats(0.2)
    assert room.news == []


def test_a_pause_between_words_is_no_end() -> None:
    room = Room()
    for pause in (0.1, 0.3, 0.36):
        room.beats(0.3, ann=LOUD)
        room.beats(pause)
    room.beats(0.3, ann=LOUD)
    assert [type(one) for one in room.news] == [SpeechStarted]
    room.beats(0.5, ann=FAINT)
    room.beats(0.3, ann=LOUD)
    assert [type(one) for one in room.news] == [SpeechStarted, SpeechStopped, SpeechStarted]


def test_each_is_told_apart() -> None:
    room = Room()
    room.beats(0.5, ann=LOUD)
    room.beats(0.5, ann=LOUD, bob=LOUD)
    room.beats(1.0, bob=LOUD)
    room.beats(1.0)
    assert [(type(one), one.ref) for one in room.news] == [
        (SpeechStarted, ANN),
        (SpeechStarted, BOB),
        (SpeechStopped, ANN),
        (SpeechStopped, BOB),
    ]
    assert [abs(at - due) <= 0.04 for at, due in zip(room.when(), (0, 0.5, 1.0, 2.0), strict=True)] == [
        True
    ] * 4


def test_who_is_silent_or_faint_needs_no_judge() -> None:
    room = Room()
    room.beats(5.0)
    room.beats(5.0, ann=FAINT, bob=0)
    assert room.lender.lent == []


def test_a_judge_comes_back_once_it_is_quiet() -> None:
    room = Room()
    room.beats(0.5, ann=LOUD)
    assert room.lender.back == []
    room.beats(1.0)
    assert room.lender.back == room.lender.lent
    assert len(room.lender.lent) == 1
    room.beats(0.5, ann=LOUD)
    assert len(room.lender.lent) == 2


def test_sound_waits_for_a_judge() -> None:
    room = Room()
    room.lender.ready = False
    room.beats(0.4, ann=LOUD)
    assert room.news == []
    room.lender.ready = True
    room.beats(0.02, ann=LOUD)
    [started] = room.news
    assert abs(room.when()[0]) <= 0.02
    assert started.ago_s > 0.3


def test_little_sound_waits() -> None:
    room = Room()
    room.lender.ready = False
    room.beats(60.0, ann=LOUD)
    room.lender.ready = True
    room.beats(0.1, ann=LOUD)
    [judge] = room.lender.lent
    assert isinstance(judge, LoudJudge)
    assert judge.heard <= 55, "a second, and not a minute"


def test_a_judge_that_finds_speech_in_silence_is_not_believed() -> None:
    class Dreamer(LoudJudge):
        def hears_speech(self, window: Samples) -> bool:
            return True

    class DreamLender(Lender):
        def take(self) -> Judge | None:
            return Dreamer(0.02)

    watch, told = SpeechWatch(WIDE, DreamLender()), list[SpeechNews]()
    for beat in range(200):
        loud: Sequence[tuple[ParticipantRef, Samples]] = [(ANN, np.full(960, LOUD, np.int16))]
        told += watch.hear(loud if beat < 50 else [])
    assert [type(one) for one in told] == [SpeechStarted, SpeechStopped]


def test_closing_gives_all_back_and_tells_nothing() -> None:
    room = Room()
    room.beats(0.5, ann=LOUD, bob=LOUD)
    room.watch.close()
    assert sorted(map(id, room.lender.back)) == sorted(map(id, room.lender.lent))
    assert len(room.news) == 2


@given(st.lists(st.tuples(st.sampled_from([0, FAINT, LOUD]), st.integers(1, 60)), max_size=20))
def test_starting_and_stopping_take_turns(sounds: list[tuple[int, int]]) -> None:
    room = Room(AudioFormat(16_000))
    for level, beats in sounds:
        room.beats(beats * FRAME_S, ann=level)
    room.beats(2.0)
    kinds = [type(one) for one in room.news]
    assert kinds == [SpeechStarted, SpeechStopped] * (len(kinds) // 2)
    assert all(one.ago_s >= 0 for one in room.news)
    assert room.when() == sorted(room.when())
    longest = max((beats for level, beats in sounds if level == LOUD), default=0)
    assert kinds or longest <= 5
    assert len(room.lender.back) == len(room.lender.lent)
