"""Whether the parts work, asked no more often than it makes sense."""

import asyncio
from collections.abc import Sequence

from chamade_mcp.core.health import Health, Part
from chamade_mcp.kit.testing import VirtualClock
from tests.support.house import House
from tests.support.virtual_loop import run_virtual


class Store:
    """A database that answers as it is told, and counts who asks."""

    def __init__(self) -> None:
        self.asked, self.is_written = 0, True

    async def read(self) -> bool:
        self.asked += 1
        return True

    async def write(self) -> bool:
        return self.is_written


def well(parts: Sequence[Part]) -> dict[str, bool]:
    return {part.name: part.is_well for part in parts}


async def test_each_part_is_told_by_itself_and_asked_now_and_then() -> None:
    clock, store, ready = VirtualClock(), Store(), [True]
    health = Health(clock, lambda: ready[0], store.read, store.write)
    assert well(await health.parts()) == {"requests": True, "database": True, "events": True}
    store.is_written = False
    await asyncio.gather(*(health.parts() for _ in range(20)))
    assert store.asked == 1
    await clock.advance(6)
    assert well(await health.parts()) == {"requests": True, "database": True, "events": False}
    assert store.asked == 2
    ready[0] = False
    assert well(await health.parts())["requests"] is False
    assert (health.uptime_s, health.started_at) == (6, VirtualClock().now())


def test_what_takes_too_long_does_not_answer() -> None:
    async def never() -> bool:
        return await asyncio.get_running_loop().create_future()

    async def asked() -> Sequence[Part]:
        return await Health(VirtualClock(), lambda: True, never, Store().write).parts()

    assert well(run_virtual(asked())) == {"requests": True, "database": False, "events": True}


async def test_a_closed_database_neither_answers_nor_is_written(house: House) -> None:
    store = house.overview
    health = Health(house.clock, lambda: True, store.database_answers, store.events_are_kept)
    assert all(well(await health.parts()).values())
    house.database.close()
    await house.clock.advance(6)
    assert well(await health.parts()) == {"requests": True, "database": False, "events": False}
