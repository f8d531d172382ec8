"""Who speaks: told from each participant's sound, by counting samples alone.

Costs a comparison per frame for who is silent. From a sound that may be speech until well after it, a judge
is borrowed and listens at 16 kHz.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.judges import JUDGED_HZ, Judge
from chamade_mcp.audio.resample import make_resampler
from chamade_mcp.model.ids import ParticipantRef

ONSET_S = 0.06
"""So much speech, ..."""
ONSET_WITHIN_S = 0.1
"""... within so much time, is somebody who starts to speak: a click or a cough is shorter."""
HANGOVER_S = 0.4
"""So much without speech is somebody who has stopped: the pauses between words are shorter."""

_FAINT = 200
"""Samples all below this, -44 dBFS, are not worth a judge."""
_TAIL_S = 0.6
"""A judge listens on for so long after the last sound above that: longer than the hangover."""
_MOST_WAITING_S = 1.0
"""Sound that waits for a judge."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    ref: ParticipantRef
    ago_s: float
    """Before the end of the frame it was told with."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    ref: ParticipantRef
    ago_s: float


SpeechNews = SpeechStarted | SpeechStopped


class Judges(Protocol):
    """Who lends a `Judge` for a while."""

    def take(self) -> Judge | None:
        """None: none is ready. Another will be, so ask again. Must not block."""
        ...

    def give(self, judge: Judge) -> None: ...

    def prepare(self) -> None:
        """Somebody will need one soon. Must not block."""
        ...


class SpeechWatch:
    """Everybody in one call."""

    def __init__(self, native: AudioFormat, judges: Judges) -> None:
        self._native = native
        self._judges = judges
        self._silence: Samples = np.zeros(native.frame_samples, np.int16)
        self._sounding: dict[ParticipantRef, _Sounding] = {}

    def hear(self, each: Sequence[tuple[ParticipantRef, Samples]]) -> list[SpeechNews]:
        """20 ms of all who are audible; who is not among them is silent."""
        news: list[SpeechNews] = []
        silent = dict(self._sounding)
        for ref, frame in each:
            loud = bool(frame.max() >= _FAINT or frame.min() <= -_FAINT)
            sounding = silent.pop(ref, None)
            if sounding is None and loud:
                sounding = self._sounding[ref] = _Sounding(ref, self._native, self._judges)
            if sounding is not None:
                self._listen(sounding, frame, loud, news)
        for sounding in silent.values():
            self._listen(sounding, self._silence, False, news)
        return news

    def close(self) -> None:
        """Gives every judge back. Who speaks is not told to have stopped."""
        for sounding in self._sounding.values():
            sounding.close()
        self._sounding.clear()

    def _listen(self, sounding: "_Sounding", frame: Samples, loud: bool, news: list[SpeechNews]) -> None:
        sounding.hear(frame, loud, news.append)
        if sounding.over:
            sounding.close()
            del self._sounding[sounding.ref]


class _Sounding:
    """One participant, from a sound above `_FAINT` to `_TAIL_S` after the last."""

    def __init__(self, ref: ParticipantRef, native: AudioFormat, judges: Judges) -> None:
        self.ref = ref
        self._judges = judges
        self._judge = judges.take()
        self._resampler = make_resampler(native.rate_hz, JUDGED_HZ)
        self._waiting: Samples = np.zeros(0, np.int16)
        self._quiet_s = 0.0
        self._verdicts: deque[bool] = deque()
        """Of the windows of the last `ONSET_WITHIN_S`, while nobody speaks."""
        self._speaking = False
        self._pause_s = 0.0

    @property
    def over(self) -> bool:
        return self._quiet_s >= _TAIL_S and not self._speaking

    def hear(self, frame: Samples, loud: bool, tell: Callable[[SpeechNews], None]) -> None:
        self._quiet_s = 0.0 if loud else self._quiet_s + FRAME_S
        self._waiting = np.concatenate((self._waiting, self._resampler.push(frame)))
        judge = self._judge = self._judge or self._judges.take()
        if judge is None:
            self._waiting = self._waiting[-round(_MOST_WAITING_S * JUDGED_HZ) :]
            return
        start = 0
        while start + judge.window <= len(self._waiting):
            window = self._waiting[start : start + judge.window]
            start += judge.window
            # Whatever a judge thinks of silence: who makes no sound does not speak.
            speech = judge.hears_speech(window) and self._quiet_s < _TAIL_S
            self._weigh(speech, judge.window / JUDGED_HZ, (len(self._waiting) - start) / JUDGED_HZ, tell)
        self._waiting = self._waiting[start:]

    def close(self) -> None:
        if self._judge is not None:
            self._judges.give(self._judge)
            self._judge = None

    def _weigh(
        self, speech: bool, window_s: float, behind_s: float, tell: Callable[[SpeechNews], None]
    ) -> None:
        """One verdict, of a window that ended `behind_s` ago."""
        if self._speaking:
            self._pause_s = 0.0 if speech else self._pause_s + window_s
            if self._pause_s >= HANGOVER_S:
                self._speaking = False
                tell(SpeechStopped(self.ref, behind_s + self._pause_s))
            return
        self._verdicts.append(speech)
        if len(self._verdicts) > max(1, round(ONSET_WITHIN_S / window_s)):
            self._verdicts.popleft()
        if speech and sum(self._verdicts) >= round(ONSET_S / window_s):
            since = len(self._verdicts) - self._verdicts.index(True)
            self._speaking, self._pause_s = True, 0.0
            self._verdicts.clear()
            tell(SpeechStarted(self.ref, behind_s + since * window_s))
