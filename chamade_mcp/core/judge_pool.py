"""Judges of speech, made off the event loop and used again."""

import asyncio
import logging
from collections.abc import Callable

from chamade_mcp.audio.judges import Judge, best_judge

log = logging.getLogger(__name__)

MOST_FREE = 8
"""Kept for the next; the rest of a busy hour is let go."""


class JudgePool:
    """`audio.voice_activity.Judges`. One is always on its way before it is needed."""

    def __init__(self, make: Callable[[], Judge] | None = None) -> None:
        self._make = make or best_judge()
        self._free: list[Judge] = []
        self._coming: asyncio.Future[Judge] | None = None
        self._broken = False

    def take(self) -> Judge | None:
        judge = self._free.pop() if self._free else None
        self.prepare()
        return judge

    def give(self, judge: Judge) -> None:
        if len(self._free) < MOST_FREE:
            judge.reset()
            self._free.append(judge)

    def prepare(self) -> None:
        """Somebody will need one soon."""
        if not self._free and self._coming is None and not self._broken:
            self._coming = asyncio.get_running_loop().run_in_executor(None, self._make)
            self._coming.add_done_callback(self._arrived)

    def _arrived(self, coming: asyncio.Future[Judge]) -> None:
        self._coming = None
        if coming.cancelled():
            return
        error = coming.exception()
        if error is None:
            self._free.append(coming.result())
        else:
            self._broken = True
            log.error("speech cannot be told from other sounds: no speech events", exc_info=error)
