"""A database on which something happens in the wrong moment."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from chamade_mcp.store.database import Database, Transaction
from tests.support.waiting import Gate

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


class Held(Database):
    """What is to be written waits at the gate, and passes in the order in which it came."""

    gate: Gate | None = None
    waiting = 0

    async def write(self, fn: Transaction[T]) -> T:
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
            self.waiting -= 1
        return await super().write(fn)

    def write_together(self, fn: Any, item: Any, then: Any = None) -> Awaitable[Any]:
        return self._together(fn, item, then)

    async def _together(self, fn: Any, item: Any, then: Any) -> Any:
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
            self.waiting -= 1
        return await super().write_together(fn, item, then)

    async def at_once(
        self, first: Coroutine[Any, Any, object], *then: Coroutine[Any, Any, object]
    ) -> list[Any]:
        """What comes of each: all have begun before the first of them has written."""
        self.gate = Gate()
        acts = [asyncio.create_task(first)]
        await self.gate.reached.wait()
        for act in then:
            acts.append(asyncio.create_task(act))
            await asyncio.sleep(0)
        self.gate.set()
        return await asyncio.gather(*acts, return_exceptions=True)
