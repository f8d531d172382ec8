"""One recording of a live call: takes each beat's sounds on the event loop, and hands them to the thread that
writes, a second at a time."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

from chamade_mcp.audio.frame import FRAME_MS, FRAME_S, Samples
from chamade_mcp.core.records import CallRecord
from chamade_mcp.model.ids import ParticipantRef, RecordingId
from chamade_mcp.model.recording import RecordingFormat, StopReason
from chamade_mcp.store.reel import AGENT, Block, Reel

BLOCK_BEATS = 50
MAX_BEHIND = 30
"""Blocks that wait for a slow disk, at most; what comes then is lost, and counted."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What does not change in a recording's life."""

    id: RecordingId
    call: CallRecord
    format: RecordingFormat
    announced: bool
    """The people were told by their platform."""
    started_at: datetime


class Recorder:
    def __init__(
        self, about: Recording, reel: Reel, hands: Executor, name_of: Callable[[ParticipantRef], str]
    ) -> None:
        """`hands` does one thing after the other."""
        self.about = about
        self.lost_ms = 0
        self._reel = reel
        self._hands = hands
        self._name_of = name_of
        self._began: float | None = None
        self._start = 0
        """The first beat of the block that is under way."""
        self._next = 0
        self._sounds: list[tuple[int, ParticipantRef, Samples]] = []
        self._gap = 0
        """Beats of silence that nobody was told to write yet."""
        self._handed = 0
        self._written = 0
        """Counted by the thread alone."""

    @property
    def failure(self) -> StopReason | None:
        """Why it cannot go on."""
        return self._reel.failure

    @property
    def size_bytes(self) -> int:
        return self._reel.size_bytes

    @property
    def duration_ms(self) -> int:
        return self._next * FRAME_MS

    async def open(self) -> None:
        """Raises `OSError`."""
        await asyncio.get_running_loop().run_in_executor(self._hands, self._reel.open)

    def take(
        self, at: float, others: Sequence[tuple[ParticipantRef, Samples]], agents: Sequence[Samples]
    ) -> None:
        """20 ms of the call at the beat `at`. Beats may be missing, as after a stall."""
        if self._began is None:
            self._began = at
        beat = max(self._next, round((at - self._began) / FRAME_S))
        if beat - self._start >= BLOCK_BEATS:
            self._hand_over(beat)
        self._next = beat + 1
        within = beat - self._start
        for ref, samples in others:
            self._sounds.append((within, ref, samples))
        for samples in agents:
            self._sounds.append((within, AGENT, samples))

    async def close(self) -> None:
        """Writes what is left. Nothing may be taken any more."""
        self._hand_over(self._next)
        await asyncio.get_running_loop().run_in_executor(self._hands, self._reel.close)

    def _hand_over(self, until: int) -> None:
        beats, sounds = min(until - self._start, BLOCK_BEATS), self._sounds
        after = until - self._start - beats
        self._start, self._sounds = until, []
        if beats == 0:
            return
        if self._handed - self._written >= MAX_BEHIND:
            self.lost_ms += beats * FRAME_MS
            self._gap += beats + after
            return
        if self._gap:
            self._submit(Block(self._gap))
        self._gap = after
        names = {ref: self._name_of(ref) for ref in {ref for _, ref, _ in sounds}}
        self._submit(Block(beats, sounds, names))

    def _submit(self, block: Block) -> None:
        self._handed += 1
        self._hands.submit(self._write, block)

    def _write(self, block: Block) -> None:
        self._reel.write(block)
        self._written += 1
