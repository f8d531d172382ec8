"""Judges of speech that go by loudness alone, and who lends them."""

import numpy as np

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.judges import JUDGED_HZ, Judge

LOUD = 3_000
"""A level that they take for speech."""


class LoudJudge:
    def __init__(self, window_s: float) -> None:
        self.window = round(window_s * JUDGED_HZ)
        self.heard = 0
        self.resets = 0

    def hears_speech(self, window: Samples) -> bool:
        assert len(window) == self.window
        self.heard += 1
        return bool(np.abs(window).mean() > 1_000)

    def reset(self) -> None:
        self.resets += 1


class Lender:
    def __init__(self, window_s: float = 0.02) -> None:
        self._window_s = window_s
        self.ready = True
        self.lent: list[Judge] = []
        self.back: list[Judge] = []

    def take(self) -> Judge | None:
        if not self.ready:
            return None
        self.lent.append(judge := LoudJudge(self._window_s))
        return judge

    def give(self, judge: Judge) -> None:
        self.back.append(judge)

    def prepare(self) -> None: ...
