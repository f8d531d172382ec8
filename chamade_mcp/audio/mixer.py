"""N-way mixing: every member hears the sum of all the others, never itself."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.audio.meter import FLOOR, RELEASE, rms

Source: TypeAlias = Callable[[int, float], Samples | None]
"""`source(count, at)`: exactly `count` samples, or None for silence. `PlayoutBuffer.pull` is one."""
Sink: TypeAlias = Callable[[Samples | None, float], None]
"""`sink(samples, at)`: 20 ms of the others, or None when all of them are silent."""

K = TypeVar("K", bound=Hashable)
_Wide: TypeAlias = NDArray[np.int32]

_LOWEST = np.array(-32768, np.int32)  # as arrays, since a number is converted anew by every call
_HIGHEST = np.array(32767, np.int32)


class Summer:
    """Saturating sums of equally long frames. One per mixer: it keeps its scratch memory."""

    def __init__(self, frame_samples: int) -> None:
        self._total = np.empty(frame_samples, np.int32)
        self._rest = np.empty(frame_samples, np.int32)

    def total(self, frames: Sequence[Samples]) -> Samples | None:
        """The sum of `frames`: None of none, of one that very array."""
        if len(frames) < 2:
            return frames[0] if frames else None
        return _saturated(self._accumulate(frames), self._rest)

    def all_but_each(self, frames: Sequence[Samples]) -> tuple[Samples | None, list[Samples | None]]:
        """The sum of all `frames`, and for each of them the sum of the others."""
        if len(frames) < 2:
            return (frames[0] if frames else None), [None] * len(frames)
        total = self._accumulate(frames)
        if len(frames) == 2:
            return _saturated(total, self._rest), [frames[1], frames[0]]
        others: list[Samples | None] = [
            _saturated(np.subtract(total, frame, out=self._rest), self._rest) for frame in frames
        ]
        return _saturated(total, self._rest), others

    def _accumulate(self, frames: Sequence[Samples]) -> _Wide:
        total = np.add(frames[0], frames[1], out=self._total, dtype=np.int32)
        for frame in frames[2:]:
            np.add(total, frame, out=total)
        return total


def _saturated(wide: _Wide, scratch: _Wide) -> Samples:
    return wide.clip(_LOWEST, _HIGHEST, out=scratch).astype(np.int16)


class _Member(Generic[K]):
    __slots__ = ("key", "level", "sink", "source")

    def __init__(self, key: K, source: Source, sink: Sink) -> None:
        self.key = key
        self.source = source
        self.sink = sink
        self.level = 0.0


class Mixer(Generic[K]):
    """A room's mix. Members may come and go at any time, from within a tick too: it counts from the next one.

    Frames are handed on uncopied where possible: a sink must not write to what it gets.
    """

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self._members: dict[K, _Member[K]] = {}
        self._order: tuple[_Member[K], ...] = ()
        self._summer = Summer(format.frame_samples)
        self.audible: list[tuple[K, Samples]] = []
        """Who was heard in the latest tick, and what they said."""

    def __len__(self) -> int:
        return len(self._members)

    def add(self, key: K, source: Source, sink: Sink) -> None:
        """Replaces an earlier member of the same key."""
        self._members[key] = _Member(key, source, sink)
        self._order = tuple(self._members.values())

    def remove(self, key: K) -> None:
        """Removing one who is not there is harmless."""
        if self._members.pop(key, None) is not None:
            self._order = tuple(self._members.values())

    def tick(self, at: float) -> bool:
        """Mixes 20 ms; tells whether anybody was audible. Silent members cost next to nothing."""
        count = self.format.frame_samples
        members = self._order
        audible: list[Samples] = []
        self.audible.clear()
        speakers: list[int] = []
        for index, member in enumerate(members):
            frame = member.source(count, at)
            if frame is None:
                if member.level:
                    member.level = member.level * RELEASE if member.level > FLOOR else 0.0
            else:
                audible.append(frame)
                self.audible.append((member.key, frame))
                speakers.append(index)
                member.level = max(rms(frame), member.level * RELEASE)
        total, others = self._summer.all_but_each(audible)
        turn = 0
        for index, member in enumerate(members):
            if turn < len(speakers) and speakers[turn] == index:
                member.sink(others[turn], at)
                turn += 1
            else:
                member.sink(total, at)
        return bool(audible)

    def levels(self) -> dict[K, float]:
        """The loudness of each member who is audible: RMS 0-1, at once up and slowly down."""
        return {key: member.level for key, member in self._members.items() if member.level > FLOOR}
