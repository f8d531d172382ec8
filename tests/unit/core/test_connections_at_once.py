"""Two who change one connection, or its account, at the same time."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, select

from chamade_mcp.core import agent_rows
from chamade_mcp.core.pairing_rows import Person
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.connections import Access
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.ids import COMMON, ConversationRef
from chamade_mcp.model.messages import Sender
from chamade_mcp.store.schema import connections, conversations
from tests.support.bots import connected
from tests.support.house import House, open_house
from tests.support.interrupted import Held
from tests.support.waiting import Gate, until


@pytest.fixture
def database(database_path: Path) -> Held:
    return Held(database_path)


@pytest.fixture
async def house(database_path: Path, database: Held) -> AsyncGenerator[House]:
    async with open_house(database_path, database=database) as house:
        yield house


async def another_agent(house: House, owner: Principal, name: str) -> Scope:
    def make(conn: Connection) -> Scope:
        return Scope(owner.account, agent_rows.insert(conn, owner.account, name, house.clock.now()))

    return await house.database.write(make)


async def agents_of(house: House, table: Table) -> set[tuple[str, str]]:
    """Of the rows of a table: whose they are, and their state."""

    def query(conn: Connection) -> set[tuple[str, str]]:
        states = table.c.status if "status" in table.c else table.c.kind
        return {
            (row.agent_id, row.state) for row in conn.execute(select(table.c.agent_id, states.label("state")))
        }

    return await house.database.read(query)


async def test_who_may_write_is_changed_while_it_is_removed(house: House, database: Held) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    _, changed = await database.at_once(
        house.connections.remove(owner, listed.id),
        house.connections.change(owner, listed.id, access=Access.OPEN),
    )
    assert isinstance(changed, NotFound)
    assert house.connections.list(owner.scope) == []


async def test_it_is_handed_over_while_it_is_removed(house: House, database: Held) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await house.bots.write(listed.id, "hello")
    other = await another_agent(house, owner, "Other")
    _, handed = await database.at_once(
        house.connections.remove(owner, listed.id),
        house.connections.hand_over(listed, other),
    )
    assert isinstance(handed, NotFound)
    assert house.roster.of_account(owner.account) == []
    assert not house.supervisor.holds(BOTS, listed.id)
    assert await agents_of(house, conversations) == {(owner.scope.agent, "closed")}


async def test_it_is_removed_while_it_is_handed_over(house: House, database: Held) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await house.bots.write(listed.id, "hello")
    other = await another_agent(house, owner, "Other")
    await database.at_once(
        house.connections.hand_over(listed, other),
        house.connections.remove(owner, listed.id),
    )
    assert house.roster.of_account(owner.account) == []
    assert await agents_of(house, conversations) == {(other.agent, "closed")}


async def test_two_agents_are_given_it(house: House, database: Held) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await house.bots.write(listed.id, "hello")
    first, second = [await another_agent(house, owner, name) for name in ("First", "Second")]
    await database.at_once(
        house.connections.hand_over(listed, first),
        house.connections.hand_over(listed, second),
    )
    (now,) = house.roster.of_account(owner.account)
    assert now.scope == second
    assert await agents_of(house, connections) == {(second.agent, "own")}
    assert await agents_of(house, conversations) == {(second.agent, "active")}


async def test_it_is_made_while_its_account_goes(house: House, database: Held) -> None:
    owner = await house.owner()
    token = house.bots.accept("helper")
    await database.at_once(
        house.connections.register(owner, BOTS, {"bot_token": token}, Access.OPEN),
        house.connections.forget(owner.account),
    )
    assert house.roster.of_account(owner.account) == []
    assert house.bots.links == {}


async def test_a_person_comes_to_the_shared_bot_while_the_agent_leaves_it(database_path: Path) -> None:
    database = Held(database_path)
    async with open_house(database_path, shared=True, database=database) as house:
        owner, link = await house.owner(), (BOTS, COMMON)
        await house.pairing_links.pair(owner.scope, link, person("alice"))
        (tie,) = house.connections.list(owner.scope)
        token = await house.pairing_links.issue(owner.scope, link)
        database.gate = Gate()
        coming = asyncio.create_task(house.pairing_links.redeem(link, token, person("bob")))
        await until(lambda: database.waiting == 1)
        leaving = asyncio.create_task(house.connections.remove(owner, tie.id))
        await until(lambda: database.waiting == 2)
        database.gate.set()
        await asyncio.gather(coming, leaving)
        assert house.connections.list(owner.scope) == []


def person(name: str) -> Person:
    return Person.of(Sender(name, name.title()), ConversationRef(name))
