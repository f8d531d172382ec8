"""What the gateway does for itself, again and again."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.errors import GatewayError

log = logging.getLogger(__name__)


async def forever(
    clock: Clock, every_s: float, chore: Callable[[], Awaitable[object]], words: str
) -> NoReturn:
    """Does the chore now, and again `every_s` after it has ended. A failure goes to the log, in these
    `words`; the next round tries again."""
    while True:
        try:
            await chore()
        except (GatewayError, OSError) as error:
            log.warning("%s: %s", words, error)
        except Exception:  # a defect in one round must not end all that follow
            log.exception("%s", words)
        await clock.sleep(every_s)


@asynccontextmanager
async def background(*works: asyncio.Task[None]) -> AsyncGenerator[None]:
    """Cancels the tasks at the end, and waits for them."""
    try:
        yield
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
