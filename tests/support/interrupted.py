"""A database on which something happens in the wrong moment."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from chamade_mcp.store.database import Database, Transaction

T = TypeVar("T")


class Interrupted(Database):
    """Between a read and its answer something else happens, once."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def read(self, fn: Transaction[T]) -> T:
        result = await super().read(fn)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return result
