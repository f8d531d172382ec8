"""The shared bot: nobody writes to an agent by it who has not opened that agent's link."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from chamade_mcp.core import agent_rows
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.connections import Access, Standing
from chamade_mcp.model.ids import COMMON
from tests.support.bots import texts
from tests.support.house import House, open_house
from tests.support.requirement import requirement


@pytest.fixture
async def shared(database_path: Path) -> AsyncGenerator[House]:
    async with open_house(database_path, shared=True) as house:
        yield house


async def link_of(house: House, owner: Principal) -> str:
    """The token in the owner's link."""
    made = await house.invitations.invite(owner, BOTS, "Bea")
    return str(made["url"]).partition("start=")[2]


def status_of(house: House, owner: Principal) -> object:
    return house.platforms.states(owner.scope)[BOTS]["status"]


@requirement("R-169")
async def test_it_is_available_until_somebody_opens_the_link(shared: House) -> None:
    owner = await shared.owner()
    assert status_of(shared, owner) == "available (shared bot, user account not connected)"
    await shared.bots.write(COMMON, f"/start {await link_of(shared, owner)}")
    assert status_of(shared, owner) == "ok"
    (listed,) = shared.connections.list(owner.scope)
    assert (listed.kind, listed.access) == ("shared", Access.PAIRING)


async def test_who_opens_the_link_writes_to_that_agent_and_is_answered(shared: House) -> None:
    owner, other = await shared.owner(), await shared.owner()
    await shared.bots.write(COMMON, "hello?")
    await shared.bots.write(COMMON, f"/start {await link_of(shared, owner)}")
    await shared.bots.write(COMMON, "hello")
    assert await texts(shared, owner) == ["hello"]
    assert await texts(shared, other) == []
    assert (await shared.inbox.send(owner, BOTS, "hi")).status == 200
    assert [(sent.bot, sent.message.text) for sent in shared.bots.sent] == [("for-all", "hi")]


async def test_one_person_of_two_agents_writes_to_the_one_they_wrote_with_last(shared: House) -> None:
    first, second = await shared.owner(), await shared.owner()
    await shared.bots.write(COMMON, f"/start {await link_of(shared, first)}")
    await shared.clock.advance(60)
    await shared.bots.write(COMMON, f"/start {await link_of(shared, second)}")
    await shared.bots.write(COMMON, "to the second")
    await shared.clock.advance(60)
    await shared.bots.write(COMMON, f"/start {await link_of(shared, first)}")
    await shared.clock.advance(60)
    await shared.bots.write(COMMON, "to the first")
    assert await texts(shared, second) == ["to the second"]
    assert await texts(shared, first) == ["to the first"]


async def test_one_who_is_taken_back_is_a_stranger_to_the_shared_bot(shared: House) -> None:
    owner = await shared.owner()
    await shared.bots.write(COMMON, f"/start {await link_of(shared, owner)}")
    await shared.bots.write(COMMON, "one")
    (person,) = await shared.pairings.page(owner, state=Standing.PAIRED)
    await shared.pairings.revoke(owner, str(person["id"]))
    await shared.bots.write(COMMON, "two")
    assert await shared.pairing_links.of(BOTS).scope_of("alice") is None
    assert shared.bots.sent == [], "the shared bot hands out no codes: it would not know whose"


async def test_a_link_is_void_once_the_agent_has_left_the_shared_bot(shared: House) -> None:
    owner = await shared.owner()
    await shared.bots.write(COMMON, f"/start {await link_of(shared, owner)}")
    later = await link_of(shared, owner)
    (tie,) = shared.connections.list(owner.scope)
    await shared.connections.remove(owner, tie.id)
    await shared.bots.write(COMMON, f"/start {later}", sender="mallory")
    assert shared.connections.list(owner.scope) == []


async def test_a_link_is_void_once_the_shared_bots_people_are_another_agents(shared: House) -> None:
    owner = await shared.owner()
    await shared.bots.write(COMMON, f"/start {await link_of(shared, owner)}")
    later = await link_of(shared, owner)
    (tie,) = shared.connections.list(owner.scope)

    def make(conn: Connection) -> Scope:
        return Scope(owner.account, agent_rows.insert(conn, owner.account, "Other", shared.clock.now()))

    other = await shared.database.write(make)
    await shared.connections.hand_over(tie, other)
    await shared.bots.write(COMMON, f"/start {later}", sender="mallory")
    assert [one.scope for one in shared.connections.every()] == [other]
