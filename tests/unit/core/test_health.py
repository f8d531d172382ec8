"""Whether the parts work, asked no more often than it makes sense."""

import asyncio
from collections.abc import Sequence

from chamade_mcp.core.disk import Disk
from chamade_mcp.core.health import Health, Part
from chamade_mcp.kit.testing import VirtualClock
from tests.support.house import House
from tests.support.virtual_loop import run_virtual

PLENTY = 10**12


class Store:
    """A database that answers as it is told, and counts who asks."""

    def __init__(self) -> None:
        self.asked, self.is_written = 0, True

    async def read(self) -> bool:
        self.asked += 1
        return True

    async def write(self) -> bool:
        return self.is_written


def disk_with(free_bytes: int) -> Disk:
    return Disk(VirtualClock(), lambda: free_bytes, lambda: 0)


def well(parts: Sequence[Part]) -> dict[str, bool]:
    return {part.name: part.is_well for part in parts}


async def test_each_part_is_told_by_itself_and_asked_now_and_then() -> None:
    clock, store, ready = VirtualClock(), Store(), [True]
    health = Health(clock, lambda: ready[0], store.read, store.write, disk_with(PLENTY))
    assert well(await health.parts()) == {"requests": True, "database": True, "events": True, "disk": True}
    store.is_written = False
    await asyncio.gather(*(health.parts() for _ in range(20)))
    assert store.asked == 1
    await clock.advance(6)
    assert well(await health.parts()) == {"requests": True, "database": True, "events": False, "disk": True}
    assert store.asked == 2
    ready[0] = False
    assert well(await health.parts())["requests"] is False
    assert (health.uptime_s, health.started_at) == (6, VirtualClock().now())


def test_what_takes_too_long_does_not_answer() -> None:
    async def never() -> bool:
        return await asyncio.get_running_loop().create_future()

    async def asked() -> Sequence[Part]:
        return await Health(VirtualClock(), lambda: True, never, Store().write, disk_with(PLENTY)).parts()

    assert well(run_virtual(asked())) == {"requests": True, "database": False, "events": True, "disk": True}


async def test_a_closed_database_neither_answers_nor_is_written(house: House) -> None:
    store, disk = house.overview, disk_with(PLENTY)
    health = Health(house.clock, lambda: True, store.database_answers, store.events_are_kept, disk)
    assert all(well(await health.parts()).values())
    house.database.close()
    await house.clock.advance(6)
    assert well(await health.parts()) == {"requests": True, "database": False, "events": False, "disk": True}


async def test_the_disk_is_told_before_it_is_full() -> None:
    refusals = [0]
    disk = Disk(VirtualClock(), lambda: 1_000_000, lambda: refusals[0])
    store = Store()
    health = Health(VirtualClock(), lambda: True, store.read, store.write, disk)

    async def told() -> dict[str, str]:
        return (await health.parts())[-1].to_wire()

    assert await told() == {"name": "disk", "title": "Disk", "status": "ok", "words": "Has room"}
    await disk.look()
    assert (await told())["status"] == "low"
    assert all(well(await health.parts()).values())
    refusals[0] = 1
    await disk.look()
    assert (await told())["status"] == "down"
