"""Waiting for what other threads bring, within a bound."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

BOUND_S = 20.0
"""Long for a machine that does other things beside; who waits in vain has failed anyway."""


async def until(condition: Callable[[], object], *, bound_s: float = BOUND_S) -> None:
    """Returns once `condition()` is true; raises `TimeoutError` when it never is."""
    async with asyncio.timeout(bound_s):
        while not condition():  # noqa: ASYNC110 - what it is about happens in another thread
            await asyncio.sleep(0.001)


async def until_told(ask: Callable[[], Awaitable[object]], *, bound_s: float = 2 * BOUND_S) -> None:
    """Asks again until what is told is true, a few times a second; raises `TimeoutError` when it never is."""
    async with asyncio.timeout(bound_s):
        while not await ask():  # noqa: ASYNC110 - what it is about happens in another program
            await asyncio.sleep(0.05)


class Gate(asyncio.Event):
    """Tells that somebody stands before it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.reached.set()
        return await super().wait()
