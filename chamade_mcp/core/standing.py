"""Whether what somebody came in with is still good, for as long as they stay."""

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection

from chamade_mcp.core.credentials import credential_of, lapsed, void
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Unauthenticated, Unavailable
from chamade_mcp.model.ids import GrantId, KeyId
from chamade_mcp.store.database import Database

log = logging.getLogger(__name__)

LOOK_AGAIN_S: Final = 5.0
"""What ends by itself, as a key that expires, is seen so late at most."""


class Standing:
    """Watches keys, grants and browser sessions. A grant's access tokens may come and go."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._watched: dict[str, set[asyncio.Event]] = {}

    async def revoked(self, holder: KeyId | GrantId) -> None:
        """A key or a grant has ended, in whatever process."""
        for gone in self._watched.get(holder, ()):
            gone.set()

    async def lost(self, principal: Principal) -> Unauthenticated:
        """Returns once what `principal` came in with lets nobody in any more, and says why."""
        credential = credential_of(principal)
        with self._watch(credential) as gone:
            # Watched first, looked up second: a revocation in between is seen by one or the other.
            while not gone.is_set() and await self._is_good(credential):
                await race(gone.wait(), self._clock.sleep(LOOK_AGAIN_S))
            how = "REVOKED" if gone.is_set() else "EXPIRED"
        if principal.key is not None:
            return Unauthenticated(code=f"{how}_API_KEY")
        if principal.grant is not None:
            return Unauthenticated(code=f"{how}_ACCESS_TOKEN")
        return Unauthenticated("Please sign in again", code="SESSION_ENDED")

    @contextmanager
    def _watch(self, credential: str) -> Generator[asyncio.Event]:
        gone = asyncio.Event()
        watchers = self._watched.setdefault(credential, set())
        watchers.add(gone)
        try:
            yield gone
        finally:
            watchers.discard(gone)
            if not watchers:
                self._watched.pop(credential, None)

    async def _is_good(self, credential: str) -> bool:
        now = self._clock.now()

        def query(conn: Connection) -> bool:
            return not void(conn, [credential], now) and not lapsed(conn, [credential], now)

        try:
            return await self._database.read(query)
        except Unavailable as error:
            log.warning("whether %s still stands is asked again: %s", credential, error)
            return True
