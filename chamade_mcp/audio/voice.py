"""An agent's mouth: speech at any rate in, 20 ms at the room's rate out, with marks in what waits."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

import numpy as np

from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.playout import QUEUED, PlayoutBuffer, PlayoutStats
from chamade_mcp.audio.resample import Resampler, make_resampler
from chamade_mcp.model.audio import Engine

MAX_MARKS = 256
PRESSURE_S = 30.0
"""More than this waiting is told to the agent."""
RELIEF_S = 25.0
"""So is the way back below this. The two differ, or an agent at the limit were told at every beat."""

_KEPT_RATES = 4
"""Converters kept per agent: one that changes its rate with every message shall not fill the memory."""


@dataclass(frozen=True, slots=True)
class MarkPassed:
    name: str
    played: bool
    """All that was pushed before it has been handed to the room; else it was dropped."""


@dataclass(frozen=True, slots=True)
class Pressure:
    high: bool
    buffered_s: float


VoiceNews: TypeAlias = MarkPassed | Pressure
Tell: TypeAlias = Callable[[VoiceNews], None]
"""Must not block: called on the audio beat."""


class TooManyMarks(Exception):
    """`MAX_MARKS` wait already."""


class Voice:
    """Single-threaded. Times are seconds on the caller's monotonic clock."""

    def __init__(self, native: AudioFormat, tell: Tell, engine: Engine = "polyphase") -> None:
        self._engine: Engine = engine
        self._native = native
        self._tell = tell
        self._queue = PlayoutBuffer(native, QUEUED)
        self._mouths: OrderedDict[int, Resampler] = OrderedDict()
        self._speaking_hz: int | None = None
        self._spoke_at = 0.0
        self._began = 0
        """Samples that were played before what is said now."""
        self._marks: deque[tuple[int, str]] = deque()
        """With how many samples must have left the queue."""
        self._pressed = False
        self._pressure = round(PRESSURE_S * native.rate_hz)

    @property
    def stats(self) -> PlayoutStats:
        """In samples at the native rate."""
        return self._queue.stats

    @property
    def buffered_s(self) -> float:
        """How much of what was said is still to be played."""
        return self._queue.buffered / self._native.rate_hz

    @property
    def said_s(self) -> float:
        """How much has been played since there was last nothing to say."""
        return (self._queue.stats.pulled - self._began) / self._native.rate_hz

    @property
    def marks(self) -> int:
        """How many marks wait."""
        return len(self._marks)

    def push(self, data: bytes | memoryview, rate_hz: int, at: float) -> None:
        """PCM s16le; raises `ValueError` on half a sample or an impossible rate."""
        if len(data) % 2:
            raise ValueError("PCM s16le has two bytes per sample")
        samples: Samples = np.frombuffer(data, np.dtype("<i2"))
        mouth = self._mouth(rate_hz)
        if self._speaking_hz is None and not self._queue.buffered:
            self._began = self._queue.stats.pulled
        if self._speaking_hz != rate_hz:
            self._finish(at)
            self._speaking_hz = rate_hz
        self._spoke_at = at
        self._queue.push(mouth.push(samples), at)
        if self._marks:
            self._pass_marks(played=False)  # what is over the budget has pushed out the oldest
        if self._queue.buffered > self._pressure and not self._pressed:
            self._pressed = True
            self._tell(Pressure(True, self.buffered_s))

    def mark(self, name: str) -> None:
        """Tells `MarkPassed` once all that was pushed until now is over; raises `TooManyMarks`."""
        if len(self._marks) >= MAX_MARKS:
            raise TooManyMarks
        held_s = 0.0 if self._speaking_hz is None else self._mouths[self._speaking_hz].delay_s
        self._marks.append((self._queue.pushed + ceil(held_s * self._native.rate_hz), name))
        self._pass_marks(played=True)

    def clear(self) -> float:
        """Forgets what is not yet played; returns how many seconds that was."""
        cleared = self._queue.clear()
        self._finish(0.0)
        self._pass_marks(played=False)
        self._relieve()
        return cleared / self._native.rate_hz

    def pull(self, count: int, at: float) -> Samples | None:
        """20 ms at the native rate, for the mix."""
        if self._speaking_hz is not None and self._queue.buffered < count and at - self._spoke_at >= FRAME_S:
            self._finish(at)
        frame = self._queue.pull(count, at)
        if self._marks:
            self._pass_marks(played=True)
        if self._pressed:
            self._relieve()
        return frame

    def _pass_marks(self, *, played: bool) -> None:
        over = self._speaking_hz is None and not self._queue.buffered
        gone = self._queue.pushed - self._queue.buffered
        while self._marks and (over or self._marks[0][0] <= gone):
            self._tell(MarkPassed(self._marks.popleft()[1], played))

    def _relieve(self) -> None:
        if self._pressed and self.buffered_s < RELIEF_S:
            self._pressed = False
            self._tell(Pressure(False, self.buffered_s))

    def _mouth(self, rate_hz: int) -> Resampler:
        mouth = self._mouths.get(rate_hz)
        if mouth is None:
            mouth = make_resampler(rate_hz, self._native.rate_hz, self._engine)
            self._mouths[rate_hz] = mouth
            if len(self._mouths) > _KEPT_RATES:
                oldest = next(rate for rate in self._mouths if rate not in (rate_hz, self._speaking_hz))
                del self._mouths[oldest]
        else:
            self._mouths.move_to_end(rate_hz)
        return mouth

    def _finish(self, at: float) -> None:
        """Ends a sound. Its last milliseconds, which the filter holds, follow unless it is over already."""
        if self._speaking_hz is None:
            return
        tail = self._mouths[self._speaking_hz].flush()
        self._speaking_hz = None
        if self._queue.playing or self._queue.buffered:
            self._queue.push(tail, at)
