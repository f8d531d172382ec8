"""When a request is sent again: after 1, 2 and 5 s, never after 401 to 404, never when that might do it
twice."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from chamade_mcp.client.errors import ChamadeError, Refused
from chamade_mcp.model.errors import Action, Outcome

T = TypeVar("T")
NEVER_AGAIN = range(401, 405)

pause = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Retry:
    """Policy of a `Client`. ``Retry(())`` never tries again."""

    delays_s: tuple[float, ...] = (1.0, 2.0, 5.0)
    """Pauses before the second, third, ... attempt; what the gateway asks for is waited for if that is
    longer."""
    patience_s: float = 60.0
    """A gateway that wants more time than this is not waited for. A call's socket that broke is given up
    after it."""

    def delay(self, attempt: int, error: ChamadeError, *, repeatable: bool) -> float | None:
        """Seconds to wait after the failure number `attempt` (from 0); None when that was the last attempt.

        `repeatable`: doing it twice does no harm, so that an unknown outcome is no obstacle.
        """
        if attempt >= len(self.delays_s) or not helps(error):
            return None
        if error.outcome is Outcome.UNKNOWN and not repeatable:
            return None
        wanted = error.retry_after or 0.0
        return max(wanted, self.delays_s[attempt]) if wanted <= self.patience_s else None

    async def run(self, attempt: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
        """What `attempt` returns, at the latest from the last attempt; raises its last error."""
        failures = 0
        while True:
            try:
                return await attempt()
            except ChamadeError as error:
                delay = self.delay(failures, error, repeatable=repeatable)
                if delay is None:
                    raise
            failures += 1
            await pause(delay)


def helps(error: ChamadeError) -> bool:
    """Whether trying again makes sense at all. Who only says "wait" has to say how long."""
    if isinstance(error, Refused) and error.status in NEVER_AGAIN:
        return False
    return error.action is Action.RETRY or (error.action is Action.WAIT and error.retry_after is not None)
