"""A link that lives as long as what keeps it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable

T = TypeVar("T")


class Fate:
    """How a link ends that any of its parts may find broken."""

    def __init__(self) -> None:
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def lost(self, error: AuthNeeded | PlatformUnavailable) -> None:
        """The link ends with `error`; the first word counts."""
        if not self._end.done():
            self._end.set_exception(error)

    async def decided_by(self, call: Awaitable[T]) -> T:
        """What the call gives. That somebody has to sign in again ends the link; who called is told that the
        platform is out of reach."""
        try:
            return await call
        except AuthNeeded as error:
            self.lost(error)
            raise PlatformUnavailable(str(error)) from None

    async def sealed(self) -> None:
        """Never returns; raises what `lost` was told."""
        await self._end


@asynccontextmanager
async def holding(*keepers: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Runs `keepers` beside the body, and ends them after it.

    One that raises cancels the body, and leaves with `AuthNeeded` or `PlatformUnavailable` where it was one.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(keeper) for keeper in keepers]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as broken:
        known = broken.subgroup((AuthNeeded, PlatformUnavailable))
        raise _first(known or broken) from None


def _first(error: BaseException) -> BaseException:
    """Of several, which may have come of groups within."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
