"""The outbox: what was accepted goes out, in order, whatever happens in between."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.core.outbox import GIVE_UP_S
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import Access, ConnectionState
from chamade_mcp.model.errors import Conflict, NotFound, PlatformRefused, Unavailable
from chamade_mcp.model.messages import DeliveryState
from tests.support.bots import connected
from tests.support.house import House, open_house
from tests.support.waiting import BOUND_S, until

DOWN = PlatformUnavailable("down")


async def written_to(house: House, *people: str) -> Principal:
    owner = await house.owner()
    for person in people or ("alice",):
        await house.platform.write(owner.scope, "hello", conversation=person)
    return owner


async def outbound(house: House, owner: Principal) -> list[dict[str, Any]]:
    answer = await house.inbox.detail(owner, SCRIPTED)
    messages: list[dict[str, Any]] = answer["conversations"][0]["messages"]
    return [m for m in messages if m["direction"] == "outbound"]


async def settled(house: House, owner: Principal, status: str) -> list[dict[str, Any]]:
    async with asyncio.timeout(BOUND_S):
        while True:
            found = await outbound(house, owner)
            if all(m["status"] == status for m in found):
                return found


async def conversation_of(house: House, owner: Principal, name: str) -> str:
    listed = (await house.inbox.snapshot(owner))["conversations"]
    return next(c["conversation_id"] for c in listed if c["remote_name"] == name)


def said(house: House) -> list[str]:
    return [outgoing.text for _, outgoing in house.platform.delivered]


async def test_a_platform_out_of_reach_is_tried_again(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = DOWN
    first = await house.inbox.send(owner, SCRIPTED, "one")
    assert (first.status, first.body["status"], first.body["delivery"]) == (202, "pending", "async")
    assert (await outbound(house, owner))[0]["status"] == "pending"
    second = await house.inbox.send(owner, SCRIPTED, "two")
    assert second.status == 202, "what waits behind it is told at once"
    await house.clock.advance(120)
    assert said(house) == []
    house.platform.script.send_error = None
    await house.clock.advance(61)
    await settled(house, owner, "delivered")
    assert [m.key for _, m in house.platform.delivered] == [
        first.body["message_id"],
        second.body["message_id"],
    ]


async def test_the_pause_the_platform_asks_for_is_kept(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = PlatformUnavailable("slow down", retry_after=300)
    await house.inbox.send(owner, SCRIPTED, "one")
    house.platform.script.send_error = None
    await house.clock.advance(299)
    assert said(house) == []
    await house.clock.advance(2)
    await settled(house, owner, "delivered")


async def test_after_an_hour_it_is_given_up_and_may_be_tried_by_hand(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = DOWN
    message = (await house.inbox.send(owner, SCRIPTED, "one")).body["message_id"]
    await house.clock.advance(GIVE_UP_S + 61)
    (failed,) = await settled(house, owner, "failed")
    assert failed["detail"] == "scripted is not reachable at the moment"
    house.platform.script.send_error = None
    assert (await house.inbox.retry(owner, message)).body["status"] == "delivered"
    (delivered,) = await outbound(house, owner)
    assert (delivered["status"], delivered.get("detail")) == ("delivered", None)
    assert [m.key for _, m in house.platform.delivered] == [message]


async def test_the_words_of_the_platform_are_kept(house: House) -> None:
    owner, other = await written_to(house), await written_to(house)
    house.platform.script.send_error = PlatformRefused("no such chat")
    with pytest.raises(PlatformRefused, match="no such chat"):
        await house.inbox.send(owner, SCRIPTED, "one")
    (failed,) = await outbound(house, owner)
    assert (failed["status"], failed["detail"]) == ("failed", "no such chat")
    with pytest.raises(NotFound, match="Message not found"):
        await house.inbox.retry(other, failed["id"])
    with pytest.raises(PlatformRefused, match="no such chat"):
        await house.inbox.retry(owner, failed["id"])
    house.platform.script.send_error = None
    house.platform.script.delivery = DeliveryState.UNKNOWN
    with pytest.raises(PlatformRefused):
        await house.inbox.retry(owner, failed["id"])
    house.platform.script.delivery = DeliveryState.DELIVERED
    assert (await house.inbox.retry(owner, failed["id"])).status == 200
    with pytest.raises(Conflict, match="delivered"):
        await house.inbox.retry(owner, failed["id"])
    inbound = (await house.inbox.detail(owner, SCRIPTED))["conversations"][0]["messages"][0]["id"]
    with pytest.raises(NotFound):
        await house.inbox.retry(owner, inbound)


async def test_order_is_kept_within_a_conversation(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.hold = asyncio.Event()
    sends = [asyncio.create_task(house.inbox.send(owner, SCRIPTED, str(n))) for n in range(30)]
    async with asyncio.timeout(BOUND_S):
        while len(await outbound(house, owner)) < 30:
            pass
    house.platform.script.hold.set()
    await asyncio.gather(*sends)
    stored = [m["text"] for m in await outbound(house, owner)]
    assert said(house) == stored
    assert sorted(stored, key=int) == [str(n) for n in range(30)]


async def test_one_stuck_conversation_stops_no_other(house: House) -> None:
    owner = await written_to(house, "alice", "bob")
    alice, bob = [await conversation_of(house, owner, name) for name in ("Alice", "Bob")]
    house.platform.script.hold = asyncio.Event()
    stuck = asyncio.create_task(house.inbox.send(owner, SCRIPTED, "stuck", conversation_id=alice))
    await until(lambda: house.clock.sleeping == 1)
    hold, house.platform.script.hold = house.platform.script.hold, None
    for number in range(20):
        result = await house.inbox.send(owner, SCRIPTED, str(number), conversation_id=bob)
        assert result.body["status"] == "delivered"
    await house.clock.advance(25)
    assert (await asyncio.wait_for(stuck, BOUND_S)).status == 202, "the answer does not wait for ever"
    hold.set()
    await until(lambda: "stuck" in said(house))


async def test_what_is_pending_at_the_end_goes_out_in_the_next_life(database_path: Path) -> None:
    first, second = ScriptedConnector(), ScriptedConnector()
    async with open_house(database_path, platform=first) as house:
        owner = await written_to(house, "alice", "bob")
        first.script.send_error = DOWN
        keys = dict[str, list[str]]()
        for name in ("Alice", "Bob"):
            place = await conversation_of(house, owner, name)
            for number in range(3):
                sent = await house.inbox.send(owner, SCRIPTED, f"{name} {number}", conversation_id=place)
                keys.setdefault(name.lower(), []).append(sent.body["message_id"])
    async with open_house(database_path, platform=second) as house:
        await until(lambda: len(second.delivered) == 6)
        for name, wanted in keys.items():
            assert [m.key for to, m in second.delivered if to == name] == wanted
    async with open_house(database_path, platform=ScriptedConnector()) as house:
        await settled(house, owner, "delivered")
        assert said(house) == []


async def test_a_deleted_account_says_no_more(house: House) -> None:
    await house.accounts.create("a@example.org", "a long password", verified=True)
    owner = await house.accounts.authenticate_session(
        await house.accounts.sign_in("a@example.org", "a long password")
    )
    await house.platform.write(owner.scope, "hello")
    house.platform.script.send_error = DOWN
    for text in ("one", "two", "three"):
        await house.inbox.send(owner, SCRIPTED, text)
    await house.accounts.delete(owner, "a long password")
    tried = house.clock.sleeping
    assert tried, "it waits to be tried again"
    house.platform.script.send_error = None
    await house.clock.advance(61)
    await until(lambda: house.clock.sleeping < tried)
    other = await written_to(house)
    await house.inbox.send(other, SCRIPTED, "another's")
    assert said(house) == ["another's"]


async def test_what_is_said_while_a_platform_is_down_goes_out_later(house: House) -> None:
    owner = await written_to(house)
    house.platform.break_link(retry_after=30)
    await until(lambda: not house.supervisor.links)
    told = await house.inbox.send(owner, SCRIPTED, "answer")
    assert (told.status, told.body["status"]) == (202, "pending")
    for _ in range(4):
        await house.clock.advance(30)
    await until(lambda: said(house)[-1:] == ["answer"])


async def test_what_was_promised_waits_for_the_owner_too(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await house.bots.write(listed.id, "hello")
    house.bots.down = True
    house.bots.links[listed.id].break_off()
    await until(lambda: listed.id not in house.bots.links)
    for text in ("one", "two"):
        assert (await house.inbox.send(owner, BOTS, text)).status == 202
    fresh = house.bots.accept("helper", "another secret")
    house.bots.down = False
    await house.clock.advance(600)  # the link is refused, and the message tried in vain
    assert house.roster.of(owner.scope, BOTS)[0].state is ConnectionState.AUTH_NEEDED
    with pytest.raises(Unavailable):
        await house.inbox.send(owner, BOTS, "at once")
    await house.connections.change(owner, listed.id, settings={"bot_token": fresh})
    await until(lambda: listed.id in house.bots.links)
    await house.clock.advance(1)
    await until(lambda: house.bots.heard("alice") == ["one", "two"])


async def test_what_was_promised_fails_once_its_bot_is_gone(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await house.bots.write(listed.id, "hello")
    (place,) = (await house.inbox.snapshot(owner))["conversations"]
    house.bots.down = True
    house.bots.links[listed.id].break_off()
    await until(lambda: listed.id not in house.bots.links)
    assert (await house.inbox.send(owner, BOTS, "one")).status == 202
    await house.connections.remove(owner, listed.id)
    await house.clock.advance(61)
    async with asyncio.timeout(BOUND_S):
        while True:
            whole = await house.inbox.conversation(owner, place["conversation_id"])
            answer = whole["messages"][-1]
            if answer["status"] != "pending":
                break
    assert (answer["status"], answer["detail"]) == ("failed", "This botted connection was removed")
