"""What is on its way in while the owner changes who may write, and to whom."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from chamade_mcp.core import agent_rows
from chamade_mcp.core.roster import Listed
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.connections import Access
from chamade_mcp.model.errors import GatewayError
from tests.support.bots import connected, texts
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


async def late(house: House, database: Held, listed: Listed, act: asyncio.Task[object]) -> None:
    """Somebody writes who may write still, and what they say is stored after `act`."""
    assert database.gate is not None
    await until(lambda: database.waiting == 1)
    writing = asyncio.create_task(house.bots.write(listed.id, "late"))
    await until(lambda: database.waiting == 2)
    database.gate.set()
    await asyncio.gather(act, writing)


async def talked(house: House, owner: Principal, listed: Listed) -> tuple[str, str]:
    """Somebody who is let in has written: how they stand, and their conversation."""
    added = await house.pairings.add(owner, listed, "alice", "Alice")
    await house.bots.write(listed.id, "hello")
    (talk,) = (await house.inbox.snapshot(owner))["conversations"]
    return str(added["id"]), talk["conversation_id"]


@pytest.mark.parametrize("deny", [True, False])
async def test_the_conversation_of_one_who_is_taken_back_stays_closed(
    house: House, database: Held, deny: bool
) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    pairing, talk = await talked(house, owner, listed)
    database.gate = Gate()
    act = house.pairings.deny(owner, pairing) if deny else house.pairings.revoke(owner, pairing)
    await late(house, database, listed, asyncio.create_task(act))
    with pytest.raises(GatewayError) as caught:
        await house.inbox.send(owner, BOTS, "still there?", conversation_id=talk)
    assert caught.value.code == "CONVERSATION_CLOSED"
    whole = await house.inbox.conversation(owner, talk)
    assert [message["text"] for message in whole["messages"]] == ["hello"]


async def test_so_do_those_of_a_connection_that_is_removed(house: House, database: Held) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    await talked(house, owner, listed)
    database.gate = Gate()
    await late(house, database, listed, asyncio.create_task(house.connections.remove(owner, listed.id)))
    assert (await house.inbox.snapshot(owner))["conversations"] == []


@pytest.mark.parametrize("known", [True, False])
async def test_what_is_said_while_a_bot_is_given_to_another_agent_is_theirs(
    house: House, database: Held, known: bool
) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    if known:
        await house.bots.write(listed.id, "hello")

    def make(conn: Connection) -> Scope:
        return Scope(owner.account, agent_rows.insert(conn, owner.account, "Other", house.clock.now()))

    other = await house.database.write(make)
    database.gate = Gate()
    await late(house, database, listed, asyncio.create_task(house.connections.hand_over(listed, other)))
    theirs = Principal(other, owner.permissions, owner.email_verified)
    assert await texts(house, owner) == []
    assert await texts(house, theirs) == (["hello"] if known else []) + ["late"]
    assert len((await house.inbox.snapshot(theirs))["conversations"]) == 1
