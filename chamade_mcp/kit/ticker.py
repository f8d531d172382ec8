"""The audio clock: one 20 ms beat for the whole process.

All calls and rooms are served in one beat, in three phases, so that audio crosses a call and an embedded
room without waiting for the next one: agents' voices are gathered, rooms mix, agents hear.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from chamade_mcp.audio.frame import FRAME_S

log = logging.getLogger(__name__)

Beat = Callable[[float], None]
"""Called with the beat's due time on the event loop's clock. Must not block."""

_RESYNC_AFTER = 10
"""Beats. A longer stall is skipped, not replayed: late audio is worse than lost audio."""


class Phase(IntEnum):
    GATHER = 0
    """Calls take their agents' audio and hand it to their legs."""
    MIX = 1
    """Embedded rooms mix."""
    DELIVER = 2
    """Calls take the rooms' audio and hand it to their agents."""


@dataclass(slots=True)
class TickerStats:
    beats: int = 0
    skipped: int = 0
    late_max_s: float = 0.0


class Ticker:
    """Beats only while somebody listens. Not thread-safe: belongs to the running event loop."""

    def __init__(self) -> None:
        self.stats = TickerStats()
        self._phases: tuple[dict[int, Beat], ...] = ({}, {}, {})
        self._next_id = 0
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def register(self, phase: Phase, beat: Beat) -> Callable[[], None]:
        """Calls `beat` every 20 ms until the returned function is called (twice is harmless)."""
        self._next_id += 1
        token = self._next_id
        self._phases[phase][token] = beat
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._due = loop.time() + FRAME_S
            self._handle = loop.call_at(self._due, self._run, loop)

        def cancel() -> None:
            self._phases[phase].pop(token, None)

        return cancel

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        if not any(self._phases):
            self._handle = None
            return
        due = self._due
        self.stats.beats += 1
        self.stats.late_max_s = max(self.stats.late_max_s, loop.time() - due)
        for listeners in self._phases:
            for token, beat in list(listeners.items()):
                if token not in listeners:  # cancelled by another beat of this phase
                    continue
                try:
                    beat(due)
                except Exception:  # one broken listener must not silence the others
                    log.exception("audio beat failed; its listener is dropped from the clock")
                    listeners.pop(token, None)
        self._due = due + FRAME_S
        behind = int((loop.time() - self._due) / FRAME_S)
        if behind > _RESYNC_AFTER:
            self.stats.skipped += behind
            self._due += behind * FRAME_S
        self._handle = loop.call_at(self._due, self._run, loop)
