"""A moment as a cursor: what came after it is found without looking at all the others."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, event, select

from chamade_mcp.core import dms, sent
from chamade_mcp.model.ids import new_conversation_id
from chamade_mcp.store.schema import messages
from tests.support.house import House


def stored(conn: Connection) -> list[tuple[int, datetime]]:
    rows = conn.execute(select(messages.c.seq, messages.c.created_at).order_by(messages.c.seq))
    return [(row.seq, row.created_at) for row in rows]


def plans(conn: Connection, ask: Callable[[Connection], object]) -> list[str]:
    """How SQLite finds what `ask` reads, statement by statement."""
    found: list[str] = []

    def explain(_conn: object, cursor: sqlite3.Cursor, statement: str, given: Sequence[Any], *_: Any) -> None:
        found.append(str(cursor.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()))

    event.listen(conn, "before_cursor_execute", explain)
    ask(conn)
    event.remove(conn, "before_cursor_execute", explain)
    return found


async def test_it_stands_before_the_first_message_after_the_moment(house: House) -> None:
    """Among 200 of which some are gone, with a clock that was set back by five minutes in between."""
    owner, other = await house.owner(), await house.owner()
    for number in range(200):
        house.clock.jump(10 if number != 150 else -300)
        await house.platform.write(owner.scope, f"{number}")
    await house.platform.write(other.scope, "somebody else's")
    gone = delete(messages).where(messages.c.seq.in_([1, 2, 63, 64, 100, *range(120, 130)]))
    await house.database.write(lambda conn: conn.execute(gone))
    mine = (await house.database.read(stored))[:-1]
    for _, at in mine:
        for moment in (at - timedelta(seconds=1), at, at + timedelta(seconds=1)):
            before = await house.database.read(lambda conn, m=moment: dms.seq_before(conn, owner.scope, m))
            missed = [seq for seq, said in mine if said > moment and seq <= before]
            repeated = [seq for seq, said in mine if said <= moment and before < seq < 140]
            assert (missed, repeated) == ([], []), moment


async def test_behind_every_message_it_is_the_end(house: House) -> None:
    owner = await house.owner()
    now = house.clock.now()
    assert await house.database.read(lambda conn: dms.seq_before(conn, owner.scope, now)) == 0
    await house.platform.write(owner.scope, "hello")
    assert await house.database.read(lambda conn: dms.seq_before(conn, owner.scope, now)) == 1


async def test_it_is_found_by_the_index(house: House) -> None:
    owner, now = await house.owner(), house.clock.now()
    ask = partial(dms.seq_before, scope=owner.scope, moment=now)
    first, *_ = await house.database.read(partial(plans, ask=ask))
    assert "ix_messages_milestones" in first


async def test_what_was_said_is_found_by_its_ref(house: House) -> None:
    conversation = new_conversation_id()
    heard = partial(dms.heard, conversation=conversation, ref="r")
    (one,) = await house.database.read(partial(plans, ask=heard))
    assert "ix_messages_heard (ref=? AND conversation_id=?)" in one
    by_ref = partial(sent.by_ref, conversation=conversation, ref="r")
    said, answered, ours = await house.database.read(partial(plans, ask=by_ref))
    assert "ix_messages_heard (ref=? AND conversation_id=?)" in said
    assert "ix_messages_sent_ref_conversation_id (sent_ref=?" in answered
    assert "(id=?)" in ours
