"""Whoever was told that a message is pending hears how it ended."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.core import event_log
from chamade_mcp.core.outbox import GIVE_UP_S
from chamade_mcp.core.sending import SendResult
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.events import START
from chamade_mcp.model.messages import Delivery, DeliveryState, Outgoing
from tests.support.house import House, open_house
from tests.support.waiting import BOUND_S

FILE = {"bytes_b64": base64.b64encode(b"abc").decode(), "name": "a.txt", "mime": "text/plain"}
DOWN = PlatformUnavailable("down")


async def told(house: House, owner: Principal, count: int) -> list[dict[str, Any]]:
    """The first `count` events behind the person's message, which there must be, and no more."""
    async with asyncio.timeout(BOUND_S):
        while True:
            log = await house.database.read(lambda conn: event_log.after(conn, owner.account, START, 100))
            if len(log) > count:
                break
    common = ("platform", "conversation_id", "timestamp")
    found = [{k: v for k, v in e.event.payload.items() if k not in common} for e in log[1:]]
    assert len(found) == count
    return found


async def written_to(house: House) -> Principal:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    return owner


async def test_what_had_to_wait_is_told_when_it_is_out(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = DOWN
    waiting = [(await house.inbox.send(owner, SCRIPTED, text)).body["message_id"] for text in ("1", "2")]
    house.platform.script.send_error = None
    await house.clock.advance(61)
    events = await told(house, owner, 2)
    assert [(e["type"], e["delivered_ids"]) for e in events] == [("dm_delivered", [m]) for m in waiting]


async def test_what_had_to_wait_is_told_when_it_fails_for_good(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = DOWN
    waiting = (await house.inbox.send(owner, SCRIPTED, "1")).body["message_id"]
    await house.clock.advance(GIVE_UP_S + 61)
    (event,) = await told(house, owner, 1)
    assert (event["type"], event["message_id"], event["status"]) == ("dm_failed", waiting, "failed")
    assert event["detail"]


async def test_what_may_have_arrived_is_told_so(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = DOWN
    waiting = (await house.inbox.send(owner, SCRIPTED, "1")).body["message_id"]
    house.platform.script.send_error, house.platform.script.delivery = None, DeliveryState.UNKNOWN
    await house.clock.advance(61)
    (event,) = await told(house, owner, 1)
    assert (event["type"], event["message_id"], event["status"]) == ("dm_failed", waiting, "unknown")


@pytest.mark.parametrize("error", [None, PlatformRefused("no such person")])
async def test_what_was_answered_is_not_told_again(house: House, error: PlatformRefused | None) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = error
    try:
        await house.inbox.send(owner, SCRIPTED, "1")
    except PlatformRefused:
        assert error is not None
    await told(house, owner, 0)


async def test_of_files_a_failure_alone_is_told(house: House) -> None:
    owner = await written_to(house)
    await house.inbox.send(owner, SCRIPTED, "", attachments=[FILE])
    async with asyncio.timeout(BOUND_S):
        while len(house.platform.delivered) < 1:
            await house.clock.advance(0)
    house.platform.script.send_error = PlatformRefused("too big")
    sent = (await house.inbox.send(owner, SCRIPTED, "", attachments=[FILE])).body["message_id"]
    (event,) = await told(house, owner, 1)
    assert event == {"type": "dm_failed", "message_id": sent, "status": "failed", "detail": "too big"}


async def in_parts(house: House, owner: Principal, refused: str, **how: Any) -> asyncio.Task[SendResult]:
    """Sends "one two", then "three", of which one is refused once `hold` is let go."""
    answer = house.platform.messages.answer

    async def refuse_one(outgoing: Outgoing) -> Delivery:
        delivery = await answer(outgoing)
        if outgoing.text == refused:
            raise PlatformRefused("no such word")
        return delivery

    house.platform.messages.answer = refuse_one
    house.platform.script.hold = asyncio.Event()
    send = house.inbox.send(owner, SCRIPTED, "one two three", split=True, message_id="msg_x", **how)
    sending = asyncio.create_task(send)
    await stored(house, owner, "three")
    return sending


@pytest.fixture
async def narrow(database_path: Path) -> AsyncGenerator[House]:
    """Its platform takes ten characters at a time."""
    platform = ScriptedConnector()
    platform.manifest = replace(platform.manifest, text_limit=10)
    async with open_house(database_path, platform=platform) as house:
        yield house


@pytest.mark.parametrize(
    ("refused", "failed"), [("one two", ["msg_x", "msg_x_2"]), ("three", ["msg_x_2"]), ("", [])]
)
async def test_what_follows_a_file_is_told_either_way(narrow: House, refused: str, failed: list[str]) -> None:
    owner = await written_to(narrow)
    sending = await in_parts(narrow, owner, refused, attachments=[FILE])
    assert ((await sending).status, (await sending).body["status"]) == (200, "pending")
    assert narrow.platform.script.hold is not None
    narrow.platform.script.hold.set()
    events = await told(narrow, owner, len(failed) or 1)
    assert [e["message_id"] for e in events if e["type"] == "dm_failed"] == failed
    assert [e["delivered_ids"] for e in events if e["type"] == "dm_delivered"] == [["msg_x_2"]] * (not failed)


async def test_of_parts_whose_sender_went_away_each_is_told(narrow: House) -> None:
    owner = await written_to(narrow)
    sending = await in_parts(narrow, owner, "one two")
    sending.cancel()
    await asyncio.wait([sending])
    assert narrow.platform.script.hold is not None
    narrow.platform.script.hold.set()
    assert [e["message_id"] for e in await told(narrow, owner, 2)] == ["msg_x", "msg_x_2"]


async def test_a_promise_outlives_the_gateway(database_path: Path) -> None:
    async with open_house(database_path) as house:
        owner = await written_to(house)
        house.platform.script.send_error = DOWN
        waiting = (await house.inbox.send(owner, SCRIPTED, "1")).body["message_id"]
    async with open_house(database_path, platform=ScriptedConnector()) as house:
        (event,) = await told(house, owner, 1)
        assert (event["type"], event["delivered_ids"]) == ("dm_delivered", [waiting])


async def begun(house: House, owner: Principal) -> asyncio.Task[SendResult]:
    """A message that the platform is just being asked to take; `hold` is to be let go."""
    house.platform.script.hold = asyncio.Event()
    sending = asyncio.create_task(house.inbox.send(owner, SCRIPTED, "1", message_id="msg_x"))
    await stored(house, owner, "1")
    return sending


async def stored(house: House, owner: Principal, text: str) -> None:
    async with asyncio.timeout(BOUND_S):
        while (await house.inbox.detail(owner, SCRIPTED))["conversations"][0]["messages"][-1]["text"] != text:
            pass


async def test_who_went_away_meanwhile_hears_of_it_as_who_was_promised_it(house: House) -> None:
    owner = await written_to(house)
    sending = await begun(house, owner)
    sending.cancel()
    await asyncio.wait([sending])
    assert house.platform.script.hold is not None
    house.platform.script.hold.set()
    (event,) = await told(house, owner, 1)
    assert (event["type"], event["delivered_ids"]) == ("dm_delivered", ["msg_x"])


async def test_who_asks_for_the_same_meanwhile_is_told_the_same(house: House) -> None:
    owner = await written_to(house)
    sending = await begun(house, owner)
    again = asyncio.create_task(house.inbox.send(owner, SCRIPTED, "1", message_id="msg_x"))
    assert house.platform.script.hold is not None
    house.platform.script.hold.set()
    assert (await sending).body == (await again).body
    assert len(house.platform.delivered) == 1
