"""How people stand is remembered, until it changes."""

import asyncio
from functools import partial

from sqlalchemy import Connection, update

from chamade_mcp.core import pairing_rows as rows
from chamade_mcp.core.pairing_rows import Person
from chamade_mcp.core.roster import Listed
from chamade_mcp.core.standings import Standings
from chamade_mcp.model.connections import Standing
from chamade_mcp.model.ids import ConversationRef
from chamade_mcp.model.messages import Sender
from chamade_mcp.store import schema
from tests.support.bots import connected
from tests.support.house import House

ANN = Person(Sender("ann", "Ann"), ConversationRef("ann"))


def denied(conn: Connection) -> None:
    conn.execute(update(schema.pairings).values(state=str(Standing.DENIED)))


async def stand(standings: Standings, house: House, listed: Listed) -> Standing | None:
    return await standings.of(listed.id, "ann", house.clock.now())


async def test_it_is_asked_once_and_again_after_a_change(house: House) -> None:
    listed = await connected(house, await house.owner())
    standings = Standings(house.database)
    assert await stand(standings, house, listed) is None
    pair = partial(rows.pair, listed=listed, person=ANN, now=house.clock.now())
    await standings.change(pair)
    assert await stand(standings, house, listed) is Standing.PAIRED
    await house.database.write(denied)  # past it: to see that it remembers
    assert await stand(standings, house, listed) is Standing.PAIRED
    await standings.change(denied)
    assert await stand(standings, house, listed) is Standing.DENIED


async def test_what_was_read_before_a_change_is_not_remembered(house: House) -> None:
    listed = await connected(house, await house.owner())
    standings = Standings(house.database)
    for _ in range(30):
        pair = partial(rows.pair, listed=listed, person=ANN, now=house.clock.now())
        await asyncio.gather(
            stand(standings, house, listed), standings.change(pair), stand(standings, house, listed)
        )
        assert await stand(standings, house, listed) is Standing.PAIRED
        await asyncio.gather(stand(standings, house, listed), standings.change(denied))
        assert await stand(standings, house, listed) is Standing.DENIED


async def test_a_change_counts_though_nobody_waited_for_it(house: House) -> None:
    listed = await connected(house, await house.owner())
    standings = Standings(house.database)
    await standings.change(partial(rows.pair, listed=listed, person=ANN, now=house.clock.now()))
    assert await stand(standings, house, listed) is Standing.PAIRED
    leaving = asyncio.create_task(standings.change(denied))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await house.database.write(lambda conn: None)  # behind it in the writer's queue
    await house.clock.advance(0)
    assert await stand(standings, house, listed) is Standing.DENIED


async def test_a_request_expires_in_memory_too(house: House) -> None:
    listed = await connected(house, await house.owner())
    standings = Standings(house.database)
    await standings.change(partial(rows.ask, listed=listed, person=ANN, now=house.clock.now()))
    assert await stand(standings, house, listed) is Standing.PENDING
    await house.clock.advance(rows.ASKING_LIFE.total_seconds())
    assert await stand(standings, house, listed) is None
