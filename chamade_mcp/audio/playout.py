"""A one-way jitter buffer: absorbs the phase and the jitter between a producer and the 20 ms beat."""

from collections import deque
from dataclasses import dataclass
from itertools import islice
from math import inf

import numpy as np

from chamade_mcp.audio.drift import DriftBand, DriftGuard, bend
from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.hasten import LONGEST_S, hasten, splice
from chamade_mcp.audio.lateness import Lateness

_MERGE_BELOW_S = FRAME_S / 2
_MARGIN_STEP_S = 0.005
_RELAX_PER_S = 0.003
_UNDERRUN_WITHIN_S = 0.1
"""Sound that resumes later than this after running dry is a new burst, not a late one."""
_QUIET_SHARE = 0.1
_QUIET_POWER = 1.0e4
"""Mean square of a frame that nobody misses: 50 dB below full scale."""
_TRIM_GAP_S = 0.06
"""At least so much is played between two places where something that is not quiet was left out."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How a buffer trades latency against gaps. Seconds."""

    budget_s: float
    """More than this is never held: the oldest is dropped."""
    margin_s: float
    """How long samples wait at least before playout starts. Zero: what is there is played."""
    margin_max_s: float
    """How far underruns may raise the margin."""
    trim_over_s: float | None
    """Delay that may stay, on top of the margin and what the phase of pushes and beats makes. None: all is
    played, however late."""
    trim_after_s: float = 0.4
    """How long there must constantly be more, until a quiet frame, or a period of a voice, is left out."""
    trim_any_after_s: float = 4.0
    """How long, until any frame is."""
    ahead_s: float = inf
    """A producer that has pushed so much more than real time is not late: it has queued on purpose, and all
    of it is played."""
    drift: DriftBand | None = None
    """Where a producer's clock is followed."""


LIVE = Profile(
    budget_s=0.4,
    margin_s=0.005,
    margin_max_s=0.06,
    trim_over_s=0.025,
    drift=DriftBand(over_s=0.007),
)
"""Microphones: late audio is worse than lost audio."""
QUEUED = Profile(
    budget_s=120.0,
    margin_s=0.005,
    margin_max_s=0.06,
    trim_over_s=0.025,
    trim_any_after_s=inf,
    ahead_s=0.1,
    drift=DriftBand(over_s=0.007),
)
"""Agents, which push whole sentences at once, or stream: then the delay that hiccups have added is taken out
of their pauses and of repeated periods of their voice, never out of what they say."""
DIRECT = Profile(
    budget_s=4 * FRAME_S,
    margin_s=0.0,
    margin_max_s=0.0,
    trim_over_s=0.0,
    trim_after_s=0.1,
    trim_any_after_s=0.0,
)
"""Pushed and pulled within the same beat: adds no latency."""


@dataclass(frozen=True, slots=True)
class PlayoutStats:
    """Counts of samples since the start; `pushed = pulled + dropped + trimmed + cleared + buffered`."""

    pushed: int
    pulled: int
    dropped: int
    """Lost because the budget was exceeded."""
    trimmed: int
    """Left out to bring the latency down."""
    cleared: int
    padded: int
    """Silence added to complete a frame; not part of `pulled`."""
    underruns: int
    """How often the source fell behind in mid-stream."""
    buffered: int
    stretched: int
    """Samples added to follow a slow producer's clock; not part of `pulled`."""
    shortened: int
    """Samples taken out to follow a fast one's; part of `pulled`."""


class _Chunk:
    __slots__ = ("data", "end", "first_at", "last_at", "start")

    def __init__(self, data: Samples, end: int, at: float) -> None:
        self.data = data
        self.start = 0
        self.end = end
        self.first_at = at
        self.last_at = at


