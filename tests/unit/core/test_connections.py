"""Bots of people's own: checked when they are saved, held open, changed, tested and removed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from chamade_mcp.core.calls import NewCall
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.kit.testing_bots import BOTS, ScriptedBots
from chamade_mcp.model.connections import Access, ConnectionState
from chamade_mcp.model.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    InvalidRequest,
    LimitReached,
    NotAvailable,
    NotFound,
    Unavailable,
)
from chamade_mcp.store import schema
from tests.support.bots import connected, texts
from tests.support.house import House, open_house
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until


async def events(house: House, count: int, *, account: str) -> list[tuple[str, str]]:
    """The states told of, once there are `count`."""

    def query(conn: Any) -> list[tuple[str, str]]:
        rows = conn.execute(
            select(schema.events)
            .where(schema.events.c.account_id == account, schema.events.c.type == "connection_state")
            .order_by(schema.events.c.seq)
        )
        return [(row.payload["connection_id"], row.payload["status"]) for row in rows]

    async with asyncio.timeout(BOUND_S):
        while len(told := await house.database.read(query)) < count:  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.001)
    return told


def state_of(house: House, connection: str) -> ConnectionState | None:
    listed = house.roster.get(connection)
    return listed.state if listed else None


async def test_a_bot_is_asked_who_it_is_and_its_link_is_opened(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    await until(lambda: state_of(house, listed.id) is ConnectionState.OK)
    assert (listed.identity.name, listed.access) == ("@helper", Access.PAIRING)
    assert house.platforms.states(owner.scope)[BOTS]["status"] == "ok"
    assert house.platforms.identities(owner.scope, None)[BOTS] == {"agent": "@helper", "operator": None}
    shown: Any = house.platforms.overview(owner)["connections"]
    (_, mine) = shown
    assert mine == house.connections.list(owner.scope)[0].to_wire()
    other = await house.owner()
    assert house.platforms.states(other.scope)[BOTS]["status"] == "not_configured"
    assert house.connections.list(other.scope) == []


async def test_the_token_is_kept_sealed_and_told_to_nobody(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    owner = await house.owner()
    token = house.bots.accept("helper", "very-secret-words")
    listed = await house.connections.register(owner, BOTS, {"bot_token": token}, Access.OPEN)
    (row,) = await house.database.read(lambda conn: conn.execute(select(schema.connections)).all())
    assert b"very-secret-words" not in row.settings_sealed
    told = [str(listed), str(await house.overview.export(owner)), caplog.text]
    told += [repr(house.bots.links[listed.id].ctx)]
    assert not [words for words in told if "very-secret-words" in words]


@pytest.mark.parametrize(
    ("settings", "field"),
    [({}, "bot_token"), ({"bot_token": "a:b", "colour": "red"}, "colour")],
)
async def test_settings_are_those_of_the_manifest(house: House, settings: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await house.connections.register(await house.owner(), BOTS, settings, Access.OPEN)
    assert (caught.value.code, caught.value.param) == ("INVALID_SETTINGS", field)


async def test_what_the_platform_refuses_is_not_kept(house: House) -> None:
    owner = await house.owner()
    with pytest.raises(InvalidRequest, match="refuses these credentials: Unauthorized") as caught:
        await house.connections.register(owner, BOTS, {"bot_token": "helper:wrong"}, Access.OPEN)
    assert caught.value.code == "CREDENTIALS_REFUSED"
    house.bots.down = True
    with pytest.raises(Unavailable):
        await house.connections.register(owner, BOTS, {"bot_token": "helper:wrong"}, Access.OPEN)
    with pytest.raises(NotAvailable):
        await house.connections.register(owner, SCRIPTED, {}, Access.OPEN)
    unproved = await house.owner(verified=False)
    with pytest.raises(Forbidden):
        await house.connections.register(unproved, BOTS, {"bot_token": "helper:x"}, Access.OPEN)
    assert house.connections.list(owner.scope) == []


async def test_a_platform_that_does_not_answer_is_not_waited_for(house: House) -> None:
    house.bots.hold = asyncio.Event()
    owner = await house.owner()
    asking = asyncio.create_task(
        house.connections.register(owner, BOTS, {"bot_token": house.bots.accept("a")}, Access.OPEN)
    )
    await house.clock.advance(30)
    with pytest.raises(Unavailable, match="does not answer"):
        await asking


async def test_tokens_cannot_be_guessed_here(house: House) -> None:
    owner = await house.owner()
    for _ in range(20):
        with pytest.raises(InvalidRequest):
            await house.connections.register(owner, BOTS, {"bot_token": "helper:no"}, Access.OPEN)
    with pytest.raises(LimitReached):
        await house.connections.register(owner, BOTS, {"bot_token": "helper:no"}, Access.OPEN)


async def test_one_bot_has_one_connection(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    token = house.bots.accept("helper")
    both = await asyncio.gather(
        *(house.connections.register(who, BOTS, {"bot_token": token}, Access.OPEN) for who in (owner, other)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "Listed"]
    assert len(house.bots.links) == 1


async def test_two_bots_are_two_links_and_the_same_person_two_conversations(house: House) -> None:
    owner = await house.owner()
    first = await connected(house, owner, "first", access=Access.OPEN)
    second = await connected(house, owner, "second", access=Access.OPEN)
    await house.bots.write(first.id, "to the first")
    await house.bots.write(second.id, "to the second")
    snapshot = await house.inbox.snapshot(owner)
    by_text = {c["last_message"]["text"]: c["conversation_id"] for c in snapshot["conversations"]}
    assert len(set(by_text.values())) == 2
    await house.inbox.send(owner, BOTS, "answer", conversation_id=by_text["to the first"])
    (sent,) = house.bots.sent
    assert (sent.bot, sent.message.text) == ("first", "answer")


@requirement("R-165")
async def test_a_token_that_is_taken_back_stops_the_link_until_there_is_a_new_one(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await until(lambda: state_of(house, listed.id) is ConnectionState.OK)
    await house.bots.write(listed.id, "hello")
    fresh = house.bots.accept("helper", "another-secret")
    await until(lambda: state_of(house, listed.id) is ConnectionState.AUTH_NEEDED)
    assert house.connections.get(owner.bounds, listed.id).detail == "Unauthorized"
    words = "the platform no longer accepts the authorisation: connect it again"
    assert house.platforms.states(owner.scope)[BOTS]["status"] == words
    with pytest.raises(Unavailable) as caught:
        await house.inbox.send(owner, BOTS, "are you there?")
    assert caught.value.code == "RECONNECT_NEEDED"
    await house.clock.advance(600)
    assert house.bots.opened == 1, "nobody tries with a token that was refused"
    await house.connections.change(owner, listed.id, settings={"bot_token": fresh})
    await until(lambda: state_of(house, listed.id) is ConnectionState.OK)
    wanted = [(listed.id, "ok"), (listed.id, "auth_needed"), (listed.id, "ok")]
    assert await events(house, len(wanted), account=owner.account) == wanted
    assert (await house.inbox.send(owner, BOTS, "again")).status == 200


async def test_new_credentials_are_of_the_same_bot(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    with pytest.raises(Conflict) as caught:
        await house.connections.change(owner, listed.id, settings={"bot_token": house.bots.accept("other")})
    assert caught.value.code == "OTHER_BOT"
    with pytest.raises(InvalidRequest):
        await house.connections.change(owner, listed.id, settings={"bot_token": "helper:wrong"})
    assert listed.id in house.bots.links, "what was refused changed nothing"


async def test_changing_and_removing_at_once(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    token = house.bots.accept("helper")
    changing = [house.connections.change(owner, listed.id, settings={"bot_token": token}) for _ in range(4)]
    removing = house.connections.remove(owner, listed.id)
    done = await asyncio.gather(*changing, removing, return_exceptions=True)
    assert [one for one in done if isinstance(one, Exception) and not isinstance(one, GatewayError)] == []
    assert house.bots.links == {}
    assert house.connections.list(owner.scope) == []


@requirement("R-173", "R-178")
async def test_a_connection_that_is_removed_leaves_its_history(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await house.bots.write(listed.id, "hello")
    (conversation,) = (await house.inbox.snapshot(owner))["conversations"]
    await house.connections.remove(owner, listed.id)
    assert house.bots.links == {}
    assert (await house.inbox.snapshot(owner))["conversations"] == []
    whole = await house.inbox.conversation(owner, conversation["conversation_id"])
    assert [m["text"] for m in whole["messages"]] == ["hello"]
    with pytest.raises(NotFound, match="No active conversation"):
        await house.inbox.send(owner, BOTS, "anybody?")
    with pytest.raises(GatewayError) as caught:
        await house.inbox.send(owner, BOTS, "you?", conversation_id=conversation["conversation_id"])
    assert caught.value.code == "CONNECTION_REMOVED"
    with pytest.raises(NotFound):
        await house.connections.remove(owner, listed.id)


async def test_another_accounts_connection_is_not_there(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    listed = await connected(house, owner)
    for act in (
        house.connections.change(other, listed.id, access=Access.OPEN),
        house.connections.test(other, listed.id),
        house.connections.remove(other, listed.id),
    ):
        with pytest.raises(NotFound):
            await act
    assert house.connections.get(owner.bounds, listed.id).access is Access.PAIRING


async def test_an_account_that_goes_takes_its_links_with_it(house: House) -> None:
    owner = await house.owner()
    await connected(house, owner)
    await house.connections.forget(owner.account)
    assert house.bots.links == {}
    assert house.roster.of_account(owner.account) == []


async def test_a_restart_opens_every_link_again(database_path: Path) -> None:
    bots = ScriptedBots()
    async with open_house(database_path, bots=bots) as house:
        owner = await house.owner()
        listed = await connected(house, owner, access=Access.OPEN)
        await house.bots.write(listed.id, "before")
    assert bots.links == {}
    async with open_house(database_path, bots=bots) as house:
        await until(lambda: listed.id in bots.links)
        assert house.roster.get(listed.id) == house.connections.get(owner.bounds, listed.id)
        await bots.write(listed.id, "after")
        assert await texts(house, owner) == ["before", "after"]


async def test_a_bot_whose_settings_cannot_be_read_any_more_is_to_be_connected_again(
    database_path: Path,
) -> None:
    bots = ScriptedBots()
    async with open_house(database_path, bots=bots) as house:
        owner = await house.owner()
        listed = await connected(house, owner, access=Access.OPEN)
        await bots.write(listed.id, "hello")
    async with open_house(database_path, bots=bots, secret="another") as house:
        assert state_of(house, listed.id) is ConnectionState.AUTH_NEEDED
        with pytest.raises(Unavailable) as caught:
            await house.inbox.send(owner, BOTS, "answer")
        assert caught.value.code == "RECONNECT_NEEDED"
        await house.connections.change(owner, listed.id, settings={"bot_token": bots.accept("helper")})
        assert (await house.inbox.send(owner, BOTS, "answer")).status in {200, 202}
        await house.clock.advance(2)
        await until(lambda: bots.heard("alice") == ["answer"])


async def test_the_test_button_asks_and_writes_to_the_operator(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await until(lambda: state_of(house, listed.id) is ConnectionState.OK)
    assert await house.connections.test(owner, listed.id) == {
        "status": "ok",
        "name": "@helper",
        "sent": False,
    }
    await house.bots.write(listed.id, "I am the owner")
    (conversation,) = (await house.inbox.snapshot(owner))["conversations"]
    await house.operators.appoint(owner, conversation["conversation_id"])
    assert (await house.connections.test(owner, listed.id))["sent"] is True
    assert "the connection works" in house.bots.heard("alice")[0]
    house.bots.accept("helper", "changed")
    with pytest.raises(InvalidRequest, match="Unauthorized"):
        await house.connections.test(owner, listed.id)
    with pytest.raises(Conflict):
        await house.connections.test(owner, f"embedded:{SCRIPTED}")


async def test_a_call_is_made_by_the_agents_own_bot(house: House) -> None:
    owner = await house.owner()
    with pytest.raises(InvalidRequest, match="Botted is not connected"):
        await house.calls.create(owner, NewCall(BOTS, meeting_url="https://bots.test/r"))
    listed = await connected(house, owner, access=Access.OPEN)
    room = await house.bots.ring(listed.id)
    (call,) = await house.calls.active(owner)
    assert (call.record.connection, call.record.room) == (listed.id, room)
    await house.calls.refuse(owner, call.record.id)
    await until(lambda: house.bots.calls.refused == [room])
