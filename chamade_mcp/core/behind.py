"""What goes on while nobody waits for it, such as after somebody was answered."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Behind:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, object]) -> None:
        """A failure of `work` goes to the log."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("what nobody waits for has failed", exc_info=error)

    async def done(self, within_s: float | None = None) -> None:
        """Returns once nothing is under way; what takes longer than `within_s` is given up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        await self.drop()

    async def drop(self) -> None:
        """Gives up what is under way."""
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