class PlayoutBuffer:
    """Samples of one stream, pushed when they come and pulled by the beat. Single-threaded.

    Times are seconds on the caller's monotonic clock. Arrays are handed through uncopied where possible:
    nobody may write to one that was pushed or pulled.
    """

    def __init__(self, format: AudioFormat, profile: Profile = LIVE) -> None:
        self.format = format
        self.profile = profile
        rate_hz = format.rate_hz
        self._budget = round(profile.budget_s * rate_hz)
        self._merge_below = round(_MERGE_BELOW_S * rate_hz)
        self._margin_s = profile.margin_s
        self._chunks: deque[_Chunk] = deque()
        self._buffered = 0
        self._playing = False
        self._dry_since: float | None = None
        self._lateness = Lateness(rate_hz, profile.trim_after_s)
        self._trim_from = -inf
        self._power = 0.0
        self._pushed = self._pulled = self._dropped = self._trimmed = self._cleared = 0
        self._padded = self._underruns = 0
        self._stretched = self._shortened = 0
        self._drift = DriftGuard(profile.drift, rate_hz) if profile.drift is not None else None

    @property
    def buffered(self) -> int:
        """Samples held."""
        return self._buffered

    @property
    def pushed(self) -> int:
        """Samples taken since the start; those held are the newest of them."""
        return self._pushed

    @property
    def playing(self) -> bool:
        """Playout has started and has not run dry."""
        return self._playing

    @property
    def margin_s(self) -> float:
        """The margin in force."""
        return self._margin_s

    @property
    def stats(self) -> PlayoutStats:
        return PlayoutStats(
            pushed=self._pushed,
            pulled=self._pulled,
            dropped=self._dropped,
            trimmed=self._trimmed,
            cleared=self._cleared,
            padded=self._padded,
            underruns=self._underruns,
            buffered=self._buffered,
            stretched=self._stretched,
            shortened=self._shortened,
        )

    def push(self, samples: Samples, at: float) -> None:
        """Takes any number of samples. Over budget the oldest are dropped, and counted."""
        count = len(samples)
        if not count:
            return
        self._lateness.pushed(count, at)
        self._pushed += count
        if self._drift is not None:
            self._drift.pushed(count, at)
        if self._dry_since is not None:
            self._note_underrun(at)
        if count < self._merge_below:
            self._append_small(samples, count, at)
        else:
            self._chunks.append(_Chunk(samples, count, at))
        self._buffered += count
        if self._buffered > self._budget:
            self._dropped += self._skip(self._buffered - self._budget)

    def pull(self, count: int, at: float) -> Samples | None:
        """Exactly `count` samples, the end of a burst completed with silence; None: nothing to play."""
        if not self._playing:
            if not self._buffered or not self._may_start(count, at):
                return None
            self._playing = True
            self._lateness.reset(at)
            if self._drift is not None:
                self._drift.reset()
        if self._buffered < count:
            return self._run_dry(count, at)
        if self._margin_s > self.profile.margin_s:
            relaxed_s = self._margin_s - _RELAX_PER_S * count / self.format.rate_hz
            self._margin_s = max(relaxed_s, self.profile.margin_s)
        if self.profile.trim_over_s is not None:
            trimmed = self._trim(count, at, self.profile.trim_over_s)
            if trimmed is not None:
                return trimmed
        if self._drift is not None:
            behind = inf if self._is_ahead else self._buffered - count
            step = self._drift.step(self._spare(count, at), behind, self._margin_s, count, at)
            if step and self._buffered >= count - step:
                return self._bent(count, step)
        self._pulled += count
        return self._take(count)

    def clear(self) -> int:
        """Forgets all that is held; returns how many samples that was."""
        count = self._buffered
        self._cleared += count
        self._chunks.clear()
        self._buffered = 0
        self._playing = False
        self._dry_since = None
        return count

    def _may_start(self, count: int, at: float) -> bool:
        """Once a whole frame has waited for the margin, or a shorter burst for a frame longer."""
        margin_s = self._margin_s
        if margin_s <= 0.0:
            return True
        latest = at - margin_s + 1e-6
        first = self._chunks[0]
        if first.first_at <= latest - count / self.format.rate_hz:
            return True
        size = first.end - first.start
        if size < count and count % size:
            return False  # pieces that do not fit into the beat come now earlier, now later
        ready = 0
        for chunk in self._chunks:
            if chunk.last_at > latest:
                break
            ready += chunk.end - chunk.start
            if ready >= count:
                return True
        return False

    def _note_underrun(self, at: float) -> None:
        assert self._dry_since is not None
        if at - self._dry_since < _UNDERRUN_WITHIN_S:
            self._underruns += 1
            self._margin_s = min(self._margin_s + _MARGIN_STEP_S, self.profile.margin_max_s)
        self._dry_since = None

    def _run_dry(self, count: int, at: float) -> Samples | None:
        self._playing = False
        self._dry_since = at
        left = self._buffered
        if not left:
            return None
        frame = np.zeros(count, np.int16)
        frame[:left] = self._take(left)
        self._pulled += left
        self._padded += count - left
        return frame

    def _append_small(self, samples: Samples, count: int, at: float) -> None:
        """Collects crumbs, so that a producer of single samples cannot fill the memory with objects."""
        last = self._chunks[-1] if self._chunks else None
        if last is None or len(last.data) - last.end < count:
            last = _Chunk(np.empty(self.format.frame_samples, np.int16), 0, at)
            self._chunks.append(last)
        last.data[last.end : last.end + count] = samples
        last.end += count
        last.last_at = at

    def _take(self, count: int) -> Samples:
        head = self._chunks[0]
        self._buffered -= count
        if head.end - head.start > count:
            start = head.start
            head.start = start + count
            return head.data[start : start + count]
        if head.end - head.start == count:
            self._chunks.popleft()
            return head.data if len(head.data) == count else head.data[head.start : head.end]
        frame = np.empty(count, np.int16)
        filled = 0
        while filled < count:
            head = self._chunks[0]
            part = head.data[head.start : min(head.end, head.start + count - filled)]
            frame[filled : filled + len(part)] = part
            filled += len(part)
            head.start += len(part)
            if head.start == head.end:
                self._chunks.popleft()
        return frame

    def _skip(self, count: int) -> int:
        left = count
        while left:
            head = self._chunks[0]
            step = min(left, head.end - head.start)
            head.start += step
            left -= step
            if head.start == head.end:
                self._chunks.popleft()
        self._buffered -= count
        return count

    def _trim(self, count: int, at: float, over_s: float) -> Samples | None:
        """A frame under which a little was left out, when the backlog has stayed and the sound allows it."""
        lateness = self._lateness
        lateness.watch(self._buffered, count, at, self._margin_s + over_s, ahead=self._is_ahead)
        if lateness.excess <= 0 or lateness.since is None or self._buffered < 2 * count:
            self._power = 0.0
            return None
        left_out = self._peek(count)
        if not self._is_quiet(left_out):
            if at < self._trim_from:
                return None
            if at - lateness.since < self.profile.trim_any_after_s:
                return self._hastened(count, at)
            self._trim_from = at + _TRIM_GAP_S
        self._leave_out(count)
        kept = self._take(count)
        self._pulled += count
        return splice(left_out, kept, self.format.rate_hz)

    def _hastened(self, count: int, at: float) -> Samples | None:
        """A frame with a period of its sound left out, where it has one."""
        longest = round(LONGEST_S * self.format.rate_hz)
        if self._buffered < count + longest:
            return None
        self._trim_from = at + _TRIM_GAP_S  # also of a sound without a period: looking for one takes time
        found = hasten(self._peek(count + longest), count, self.format.rate_hz)
        if found is None:
            return None
        frame, left_out = found
        self._leave_out(left_out)
        self._skip(count)
        self._pulled += count
        return frame

    def _leave_out(self, count: int) -> None:
        self._trimmed += self._skip(count)
        self._lateness.left_out(count)

    @property
    def _is_ahead(self) -> bool:
        return self._lateness.lead_s > self.profile.ahead_s

    def _spare(self, count: int, at: float) -> float:
        """How long the last sample of the frame to come has waited."""
        left = count
        for chunk in self._chunks:
            held = chunk.end - chunk.start
            if held >= left:
                break
            left -= held
        else:
            raise AssertionError("asked for more than there is")
        # Crumbs of one chunk came one after the other; anything else came at once.
        share = (chunk.start + left) / chunk.end
        return at - chunk.first_at - (chunk.last_at - chunk.first_at) * share

    def _bent(self, count: int, step: int) -> Samples:
        self._pulled += count - step
        if step > 0:
            self._stretched += 1
        else:
            self._shortened += 1
        return bend(self._take(count - step), count)

    def _peek(self, count: int) -> Samples:
        head = self._chunks[0]
        if head.end - head.start >= count:
            return head.data[head.start : head.start + count]
        parts: list[Samples] = []
        missing = count
        for chunk in islice(self._chunks, count):
            parts.append(chunk.data[chunk.start : min(chunk.end, chunk.start + missing)])
            missing -= len(parts[-1])
            if not missing:
                break
        return np.concatenate(parts)

    def _is_quiet(self, frame: Samples) -> bool:
        wave = frame.astype(np.float32)
        power = float(wave @ wave) / len(wave)
        quiet = power < max(_QUIET_POWER, self._power * _QUIET_SHARE)
        self._power = max(power, self._power * 0.98)
        return quiet
