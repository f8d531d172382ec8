"""Credentials that a platform gives instead of those that end."""

from functools import partial

from chamade_mcp.core import connection_rows as rows
from chamade_mcp.core.renewals import Renewals
from chamade_mcp.core.roster import Listed
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.ids import ConnectionId
from tests.support.bots import connected
from tests.support.house import House
from tests.support.waiting import until


async def test_they_are_kept_before_the_link_is_opened_anew(house: House) -> None:
    listed = await connected(house, await house.owner())
    opened: list[dict[str, str]] = []

    async def reopen(which: Listed, identity: Identity, settings: object) -> None:
        assert (which.id, identity) == (listed.id, listed.identity)
        stored = await house.database.read(partial(rows.settings_of, box=house.box, connection=which.id))
        assert stored == settings
        opened.append(stored)

    renewals = Renewals(house.database, house.box, house.roster, reopen)
    await renewals.keep(listed.id, {"nickname": "fresh"})
    await until(lambda: opened)
    assert opened[0].keys() == {"bot_token", "nickname"}
    assert opened[0]["nickname"] == "fresh"


async def test_one_that_was_removed_meanwhile_is_left_alone(house: House) -> None:
    tried: list[ConnectionId] = []

    async def reopen(which: Listed, identity: Identity, settings: object) -> None:
        del identity, settings
        tried.append(which.id)
        raise NotFound("Connection not found")

    listed = await connected(house, await house.owner())
    renewals = Renewals(house.database, house.box, house.roster, reopen)
    await renewals.keep(ConnectionId("conn_none"), {"nickname": "x"})
    assert tried == []
    await renewals.keep(listed.id, {"nickname": "x"})
    await until(lambda: tried)
