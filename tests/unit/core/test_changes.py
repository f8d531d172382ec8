"""Messages that are there already: the agent changes and takes back its own, and reacts to anybody's."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.core import dms
from chamade_mcp.core.changes import Changes
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import GatewayError, PlatformRefused, Unavailable
from chamade_mcp.model.facts import MessageDeleted
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store import schema
from tests.support.house import House, open_house
from tests.support.waiting import BOUND_S, Gate, until

HERS = "m1"
Change = Callable[[Changes, Principal, str], Awaitable[None]]


def edit(changes: Changes, who: Principal, message: str) -> Awaitable[None]:
    return changes.edit(who, message, "other *words*")


def delete(changes: Changes, who: Principal, message: str) -> Awaitable[None]:
    return changes.delete(who, message)


def react(changes: Changes, who: Principal, message: str) -> Awaitable[None]:
    return changes.react(who, message, "👍", on=True)


every_change = pytest.mark.parametrize("change", [edit, delete, react])


@pytest.fixture
async def owner(house: House) -> Principal:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", ref=HERS)
    return owner


async def shown(house: House, owner: Principal) -> list[dict[str, Any]]:
    return (await house.inbox.detail(owner, SCRIPTED))["conversations"][0]["messages"]


async def sent(house: House, owner: Principal) -> str:
    result = await house.inbox.send(owner, SCRIPTED, "words")
    return str(result.body["message_id"])


async def test_what_was_said_is_changed_for_the_person_and_in_the_inbox(
    house: House, owner: Principal
) -> None:
    message = await sent(house, owner)
    await edit(house.inbox.changes, owner, message)
    ((_, at_platform),) = house.platform.delivered
    assert (at_platform.text, at_platform.key) == ("other *words*", message)
    mine = (await shown(house, owner))[1]
    assert (mine["text"], mine["status"]) == ("other *words*", "delivered")
    assert mine["edited_at"] == mine["timestamp"]


async def test_an_edit_has_the_limits_of_a_message(house: House, owner: Principal) -> None:
    message = await sent(house, owner)
    with pytest.raises(PlatformRefused) as caught:
        await house.inbox.changes.edit(owner, message, "x" * 10_001)
    assert caught.value.errors[0].message == "has 10001 characters; scripted takes 10000"
    assert house.platform.delivered[0][1].text == "words"


async def test_what_was_said_is_taken_back(house: House, owner: Principal) -> None:
    message = await sent(house, owner)
    for _ in range(2):
        await delete(house.inbox.changes, owner, message)
    assert house.platform.delivered == []
    mine = (await shown(house, owner))[1]
    assert (mine["text"], mine["status"]) == ("", "deleted")
    for change in (edit, react):
        with pytest.raises(GatewayError) as caught:
            await change(house.inbox.changes, owner, message)
        assert caught.value.code == "MESSAGE_NOT_SENT"


async def test_the_agent_reacts_to_anybody(house: House, owner: Principal) -> None:
    message = await sent(house, owner)
    hers = (await shown(house, owner))[0]["id"]
    for one in (message, hers, hers):
        await react(house.inbox.changes, owner, one)
    await house.inbox.changes.react(owner, hers, "🎉", on=True)
    await house.inbox.changes.react(owner, message, "👍", on=False)
    assert house.platform.messages.reactions == {f"sent-{message}": [], HERS: ["👍", "🎉"]}
    first, second = await shown(house, owner)
    assert first["reactions"] == [{"emoji": "👍", "sender": ""}, {"emoji": "🎉", "sender": ""}]
    assert "reactions" not in second


@pytest.mark.parametrize("change", [edit, delete])
async def test_only_its_own(house: House, owner: Principal, change: Change) -> None:
    hers = (await shown(house, owner))[0]["id"]
    with pytest.raises(GatewayError) as caught:
        await change(house.inbox.changes, owner, hers)
    assert (caught.value.status, caught.value.code) == (403, "NOT_OWN_MESSAGE")
    assert (await shown(house, owner))[0]["text"] == "hello"


@every_change
async def test_only_in_its_own_account(house: House, owner: Principal, change: Change) -> None:
    message = await sent(house, owner)
    for who, named in ((await house.owner(), message), (owner, "msg_unknown")):
        with pytest.raises(GatewayError) as caught:
            await change(house.inbox.changes, who, named)
        assert (caught.value.status, caught.value.code) == (404, "MESSAGE_NOT_FOUND")


@every_change
async def test_not_before_it_is_out(house: House, owner: Principal, change: Change) -> None:
    house.platform.script.hold = asyncio.Event()
    sending = asyncio.create_task(sent(house, owner))
    while len(messages := await shown(house, owner)) < 2:
        pass
    with pytest.raises(GatewayError) as caught:
        await change(house.inbox.changes, owner, messages[1]["id"])
    assert (caught.value.status, caught.value.code) == (409, "MESSAGE_NOT_SENT")
    house.platform.script.hold.set()
    await sending


async def test_what_failed_just_goes(house: House, owner: Principal) -> None:
    house.platform.script.delivery = DeliveryState.FAILED
    house.platform.script.send_error = PlatformRefused("no such person")
    with pytest.raises(PlatformRefused):
        await sent(house, owner)
    await delete(house.inbox.changes, owner, (await shown(house, owner))[1]["id"])
    assert (await shown(house, owner))[1]["status"] == "deleted"


@every_change
async def test_what_the_platform_refuses_or_misses_changes_nothing(
    house: House, owner: Principal, change: Change
) -> None:
    message = await sent(house, owner)
    before = await shown(house, owner)
    house.platform.script.send_error = PlatformRefused("too old")
    with pytest.raises(PlatformRefused, match="too old"):
        await change(house.inbox.changes, owner, message)
    house.platform.break_link(retry_after=3600)
    await until(lambda: not house.supervisor.links)
    with pytest.raises(Unavailable):
        await change(house.inbox.changes, owner, message)
    assert await shown(house, owner) == before


@pytest.fixture
async def bare(database_path: Path) -> AsyncGenerator[House]:
    """With a platform that can do none of it."""
    async with open_house(database_path, platform=ScriptedConnector(messages=frozenset())) as house:
        yield house


@every_change
async def test_not_where_the_platform_cannot(bare: House, change: Change) -> None:
    owner = await bare.owner()
    await bare.platform.write(owner.scope, "hello")
    with pytest.raises(GatewayError) as caught:
        await change(bare.inbox.changes, owner, await sent(bare, owner))
    assert (caught.value.status, caught.value.code) == (400, "CAPABILITY_MISSING")


@every_change
async def test_in_a_closed_conversation_things_are_only_taken_back(
    house: House, owner: Principal, change: Change
) -> None:
    message = await sent(house, owner)
    close = schema.conversations.update().values(status=dms.CLOSED)
    await house.database.write(lambda conn: conn.execute(close) and None)
    if change is delete:
        await change(house.inbox.changes, owner, message)
        return
    with pytest.raises(GatewayError) as caught:
        await change(house.inbox.changes, owner, message)
    assert caught.value.code == "CONVERSATION_CLOSED"
    assert house.platform.delivered[0][1].text == "words"


async def while_asked(house: House, change: Awaitable[None], meanwhile: Awaitable[object]) -> None:
    """`meanwhile` happens while the platform is being asked."""
    hold = house.platform.script.hold = Gate()
    changing = asyncio.ensure_future(change)
    await until(hold.reached.is_set)
    await meanwhile
    hold.set()
    await asyncio.wait_for(changing, BOUND_S)


async def test_what_somebody_took_back_meanwhile_stays_so(house: House, owner: Principal) -> None:
    message = await sent(house, owner)
    deleted = MessageDeleted(ConversationRef("alice"), MessageRef(f"sent-{message}"))
    await while_asked(
        house, edit(house.inbox.changes, owner, message), house.platform.tell(owner.scope, deleted)
    )
    assert [(m["text"], m["status"]) for m in await shown(house, owner)][1:] == [("", "deleted")]


async def test_what_went_by_age_meanwhile_is_reacted_to_all_the_same(house: House, owner: Principal) -> None:
    hers = (await shown(house, owner))[0]["id"]
    gone = house.database.write(lambda conn: conn.execute(schema.messages.delete()) and None)
    await while_asked(house, react(house.inbox.changes, owner, hers), gone)


async def test_what_is_sent_again_meanwhile_is_not_taken_back(house: House, owner: Principal) -> None:
    for _ in range(20):
        house.platform.script.send_error = PlatformRefused("no")
        with pytest.raises(PlatformRefused):
            await sent(house, owner)
        message = (await shown(house, owner))[-1]["id"]
        house.platform.script.send_error = None
        await asyncio.gather(
            house.inbox.retry(owner, message),
            delete(house.inbox.changes, owner, message),
            return_exceptions=True,
        )
        mine = (await shown(house, owner))[-1]
        there = any(outgoing.key == message for _, outgoing in house.platform.delivered)
        assert (mine["status"], there) in (("delivered", True), ("deleted", False))
