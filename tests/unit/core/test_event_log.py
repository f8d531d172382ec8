"""One call's events out of the log of a busy account."""

from functools import partial
from typing import Any

from sqlalchemy import Connection, event

from chamade_mcp.core import event_log
from chamade_mcp.model.access import Principal
from chamade_mcp.model.events import START, Cursor, Event, EventType
from chamade_mcp.model.ids import AgentId, CallId
from tests.support.house import House

CALL = CallId("call_a")


def of_call(owner: Principal, call: str, number: int) -> Event:
    payload = {"type": "call_chat", "call_id": call, "number": number}
    return Event(owner.account, owner.scope.agent, EventType.CALL_CHAT, payload)


async def append(house: House, happened: list[Event]) -> None:
    await house.database.write(partial(event_log.append, happened=happened, at=house.clock.now()))


async def test_only_that_call_and_only_that_agent(house: House) -> None:
    owner = await house.owner()
    dm = Event(owner.account, owner.scope.agent, EventType.DM_CHAT, {"type": "dm_chat"})
    alien = Event(owner.account, AgentId("agent_other"), EventType.CALL_CHAT, {"call_id": CALL, "number": 9})
    await append(
        house, [of_call(owner, CALL, 1), dm, of_call(owner, "call_b", 2), alien, of_call(owner, CALL, 3)]
    )
    read = partial(event_log.of_call, scope=owner.scope, call=CALL)
    everything = await house.database.read(partial(read, cursor=START, limit=10))
    assert [(e.cursor, e.event.payload["number"]) for e in everything] == [(1, 1), (5, 3)]
    assert [e.cursor for e in await house.database.read(partial(read, cursor=Cursor(1), limit=10))] == [5]
    assert [e.cursor for e in await house.database.read(partial(read, cursor=START, limit=1))] == [1]


async def test_a_busy_account_does_not_make_one_call_slow(house: House) -> None:
    """The database finds them by an index: what the account's other calls and messages told is not read."""
    owner = await house.owner()
    await append(house, [of_call(owner, CALL, 1)])

    def plan(conn: Connection) -> list[str]:
        asked: list[tuple[str, Any]] = []

        def note(_: Connection, _cursor: object, sql: str, values: Any, *_rest: object) -> None:
            asked.append((sql, values))

        event.listen(conn, "before_cursor_execute", note)
        event_log.of_call(conn, owner.scope, CALL, START, 256)
        sql, values = asked[0]
        return [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]

    (step,) = await house.database.read(plan)
    assert "ix_events_account_id_call_id_seq (account_id=? AND call_id=? AND seq>?)" in step
