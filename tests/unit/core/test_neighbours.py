"""Two processes on one store, here two sets of objects on one file: what one stores the other hears."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection

from chamade_mcp.core import event_log
from chamade_mcp.core.hub import MemoryHub
from chamade_mcp.core.neighbours import Neighbours
from chamade_mcp.core.notices import KEPT, PAGE, Kind, Notice, Notices
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import Principal
from chamade_mcp.model.events import Cursor, Event, EventType
from chamade_mcp.store import schema
from chamade_mcp.store.database import Database
from tests.support.house import House
from tests.support.waiting import until


@dataclass
class Other:
    """A process that makes no events itself."""

    hub: MemoryHub
    neighbours: Neighbours
    notices: Notices
    heard: list[Notice] = field(default_factory=list[Notice])


@asynccontextmanager
async def other_process(path: Path, house: House) -> AsyncGenerator[Other]:
    database, notices = Database(path), Notices(house.clock)
    hub = MemoryHub(database, house.clock)
    other = Other(hub, Neighbours(database, notices, follows=hub), notices)

    async def hear(notice: Notice) -> None:
        other.heard.append(notice)

    for kind in Kind:
        other.neighbours.on(kind, hear)
    async with other.neighbours.run():
        yield other
    database.close()


def event(owner: Principal, number: int) -> Event:
    return Event(owner.account, owner.scope.agent, EventType.CALL_STATE, {"number": number})


async def test_events_of_another_process_arrive_in_order(house: House, database_path: Path) -> None:
    owner = await house.owner()
    await house.hub.publish(event(owner, 0))
    async with (
        other_process(database_path, house) as other,
        other.hub.subscribe(owner.scope, after=None) as envelopes,
    ):
        many = [event(owner, number) for number in range(1, 600)]

        def store(conn: Connection) -> None:
            event_log.append(conn, many, house.clock.now())

        await house.hub.publish(event(owner, 0))
        await house.database.write(store)
        got = [await anext(envelopes) for _ in range(600)]
        assert [e.event.payload["number"] for e in got] == list(range(600))
        assert [e.cursor for e in got] == [Cursor(n) for n in range(2, 602)]


async def test_nothing_is_missed_where_the_place_is_gone(house: House, database_path: Path) -> None:
    """The newest event is removed and its row's number is given to another."""
    owner, leaving = await house.owner(), await house.owner()
    async with (
        other_process(database_path, house) as other,
        other.hub.subscribe(owner.scope, after=None) as envelopes,
    ):
        await house.hub.publish(event(owner, 1))
        assert (await anext(envelopes)).event.payload["number"] == 1
        async with other.hub.subscribe(leaving.scope, after=None) as theirs:
            await house.hub.publish(event(leaving, 2))
            await anext(theirs)

        def replace(conn: Connection) -> None:
            conn.execute(schema.accounts.delete().where(schema.accounts.c.id == leaving.account))
            event_log.append(conn, [event(owner, 3)], house.clock.now())

        await house.database.write(replace)
        assert (await anext(envelopes)).event.payload["number"] == 3


async def test_notices_reach_every_process_but_their_own(house: House, database_path: Path) -> None:
    owner = await house.owner()
    async with other_process(database_path, house) as one, other_process(database_path, house) as two:
        for number in range(PAGE + 10):
            await one.neighbours.tell(owner.account, Kind.SESSION, str(number), {"n": number})
        await two.neighbours.tell(owner.account, Kind.CREDENTIAL, "key_1")
        await until(lambda: len(two.heard) == PAGE + 10 and one.heard)
        assert [n.subject for n in two.heard] == [str(number) for number in range(PAGE + 10)]
        assert (two.heard[0].account, two.heard[0].body) == (owner.account, {"n": 0})
        assert [(n.kind, n.subject) for n in one.heard] == [(Kind.CREDENTIAL, "key_1")]


async def test_one_that_cannot_be_followed_does_not_stop_the_next(
    house: House, database_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    owner = await house.owner()

    async def fail(notice: Notice) -> None:
        raise RuntimeError(notice.subject)

    async with other_process(database_path, house) as one, other_process(database_path, house) as two:
        two.neighbours.on(Kind.SESSION, fail)
        await one.neighbours.tell(owner.account, Kind.SESSION, "broken")
        await one.neighbours.tell(owner.account, Kind.CREDENTIAL, "key_1")
        await until(lambda: two.heard)
    assert [r.getMessage() for r in caplog.records] == ["a session notice was not followed"]


async def test_old_notices_go_when_new_ones_come(house: House) -> None:
    owner, notices = await house.owner(), Notices(house.clock)
    clock = house.clock
    assert isinstance(clock, VirtualClock)

    def tell(conn: Connection) -> int:
        notices.add(conn, owner.account, Kind.SESSION, "one")
        return notices.newest(conn)

    first = await house.database.write(tell)
    clock.jump(KEPT.total_seconds() + 1)
    second = await house.database.write(tell)
    left = await house.database.read(lambda conn: conn.execute(schema.notices.select()).all())
    assert [row.number for row in left] == [second]
    assert second > first
