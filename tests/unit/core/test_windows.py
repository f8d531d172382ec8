"""A platform on which the agent may speak only for a day after the person has written."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.core import event_log
from chamade_mcp.core.inbox_deps import InboxDeps
from chamade_mcp.core.windows import Windows
from chamade_mcp.kit.connector import PlatformUnavailable, WindowClosed
from chamade_mcp.kit.manifest import Window
from chamade_mcp.kit.testing import ScriptedConnector
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import NotFound, PlatformRefused
from chamade_mcp.model.events import START
from chamade_mcp.model.facts import DeliveryChanged
from chamade_mcp.model.ids import ConversationRef, Platform
from chamade_mcp.model.messages import Delivery, DeliveryState, Outgoing
from tests.support.house import House, open_house
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, Gate, until

WHATSAPP = Platform("whatsapp")
HOUR_S = 3600.0
LOOKS_EVERY_S = 600.0
DAY_S = 24 * HOUR_S
FILE = {"bytes_b64": base64.b64encode(b"abc").decode(), "name": "a.txt", "mime": "text/plain"}


def windowed() -> ScriptedConnector:
    return ScriptedConnector(platform=WHATSAPP, window=Window(DAY_S, 7 * DAY_S))


@pytest.fixture
async def house(database_path: Path) -> AsyncGenerator[House]:
    async with open_house(database_path, platform=windowed()) as house:
        yield house


@pytest.fixture
async def owner(house: House) -> Principal:
    """Somebody wrote to their agent a day ago."""
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(DAY_S)
    return owner


async def send(house: House, owner: Principal, text: str, **how: Any) -> dict[str, Any]:
    """The body of what is queued."""
    result = await house.inbox.send(owner, WHATSAPP, text, **how)
    assert (result.status, result.body["status"]) == (202, "queued")
    return result.body


async def events(house: House, owner: Principal) -> list[dict[str, Any]]:
    """Behind the first message."""
    log = await house.database.read(lambda conn: event_log.after(conn, owner.account, START, 100))
    return [envelope.event.payload for envelope in log][1:]


async def conversation(house: House, owner: Principal) -> dict[str, Any]:
    return (await house.inbox.detail(owner, WHATSAPP))["conversations"][0]


async def states(house: House, owner: Principal) -> list[str]:
    messages: list[dict[str, Any]] = (await conversation(house, owner))["messages"]
    return [m["status"] for m in messages if m["direction"] == "outbound"]


def said(house: House) -> list[str]:
    return [outgoing.text for _, outgoing in house.platform.delivered]


async def read(house: House, outgoing: Outgoing) -> bytes:
    """As the connector does that sends it."""
    content = await house.files.open(outgoing.attachments[0])
    return b"".join([chunk async for chunk in content.chunks])


def nudges(house: House) -> list[tuple[str, str]]:
    """Whom, and what they were shown."""
    return list(house.platform.messages.nudged.values())


@requirement("R-109", "R-095")
async def test_inside_the_window_it_goes_out(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(DAY_S - 1)
    assert (await conversation(house, owner))["whatsapp_window"]["open"] is True
    assert (await house.inbox.send(owner, WHATSAPP, "hi")).status == 200
    assert (said(house), nudges(house)) == (["hi"], [])
    await house.clock.advance(1)
    assert (await conversation(house, owner))["whatsapp_window"]["open"] is False


@requirement("R-110", "R-111", "R-112", "R-117")
async def test_outside_it_is_held_and_the_person_asked_once(house: House, owner: Principal) -> None:
    first = await send(
        house, owner, "**It** is\ndone, and all the rest of what was to be done is done as well"
    )
    assert first == {
        "status": "queued",
        "message_id": first["message_id"],
        "reason": "outside_24h_window",
        "template_sent": True,
        "queue_position": 1,
    }
    second = await send(house, owner, "more", attachments=[FILE])
    assert (second["template_sent"], second["queue_position"]) == (False, 2)
    assert nudges(house) == [("alice", "It is done, and all the rest of what was to be done is done…")]
    assert said(house) == []
    assert await states(house, owner) == ["pending", "pending"]


@requirement("R-094", "R-096", "R-097")
async def test_the_window_is_shown(house: House, owner: Principal) -> None:
    last = (await house.inbox.snapshot(owner))["conversations"][0]["last_message"]["timestamp"]
    await send(house, owner, "1")
    await send(house, owner, "2")
    closed = {"open": False, "last_inbound_at": last, "pending_count": 2}
    assert (await conversation(house, owner))["whatsapp_window"] == closed
    assert (await house.inbox.snapshot(owner))["conversations"][0]["whatsapp_window"] == closed
    since = (await house.inbox.delta(owner, "2000-01-01T00:00:00Z"))["conversations"][0]
    assert since["whatsapp_window"] == closed
    await house.platform.write(owner.scope, "here I am")
    opened = (await conversation(house, owner))["whatsapp_window"]
    assert (opened["open"], opened["pending_count"]) == (True, 0)
    assert opened["last_inbound_at"] > last


@requirement("R-110", "R-112")
async def test_what_is_held_keeps_its_files_as_long_as_it_may_wait(house: House, owner: Principal) -> None:
    upload = await house.files.upload_base64(owner.scope, FILE["bytes_b64"], FILE["name"], FILE["mime"])
    await send(house, owner, "here", attachments=[{"file_id": upload["file_id"]}])
    await house.clock.advance(6 * DAY_S)
    await house.files.sweep()
    await house.platform.write(owner.scope, "here I am")
    [(_, outgoing)] = house.platform.delivered
    assert await read(house, outgoing) == b"abc"
    await house.clock.advance(DAY_S)
    await house.files.sweep()
    with pytest.raises(NotFound):
        await read(house, outgoing)


async def test_what_the_platform_holds_keeps_its_files_too(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.send_error = WindowClosed()
    await house.inbox.send(owner, WHATSAPP, "", attachments=[FILE])
    await until(lambda: len(nudges(house)) == 1)
    house.platform.script.send_error = None
    await house.clock.advance(6 * DAY_S)
    await house.files.sweep()
    await house.platform.write(owner.scope, "here I am")
    [(_, outgoing)] = house.platform.delivered
    assert await read(house, outgoing) == b"abc"


@requirement("R-113", "R-114")
async def test_when_the_person_writes_all_goes_out_before_the_agent_hears_of_it(
    house: House, owner: Principal
) -> None:
    ids = [(await send(house, owner, text))["message_id"] for text in ("1", "2", "3")]
    await house.platform.write(owner.scope, "here I am")
    assert said(house) == ["1", "2", "3"]
    delivered, chat = await events(house, owner)
    assert (delivered["type"], delivered["delivered_ids"]) == ("dm_delivered", ids)
    assert (chat["type"], chat["text"]) == ("dm_chat", "here I am")
    assert await states(house, owner) == ["delivered"] * 3
    assert (await house.inbox.send(owner, WHATSAPP, "4")).status == 200
    await house.clock.advance(DAY_S)
    assert (await send(house, owner, "5"))["template_sent"] is True, "a new day, a new question"
    assert len(nudges(house)) == 2


async def test_nobody_else_is_touched(house: House, owner: Principal) -> None:
    await send(house, owner, "1")
    await house.clock.advance(1)
    await house.platform.write(owner.scope, "hello", conversation="bob")
    assert said(house) == []
    assert (await house.inbox.send(owner, WHATSAPP, "2")).status == 200, "bob wrote last"
    assert house.platform.delivered[0][0] == "bob"


async def test_a_repeated_delivery_opens_nothing(house: House, owner: Principal) -> None:
    await house.platform.write(owner.scope, "hello", ref="m1")
    await house.clock.advance(DAY_S)
    await send(house, owner, "1")
    await house.platform.write(owner.scope, "hello", ref="m1")
    late = house.clock.now() - timedelta(days=1)
    await house.platform.write(owner.scope, "late", sent_at=late)
    assert said(house) == []
    assert (await conversation(house, owner))["whatsapp_window"]["open"] is False


@requirement("R-116")
async def test_the_platform_may_close_it_first(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.send_error = WindowClosed()
    first = await send(house, owner, "1")
    assert (first["template_sent"], first["queue_position"]) == (True, 1)
    house.platform.script.send_error = None
    assert (await send(house, owner, "2"))["template_sent"] is False, "in its order, behind the first"
    assert (await conversation(house, owner))["whatsapp_window"]["open"] is False
    await house.platform.write(owner.scope, "here I am")
    assert said(house) == ["1", "2"]


def closed(message: str) -> DeliveryChanged:
    return DeliveryChanged(
        ConversationRef("alice"), message, DeliveryState.FAILED, "Re-engagement message", window_closed=True
    )


@requirement("R-116")
async def test_the_platform_may_tell_later_that_it_was_closed(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.delivery = DeliveryState.SENT
    message = (await house.inbox.send(owner, WHATSAPP, "1")).body["message_id"]
    await house.platform.tell(owner.scope, closed(message))
    assert await states(house, owner) == ["pending"]
    await until(lambda: nudges(house))
    house.platform.messages.delivered.clear()
    house.platform.messages.keys.clear()
    await house.clock.advance(1)
    await house.platform.write(owner.scope, "here I am")
    assert said(house) == ["1"]
    assert [e["type"] for e in await events(house, owner)] == ["dm_delivered", "dm_chat"]
    await house.platform.tell(owner.scope, closed(message))
    assert await states(house, owner) == ["failed"], "it has waited once"


async def test_still_closed_it_goes_on_waiting(house: House, owner: Principal) -> None:
    ids = [(await send(house, owner, text))["message_id"] for text in ("1", "2")]
    house.platform.script.send_error = WindowClosed()
    await house.platform.write(owner.scope, "one")
    assert await states(house, owner) == ["pending"] * 2
    assert [e["type"] for e in await events(house, owner)] == ["dm_chat"]
    house.platform.script.send_error = None
    await house.platform.write(owner.scope, "two")
    assert said(house) == ["1", "2"]
    assert (await events(house, owner))[1]["delivered_ids"] == ids
    assert len(nudges(house)) == 1


async def test_what_is_refused_then_is_told(house: House, owner: Principal) -> None:
    ids = [(await send(house, owner, text))["message_id"] for text in ("1", "2")]
    answer = house.platform.messages.answer

    async def refuse_one(outgoing: Outgoing) -> Delivery:
        if outgoing.key == ids[0]:
            raise PlatformRefused("no such word")
        return await answer(outgoing)

    house.platform.messages.answer = refuse_one
    await house.platform.write(owner.scope, "here I am")
    failed, delivered, chat = await events(house, owner)
    assert (failed["type"], failed["message_id"], failed["detail"]) == ("dm_failed", ids[0], "no such word")
    assert (delivered["delivered_ids"], chat["type"]) == ([ids[1]], "dm_chat")


async def test_a_platform_that_is_slow_holds_nothing_back_for_ever(house: House, owner: Principal) -> None:
    ids = [(await send(house, owner, text))["message_id"] for text in ("1", "2")]
    hold = house.platform.script.hold = Gate()
    writing = asyncio.create_task(house.platform.write(owner.scope, "here I am"))
    await until(hold.reached.is_set)
    await house.clock.advance(10)
    await asyncio.wait_for(writing, BOUND_S)
    assert [e["type"] for e in await events(house, owner)] == ["dm_chat"]
    house.platform.script.hold.set()
    await until(lambda: said(house) == ["1", "2"])
    async with asyncio.timeout(BOUND_S):
        while len(told := await events(house, owner)) < 3:
            pass
    assert [e["delivered_ids"] for e in told[1:]] == [[ids[0]], [ids[1]]]


@pytest.mark.parametrize("waited_s", [0, 3 * DAY_S])
async def test_out_of_reach_when_the_person_writes(house: House, owner: Principal, waited_s: float) -> None:
    await send(house, owner, "1")
    await house.clock.advance(waited_s)
    house.platform.script.send_error = PlatformUnavailable("down")
    await house.platform.write(owner.scope, "here I am")
    assert [e["type"] for e in await events(house, owner)] == ["dm_chat"]
    house.platform.script.send_error = None
    await house.clock.advance(61)
    await until(lambda: said(house) == ["1"])


@requirement("R-115")
async def test_what_nobody_writes_for_is_given_up(house: House, owner: Principal) -> None:
    old = (await send(house, owner, "old"))["message_id"]
    await house.clock.advance(6 * DAY_S)
    await send(house, owner, "new")
    await house.clock.advance(DAY_S)
    async with asyncio.timeout(BOUND_S):
        while len(told := await events(house, owner)) < 1:
            await house.clock.advance(60)
    assert (told[0]["type"], told[0]["message_id"]) == ("dm_failed", old)
    assert told[0]["detail"] == "Nobody wrote for 7 days"
    assert await states(house, owner) == ["failed", "pending"]
    await house.platform.write(owner.scope, "here I am")
    assert said(house) == ["new"]


async def given_up(house: House, owner: Principal, count: int) -> list[str]:
    """The messages that nobody wrote for, once there are `count`."""
    async with asyncio.timeout(BOUND_S):
        while True:
            failed = [e["message_id"] for e in await events(house, owner) if e["type"] == "dm_failed"]
            if len(failed) >= count:
                return failed
            await house.clock.advance(60)


async def test_what_was_given_up_and_is_sent_again_waits_as_long_again(
    house: House, owner: Principal
) -> None:
    first, second = [(await send(house, owner, text))["message_id"] for text in ("1", "2")]
    await house.clock.advance(7 * DAY_S)
    assert await given_up(house, owner, 2) == [first, second]
    assert (await house.inbox.retry(owner, first)).body["template_sent"] is True
    assert (await house.inbox.retry(owner, second)).body["queue_position"] == 2
    await house.clock.advance(6 * DAY_S)
    await house.platform.write(owner.scope, "here I am")
    assert said(house) == ["1", "2"]
    await house.clock.advance(DAY_S)
    third = (await send(house, owner, "3"))["message_id"]
    await house.clock.advance(7 * DAY_S)
    await given_up(house, owner, 3)
    await house.inbox.retry(owner, third)
    await house.clock.advance(7 * DAY_S)
    assert await given_up(house, owner, 4) == [first, second, third, third]


@pytest.mark.parametrize("jump_s", [2 * HOUR_S, -HOUR_S])
async def test_setting_the_clock_opens_and_closes_nothing(house: House, jump_s: float) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(DAY_S - HOUR_S)
    house.clock.jump(jump_s)
    assert (await house.inbox.send(owner, WHATSAPP, "in time")).status == 200
    await house.clock.advance(HOUR_S)
    await send(house, owner, "late")
    await house.clock.advance(7 * DAY_S - 1)
    house.clock.jump(jump_s)
    assert await states(house, owner) == ["delivered", "pending"]


@pytest.mark.parametrize("jump_s", [2 * HOUR_S, -HOUR_S])
async def test_a_window_opened_after_the_clock_was_set_is_no_other(house: House, jump_s: float) -> None:
    owner = await house.owner()
    house.clock.jump(jump_s)
    await house.platform.write(owner.scope, "hello")
    await house.clock.advance(DAY_S - 1)
    assert (await house.inbox.send(owner, WHATSAPP, "in time")).status == 200
    await house.clock.advance(1)
    await send(house, owner, "late")
    house.clock.jump(-jump_s)
    assert await states(house, owner) == ["delivered", "pending"]
    await house.platform.write(owner.scope, "here I am", ref="m2")
    assert said(house) == ["in time", "late"]


@pytest.mark.parametrize("jump_s", [2 * HOUR_S, -HOUR_S])
async def test_it_waits_once_whatever_the_clock_says(house: House, jump_s: float) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.delivery = DeliveryState.SENT
    message = (await house.inbox.send(owner, WHATSAPP, "1")).body["message_id"]
    house.clock.jump(jump_s)
    await house.platform.tell(owner.scope, closed(message))
    assert await states(house, owner) == ["pending"]
    await until(lambda: nudges(house))
    await house.platform.write(owner.scope, "here I am", ref="m2")
    await house.platform.tell(owner.scope, closed(message))
    assert await states(house, owner) == ["failed"]


async def test_that_it_is_closed_may_be_told_before_the_answer(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.delivery = DeliveryState.SENT
    hold = house.platform.script.hold = Gate()
    sending = asyncio.create_task(house.inbox.send(owner, WHATSAPP, "1", message_id="msg_1"))
    await until(hold.reached.is_set)
    telling = asyncio.create_task(house.platform.tell(owner.scope, closed("msg_1")))
    asleep = house.clock.sleeping
    await until(lambda: house.clock.sleeping > asleep)
    house.platform.script.hold.set()
    assert (await sending).status == 200
    await telling
    assert await states(house, owner) == ["pending"]
    await until(lambda: nudges(house))


async def test_who_could_not_be_asked_is_asked_later(house: House, owner: Principal) -> None:
    house.platform.messages.nudge_error = PlatformRefused("no template")
    assert (await send(house, owner, "1"))["template_sent"] is False
    house.platform.messages.nudge_error = None
    await send(house, owner, "2")  # or what looks every ten minutes came first: then it was that
    await until(lambda: nudges(house))
    assert nudges(house) == [("alice", "1")]


async def test_a_queue_outlives_the_gateway(database_path: Path) -> None:
    platform = windowed()
    platform.messages.nudge_error = PlatformUnavailable("down")
    async with open_house(database_path, platform=platform) as house:
        owner = await house.owner()
        await house.platform.write(owner.scope, "hello")
        await house.clock.advance(DAY_S)
        ids = [(await send(house, owner, text))["message_id"] for text in ("1", "2")]
        late = house.clock.now()
    platform = windowed()
    async with open_house(database_path, platform=platform) as house:
        house.clock.jump((late - house.clock.now()).total_seconds())
        await until(lambda: nudges(house))
        assert (await send(house, owner, "3"))["template_sent"] is False
        assert nudges(house) == [("alice", "1")]
        await house.platform.write(owner.scope, "here I am", ref="another")
        assert said(house) == ["1", "2", "3"]
        assert (await events(house, owner))[0]["delivered_ids"][:2] == ids


async def test_what_failed_and_is_sent_again_waits_like_the_rest(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    house.platform.script.send_error = PlatformRefused("no")
    with pytest.raises(PlatformRefused):
        await house.inbox.send(owner, WHATSAPP, "1", message_id="msg_1")
    house.platform.script.send_error = None
    await house.clock.advance(DAY_S)
    again = await house.inbox.retry(owner, "msg_1")
    assert (again.status, again.body["status"], again.body["template_sent"]) == (202, "queued", True)
    same = await house.inbox.send(owner, WHATSAPP, "1", message_id="msg_1")
    assert same.body["queue_position"] == 1


async def test_all_the_parts_of_a_long_message_wait(database_path: Path) -> None:
    platform = windowed()
    platform.manifest = replace(platform.manifest, text_limit=10)
    async with open_house(database_path, platform=platform) as house:
        owner = await house.owner()
        await house.platform.write(owner.scope, "hello")
        await house.clock.advance(DAY_S)
        body = await send(house, owner, "one two three", split=True)
        assert (len(body["message_ids"]), body["template_sent"], body["queue_position"]) == (2, True, 1)
        await house.platform.write(owner.scope, "here I am")
        assert said(house) == ["one two", "three"]


async def test_a_part_that_fails_once_the_person_writes_ends_it(database_path: Path) -> None:
    platform = windowed()
    platform.manifest = replace(platform.manifest, text_limit=10)
    answer = platform.messages.answer

    async def refuse_one(outgoing: Outgoing) -> Delivery:
        if outgoing.text == "one two":
            raise PlatformRefused("no such word")
        return await answer(outgoing)

    platform.messages.answer = refuse_one
    async with open_house(database_path, platform=platform) as house:
        owner = await house.owner()
        await house.platform.write(owner.scope, "hello")
        await house.clock.advance(DAY_S)
        body = await send(house, owner, "one two three", split=True)
        await send(house, owner, "more")
        await house.platform.write(owner.scope, "here I am")
        assert said(house) == ["more"]
        *failed, delivered, _ = await events(house, owner)
        assert [e["message_id"] for e in failed] == body["message_ids"]
        assert delivered["type"] == "dm_delivered"


@requirement("R-098")
async def test_other_platforms_have_no_window(database_path: Path) -> None:
    async with open_house(database_path) as house:
        owner = await house.owner()
        await house.platform.write(owner.scope, "hello")
        (found,) = (await house.inbox.snapshot(owner))["conversations"]
        assert [name for name in found if name.endswith("window")] == []
        await house.clock.advance(DAY_S)
        assert (await house.inbox.send(owner, "scripted", "hi")).status == 200


async def test_a_send_that_crosses_a_person_is_not_left_waiting(house: House, owner: Principal) -> None:
    """Whoever of the two is stored first."""
    for number in range(10):
        await asyncio.gather(
            house.inbox.send(owner, WHATSAPP, f"answer {number}"),
            house.platform.write(owner.scope, f"back {number}"),
        )
        await until(lambda count=number: len(said(house)) == count + 1)
        assert (await conversation(house, owner))["whatsapp_window"]["pending_count"] == 0
        await house.clock.advance(DAY_S)


async def test_it_is_known_when_nothing_waits(house: House, owner: Principal) -> None:
    deps = InboxDeps(
        house.database,
        house.hub,
        house.clock,
        house.platforms,
        house.supervisor,
        house.files,
        house.probes,
        0,
    )
    windows = Windows(deps)
    assert not windows.nothing_waits()
    windows.start()
    await until(windows.nothing_waits)
    closed = partial(windows.hold, platform=WHATSAPP, message="msg_none", states=(DeliveryState.SENT,))
    await house.database.write(closed)
    assert not windows.nothing_waits()
    await house.clock.advance(LOOKS_EVERY_S)
    await until(windows.nothing_waits)
    await send(house, owner, "later")  # by other windows on the same store
    await house.clock.advance(LOOKS_EVERY_S)
    await until(lambda: not windows.nothing_waits())
    await house.platform.write(owner.scope, "back")
    await house.clock.advance(LOOKS_EVERY_S)
    await until(windows.nothing_waits)
    await windows.stop()
