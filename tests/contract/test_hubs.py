"""Every event hub keeps the promises of `EventHub`."""

import asyncio
from collections.abc import Callable

import pytest

from chamade_mcp.core.hub import EventHub, MemoryHub
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.events import Cursor, Event, EventType
from chamade_mcp.model.ids import new_agent_id
from chamade_mcp.store.database import Database
from tests.support.house import House
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S

HUBS: dict[str, Callable[[Database, Clock], EventHub]] = {"memory": MemoryHub}


@pytest.fixture(params=sorted(HUBS))
def hub(request: pytest.FixtureRequest, house: House) -> EventHub:
    return HUBS[request.param](house.database, house.clock)


def event(scope: Scope, number: int) -> Event:
    return Event(scope.account, scope.agent, EventType.CALL_STATE, {"number": number})


async def numbers(hub: EventHub, owner: Principal, count: int, after: Cursor | None) -> list[int]:
    async with asyncio.timeout(BOUND_S), hub.subscribe(owner.scope, after=after) as envelopes:
        return [(await anext(envelopes)).event.payload["number"] for _ in range(count)]


async def test_events_come_in_order_with_growing_cursors(hub: EventHub, house: House) -> None:
    owner = await house.owner()
    cursors = [await hub.publish(event(owner.scope, n)) for n in range(50)]
    assert cursors == list(range(1, 51))
    assert await numbers(hub, owner, 50, Cursor(0)) == list(range(50))
    assert await numbers(hub, owner, 10, cursors[39]) == list(range(40, 50))


async def test_none_means_from_now_on(hub: EventHub, house: House) -> None:
    owner = await house.owner()
    await hub.publish(event(owner.scope, 1))
    async with hub.subscribe(owner.scope, after=None) as envelopes:
        await hub.publish(event(owner.scope, 2))
        assert (await asyncio.wait_for(anext(envelopes), BOUND_S)).event.payload == {"number": 2}


async def test_what_comes_between_opening_and_listening_is_not_lost(hub: EventHub, house: House) -> None:
    owner = await house.owner()
    async with hub.subscribe(owner.scope, after=None) as envelopes:
        for n in range(10):
            await hub.publish(event(owner.scope, n))
        assert [(await anext(envelopes)).event.payload["number"] for _ in range(10)] == list(range(10))


async def test_two_subscribers_see_the_same(hub: EventHub, house: House) -> None:
    owner = await house.owner()
    async with asyncio.TaskGroup() as group:
        reading = [group.create_task(numbers(hub, owner, 100, Cursor(0))) for _ in range(2)]
        for n in range(100):
            await hub.publish(event(owner.scope, n))
    assert [r.result() for r in reading] == [list(range(100))] * 2


async def test_publishers_at_once_leave_no_gap(hub: EventHub, house: House) -> None:
    owner = await house.owner()
    reading = asyncio.create_task(numbers(hub, owner, 200, Cursor(0)))
    cursors = await asyncio.gather(*(hub.publish(event(owner.scope, n)) for n in range(200)))
    assert sorted(cursors) == list(range(1, 201))
    told = await reading
    assert sorted(told) == list(range(200))
    assert [cursors[n] for n in told] == list(range(1, 201))


@requirement("R-331")
async def test_nobody_elses_events_are_seen(hub: EventHub, house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    sibling = Scope(owner.account, new_agent_id())
    await hub.publish(event(other.scope, 1))
    await hub.publish(event(sibling, 2))
    await hub.publish(event(owner.scope, 3))
    assert await numbers(hub, owner, 1, Cursor(0)) == [3]


async def test_a_waiting_subscriber_can_leave(hub: EventHub, house: House) -> None:
    owner = await house.owner()
    reading = asyncio.create_task(numbers(hub, owner, 1, None))
    await house.clock.advance(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await hub.publish(event(owner.scope, 1))


async def test_what_is_only_told_is_heard_now_or_never(hub: EventHub, house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    hub.tell(event(owner.scope, 1))
    async with hub.subscribe(owner.scope, after=None) as envelopes:
        hub.tell(event(other.scope, 2))
        hub.tell(event(Scope(owner.account, new_agent_id()), 3))
        hub.tell(event(owner.scope, 4))
        told = await asyncio.wait_for(anext(envelopes), BOUND_S)
        assert (told.event.payload["number"], told.cursor) == (4, 0)
        waiting = asyncio.ensure_future(anext(envelopes))
        await house.clock.advance(0)
        hub.tell(event(owner.scope, 5))
        assert (await asyncio.wait_for(waiting, BOUND_S)).event.payload["number"] == 5
        assert await hub.publish(event(owner.scope, 6)) == 1
        assert (await asyncio.wait_for(anext(envelopes), BOUND_S)).event.payload["number"] == 6
    assert await numbers(hub, owner, 1, Cursor(0)) == [6]


async def test_what_is_only_told_comes_beside_what_is_stored(hub: EventHub, house: House) -> None:
    owner = await house.owner()
    woken = asyncio.Event()
    following = hub.follow(owner.scope, woken.set)
    await hub.publish(event(owner.scope, 1))
    hub.tell(event(owner.scope, 2))
    cursor, envelopes = await following.after(Cursor(0))
    assert (woken.is_set(), cursor) == (True, 1)
    assert [(e.cursor, e.event.payload["number"]) for e in envelopes] == [(1, 1), (1, 2)]
    assert await following.after(cursor) == (cursor, ())
    following.close()
    hub.tell(event(owner.scope, 3))
