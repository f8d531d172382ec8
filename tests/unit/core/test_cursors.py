"""A moment as a cursor: what came after it is found without looking at all the others."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, text

from chamade_mcp.core import dms
from chamade_mcp.store.schema import messages
from tests.support.house import House


def stored(conn: Connection) -> list[tuple[int, datetime]]:
    rows = conn.execute(select(messages.c.seq, messages.c.created_at).order_by(messages.c.seq))
    return [(row.seq, row.created_at) for row in rows]


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


async def test_without_any_message_it_is_the_end(house: House) -> None:
    owner = await house.owner()
    now = house.clock.now()
    assert await house.database.read(lambda conn: dms.seq_before(conn, owner.scope, now)) == 0
    await house.platform.write(owner.scope, "hello")
    assert await house.database.read(lambda conn: dms.seq_before(conn, owner.scope, now)) in (0, 1)


async def test_it_is_found_by_the_index(house: House) -> None:
    query = "SELECT min(seq) FROM messages WHERE account_id = 'a' AND created_at > 'b' AND seq % 64 = 0"
    plan = await house.database.read(lambda conn: conn.execute(text(f"EXPLAIN QUERY PLAN {query}")).all())
    assert "ix_messages_milestones" in str(plan)


async def test_what_was_said_is_found_by_the_index(house: House) -> None:
    query = select(messages.c.id).where(dms.HEARD, messages.c.ref == "r", messages.c.conversation_id == "c")
    plain = query.compile(compile_kwargs={"literal_binds": True})
    plan = await house.database.read(lambda conn: conn.execute(text(f"EXPLAIN QUERY PLAN {plain}")).all())
    assert "ix_messages_heard" in str(plan)
