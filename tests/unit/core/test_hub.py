"""What is peculiar to the hub of one process. The interface is proved in tests/contract/test_hubs.py."""

import asyncio

from sqlalchemy import Connection

from chamade_mcp.core import event_log
from chamade_mcp.model.access import Principal
from chamade_mcp.model.events import Cursor, Envelope, Event, EventType
from tests.support.house import House
from tests.support.waiting import BOUND_S


def event(owner: Principal, number: int) -> Event:
    return Event(owner.account, owner.scope.agent, EventType.CALL_STATE, {"number": number})


async def store_untold(house: House, owner: Principal, number: int) -> Envelope:
    def append(conn: Connection) -> list[Envelope]:
        return event_log.append(conn, [event(owner, number)], house.clock.now())

    return (await house.database.write(append))[0]


async def test_what_was_stored_and_never_announced_is_found_as_a_gap(house: House) -> None:
    owner = await house.owner()
    async with house.hub.subscribe(owner.scope, after=None) as envelopes:
        await house.hub.publish(event(owner, 1))
        await store_untold(house, owner, 2)
        await house.hub.publish(event(owner, 3))
        assert [(await anext(envelopes)).cursor for _ in range(3)] == [1, 2, 3]


async def test_announcements_out_of_order_lose_nothing(house: House) -> None:
    owner = await house.owner()
    async with house.hub.subscribe(owner.scope, after=None) as envelopes:
        waiting = asyncio.ensure_future(anext(envelopes))
        stored = [await store_untold(house, owner, number) for number in (1, 2)]
        house.hub.announce(stored[1:])
        house.hub.announce(stored[:1])
        assert (await asyncio.wait_for(waiting, BOUND_S)).cursor == 1
        assert (await asyncio.wait_for(anext(envelopes), BOUND_S)).cursor == 2


async def test_a_slow_subscriber_reads_the_log_again(house: House) -> None:
    owner = await house.owner()
    async with house.hub.subscribe(owner.scope, after=Cursor(0)) as envelopes:
        for number in range(700):
            house.hub.announce([await store_untold(house, owner, number)])
        assert [(await anext(envelopes)).event.payload["number"] for _ in range(700)] == list(range(700))


async def test_a_publisher_who_goes_away_is_heard_all_the_same(house: House) -> None:
    owner = await house.owner()
    async with house.hub.subscribe(owner.scope, after=None) as envelopes:
        publishing = asyncio.create_task(house.hub.publish(event(owner, 1)))
        await asyncio.sleep(0)
        publishing.cancel()
        envelope = await asyncio.wait_for(anext(envelopes), BOUND_S)
        assert envelope.event.payload == {"number": 1}
        assert publishing.cancelled()


async def test_subscriptions_are_released(house: House) -> None:
    owner = await house.owner()
    for _ in range(3):
        async with house.hub.subscribe(owner.scope, after=None), house.hub.subscribe(owner.scope, after=None):
            assert house.hub.subscribers == 2
    assert house.hub.subscribers == 0
