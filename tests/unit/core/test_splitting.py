"""One message of an agent's as several, each within the platform's limit."""

import base64
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.markdown.formats import Format
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import GatewayError, Outcome, PlatformRefused
from chamade_mcp.model.messages import Outgoing
from tests.support.house import House, open_house
from tests.support.waiting import until

TEXT = "It rains **today. It will** not tomorrow. Who knows?"
PARTS = ["It rains <b>today.</b>", "<b>It will</b> not tomorrow.", "Who knows?"]
FILE = {"bytes_b64": base64.b64encode(b"abc").decode(), "name": "a.txt", "mime": "text/plain"}


@pytest.fixture
def platform() -> ScriptedConnector:
    platform = ScriptedConnector()
    platform.manifest = replace(platform.manifest, text_limit=25, format=Format.TELEGRAM_HTML)
    return platform


@pytest.fixture
async def house(database_path: Path, platform: ScriptedConnector) -> AsyncGenerator[House]:
    async with open_house(database_path, platform=platform) as house:
        yield house


@pytest.fixture
async def owner(house: House) -> Principal:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", ref="m1")
    return owner


def said(house: House) -> list[str]:
    return [outgoing.text for _, outgoing in house.platform.delivered]


async def stored(house: House, owner: Principal) -> list[tuple[str, str, str]]:
    answer = await house.inbox.detail(owner, SCRIPTED)
    messages: list[dict[str, Any]] = answer["conversations"][0]["messages"]
    return [(m["id"], m["text"], m["status"]) for m in messages if m["direction"] == "outbound"]


async def test_every_part_is_a_message_of_its_own(house: House, owner: Principal) -> None:
    result = await house.inbox.send(owner, SCRIPTED, TEXT, split=True)
    assert said(house) == PARTS
    first = result.body["message_id"]
    ids = [first, f"{first}_2", f"{first}_3"]
    assert result.body == {
        "status": "delivered",
        "message_id": first,
        "delivery": "sync",
        "message_ids": ids,
    }
    assert await stored(house, owner) == [
        (ids[0], "It rains **today.**", "delivered"),
        (ids[1], "**It will** not tomorrow.", "delivered"),
        (ids[2], "Who knows?", "delivered"),
    ]


async def test_what_fits_stays_one(house: House, owner: Principal) -> None:
    result = await house.inbox.send(owner, SCRIPTED, "_short_", split=True)
    assert said(house) == ["<i>short</i>"]
    assert result.body["message_ids"] == [result.body["message_id"]]
    assert [text for _, text, _ in await stored(house, owner)] == ["_short_"]


async def test_what_stands_beside_the_text(house: House, owner: Principal) -> None:
    hers = (await house.inbox.detail(owner, SCRIPTED))["conversations"][0]["messages"][0]["id"]
    await house.inbox.send(
        owner, SCRIPTED, TEXT, split=True, keep_typing=True, reply_to=hers, thread="t1", attachments=[FILE]
    )
    await until(lambda: house.platform.typed)
    parts = [outgoing for _, outgoing in house.platform.delivered]
    assert [(part.reply_to, part.thread, len(part.attachments)) for part in parts] == [
        ("m1", "t1", 1),
        (None, "t1", 0),
        (None, "t1", 0),
    ]
    assert house.platform.typed == ["alice"], "shown again once, after the last"


async def test_the_same_again_is_the_same(house: House, owner: Principal) -> None:
    first = await house.inbox.send(owner, SCRIPTED, TEXT, split=True, message_id="msg_x")
    again = await house.inbox.send(owner, SCRIPTED, TEXT, split=True, message_id="msg_x")
    assert again == first
    assert said(house) == PARTS


@pytest.mark.parametrize(("failing", "outcome"), [(0, Outcome.NOT_DONE), (1, Outcome.UNKNOWN)])
async def test_a_part_that_fails_ends_it(
    house: House, owner: Principal, failing: int, outcome: Outcome
) -> None:
    answer = house.platform.messages.answer

    async def refuse_one(outgoing: Outgoing) -> Any:
        if outgoing.text == PARTS[failing]:
            raise PlatformRefused("no such word")
        return await answer(outgoing)

    house.platform.messages.answer = refuse_one
    with pytest.raises(PlatformRefused) as caught:
        await house.inbox.send(owner, SCRIPTED, TEXT, split=True, message_id="msg_x")
    assert caught.value.outcome is outcome
    assert said(house) == PARTS[:failing]
    states = [status for _, _, status in await stored(house, owner)]
    assert states == ["delivered"] * failing + ["failed"] * (3 - failing)
    if failing:
        assert caught.value.code == "SEND_INCOMPLETE"
        assert caught.value.errors[0].message == "not sent: msg_x_2, msg_x_3"
    house.platform.messages.answer = answer
    for missing in ["msg_x", "msg_x_2", "msg_x_3"][failing:]:
        assert (await house.inbox.retry(owner, missing)).status == 200
    assert said(house) == PARTS


async def test_what_has_to_wait_keeps_its_order(house: House, owner: Principal) -> None:
    house.platform.script.send_error = PlatformUnavailable("down")
    result = await house.inbox.send(owner, SCRIPTED, TEXT, split=True)
    assert (result.status, result.body["status"], len(result.body["message_ids"])) == (202, "pending", 3)
    house.platform.script.send_error = None
    await house.clock.advance(61)
    await until(lambda: len(said(house)) == 3)
    assert said(house) == PARTS


async def test_parts_outlive_the_gateway(database_path: Path, platform: ScriptedConnector) -> None:
    async with open_house(database_path, platform=platform) as house:
        owner = await house.owner()
        await house.platform.write(owner.scope, "hello")
        platform.script.send_error = PlatformUnavailable("down")
        await house.inbox.send(owner, SCRIPTED, TEXT, split=True)
    platform.script.send_error = None
    async with open_house(database_path, platform=platform) as house:
        await until(lambda: len(said(house)) == 3)
        assert said(house) == PARTS


@pytest.mark.parametrize("failing", [0, 1])
async def test_a_part_that_fails_in_the_next_life_ends_it(
    database_path: Path, platform: ScriptedConnector, failing: int
) -> None:
    async with open_house(database_path, platform=platform) as house:
        owner = await house.owner()
        await house.platform.write(owner.scope, "hello")
        platform.script.send_error = PlatformUnavailable("down")
        await house.inbox.send(owner, SCRIPTED, TEXT, split=True)
        assert (await house.inbox.send(owner, SCRIPTED, "And you?")).status == 202
    platform.script.send_error = None
    answer = platform.messages.answer

    async def refuse_one(outgoing: Outgoing) -> Any:
        if outgoing.text == PARTS[failing]:
            raise PlatformRefused("no such word")
        return await answer(outgoing)

    platform.messages.answer = refuse_one
    async with open_house(database_path, platform=platform) as house:
        await until(lambda: "And you?" in said(house))
        assert said(house) == [*PARTS[:failing], "And you?"]
        await house.inbox.stop()
        states = [status for _, _, status in await stored(house, owner)]
        assert states == ["delivered"] * failing + ["failed"] * (3 - failing) + ["delivered"]


async def test_what_cannot_be_cut_is_refused_with_both_numbers(house: House, owner: Principal) -> None:
    with pytest.raises(GatewayError) as caught:
        await house.inbox.send(owner, SCRIPTED, f"see [{'x' * 40}](https://a.example) there", split=True)
    assert caught.value.code == "SEND_FAILED"
    assert caught.value.errors[0].message == "has 40 characters; scripted takes 25"
    assert await stored(house, owner) == []
