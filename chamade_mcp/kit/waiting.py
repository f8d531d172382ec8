"""Waiting for several things at once, and finishing what was begun."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_unfinished: set[asyncio.Task[Any]] = set()
"""The event loop holds its tasks weakly."""
_lasting: set[asyncio.Task[Any] | None] = set()


async def race(*contenders: Awaitable[Any]) -> Sequence[asyncio.Future[Any]]:
    """Waits until the first of them is done; the others are cancelled, and gone when this returns.

    Gives one finished future per contender, in their order: a result, an error or a cancellation.
    """
    running = [asyncio.ensure_future(one) for one in contenders]
    try:
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    return running


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end even when the caller is cancelled meanwhile."""
    task = asyncio.create_task(work)
    _unfinished.add(task)
    # What `asyncio.shield` does, for half of its price: everything that comes in passes here.
    ended: asyncio.Future[None] = task.get_loop().create_future()

    def end(task: asyncio.Task[T]) -> None:
        _unfinished.discard(task)
        if not ended.done():
            ended.set_result(None)
        elif not task.cancelled():
            task.exception()  # nobody is left to hear of it

    task.add_done_callback(end)
    await ended
    return task.result()


class lasting:
    """Inside, the running task is one that nobody cancels before its process ends: what it begins is finished
    without a task of its own. Not to be entered twice by one task."""

    __slots__ = ("_task",)

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        _lasting.add(self._task)

    def __exit__(self, *_: object) -> None:
        _lasting.discard(self._task)


def lasts() -> bool:
    """Whether the running task is inside `lasting`."""
    return asyncio.current_task() in _lasting
