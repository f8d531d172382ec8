"""What is kept for a while only, and removed in the background."""

import logging
from datetime import timedelta
from functools import partial
from typing import Final

from chamade_mcp.core import event_log, repeats
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.store.database import Database

log = logging.getLogger(__name__)

EVENTS_KEPT: Final = timedelta(days=7)
_SWEEP_EVERY_S: Final = 3600.0
_PAGE: Final = 1_000
"""Events of one account removed in one transaction: other writers wait for it."""


class Retention:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def sweep_forever(self) -> None:
        while True:
            try:
                await self.sweep()
            except GatewayError as error:
                log.warning("what is out of date was not removed this time: %s", error)
            except Exception:
                log.exception("removing what is out of date failed")
            await self._clock.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> int:
        """How many events went."""
        now = self._clock.now()
        await self._database.write(partial(repeats.drop_expired, now=now))
        before = now - EVENTS_KEPT
        dropped = 0
        while page := await self._database.write(partial(event_log.drop_before, moment=before, limit=_PAGE)):
            dropped += page
        return dropped
