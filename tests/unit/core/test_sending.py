"""Direct messages out: nothing is said to have happened that has not."""

import asyncio
import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import Access
from chamade_mcp.model.errors import (
    GatewayError,
    InvalidRequest,
    NotFound,
    Outcome,
    PlatformRefused,
    Unavailable,
)
from chamade_mcp.model.messages import DeliveryState
from tests.support.bots import connected
from tests.support.house import House, open_house
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until

FILE = {"bytes_b64": base64.b64encode(b"abc").decode(), "name": "a.txt", "mime": "text/plain"}


async def stored(house: House, owner: Principal) -> list[tuple[str, str]]:
    answer = await house.inbox.detail(owner, SCRIPTED)
    messages: list[dict[str, Any]] = answer["conversations"][0]["messages"]
    return [(m["text"], m["status"]) for m in messages if m["direction"] == "outbound"]


async def written_to(house: House) -> Principal:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello")
    return owner


@requirement("R-100")
async def test_a_message_is_delivered(house: House) -> None:
    owner = await written_to(house)
    result = await house.inbox.send(owner, SCRIPTED, "answer")
    (to, outgoing), = house.platform.delivered  # fmt: skip
    assert (to, outgoing.text) == ("alice", "answer")
    assert (result.status, result.body) == (
        200,
        {"status": "delivered", "message_id": outgoing.key, "delivery": "sync"},
    )
    assert await stored(house, owner) == [("answer", "delivered")]
    assert house.platform.typed == []


@requirement("R-104")
async def test_with_a_file_the_answer_does_not_wait(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.hold = asyncio.Event()
    result = await house.inbox.send(owner, SCRIPTED, "", attachments=[FILE])
    assert (result.body["status"], result.body["delivery"]) == ("pending", "async")
    assert await stored(house, owner) == [("", "pending")]
    house.platform.script.hold.set()
    await until(lambda: house.platform.delivered)
    assert house.platform.delivered[0][1].attachments[0].name == "a.txt"
    await house.inbox.stop()
    assert await stored(house, owner) == [("", "delivered")]


@requirement("R-102")
async def test_nobody_to_send_to(house: House) -> None:
    owner, other = await written_to(house), await house.owner()
    with pytest.raises(NotFound, match=r"^No active conversation$"):
        await house.inbox.send(other, SCRIPTED, "hello")
    with pytest.raises(NotFound, match=r"^No active conversation$"):
        await house.inbox.send(owner, "telegram", "hello")
    with pytest.raises(NotFound, match=r"^No active conversation$"):
        await house.inbox.typing(other, SCRIPTED)


async def test_to_a_conversation_by_its_id(house: House) -> None:
    owner, other = await written_to(house), await house.owner()
    await house.platform.write(owner.scope, "later", conversation="bob")
    listed = (await house.inbox.snapshot(owner))["conversations"]
    alice = next(c["conversation_id"] for c in listed if c["remote_name"] == "Alice")
    await house.inbox.send(owner, SCRIPTED, "to alice", conversation_id=alice)
    assert house.platform.delivered[0][0] == "alice"
    for principal, platform, wanted in (
        (owner, SCRIPTED, "conv_unknown"),
        (owner, "telegram", alice),
        (other, SCRIPTED, alice),
    ):
        with pytest.raises(NotFound, match="Conversation not found"):
            await house.inbox.send(principal, platform, "x", conversation_id=wanted)


@requirement("R-103", "R-107", "R-108")
async def test_what_is_too_long_is_refused_whole(house: House) -> None:
    owner = await written_to(house)
    with pytest.raises(PlatformRefused, match=r"^Failed to send message$"):
        await house.inbox.send(owner, SCRIPTED, "x" * 10_001)
    assert house.platform.delivered == []
    assert await stored(house, owner) == []
    await house.inbox.send(owner, SCRIPTED, "x" * 10_000)


@requirement("R-103")
@pytest.mark.parametrize(
    ("error", "delivery", "told", "outcome", "status"),
    [
        (PlatformRefused(), None, PlatformRefused, Outcome.NOT_DONE, "failed"),
        (None, DeliveryState.FAILED, PlatformRefused, Outcome.NOT_DONE, "failed"),
        (None, DeliveryState.UNKNOWN, PlatformRefused, Outcome.UNKNOWN, "unknown"),
    ],
)
async def test_what_went_wrong_is_told_and_stored(
    house: House,
    error: Exception | None,
    delivery: DeliveryState | None,
    told: type[GatewayError],
    outcome: Outcome,
    status: str,
) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = error
    house.platform.script.delivery = delivery or DeliveryState.DELIVERED
    with pytest.raises(told) as caught:
        await house.inbox.send(owner, SCRIPTED, "answer", keep_typing=True)
    assert (caught.value.outcome, caught.value.platform) in (
        (outcome, SCRIPTED),
        (outcome, None),  # the platform's own error is passed on as it is
    )
    assert await stored(house, owner) == [("answer", status)]
    assert house.platform.typed == []


async def test_a_platform_gets_its_own_dialect_and_the_source(database_path: Path) -> None:
    platform = ScriptedConnector()
    platform.manifest = replace(platform.manifest, format=Format.TELEGRAM_HTML)
    async with open_house(database_path, platform=platform) as house:
        owner = await written_to(house)
        await house.inbox.send(owner, SCRIPTED, "**a < b**")
        ((_, outgoing),) = platform.delivered
        assert (outgoing.text, outgoing.markdown) == ("<b>a &lt; b</b>", "**a < b**")
        assert await stored(house, owner) == [("**a < b**", "delivered")]
        with pytest.raises(PlatformRefused) as caught:
            await house.inbox.send(owner, SCRIPTED, "[](x)")
        assert caught.value.errors[0].message == "has nothing that can be seen"


@requirement("R-107", "R-108")
@pytest.mark.parametrize(
    ("unit", "fits", "words"),
    [
        (Unit.CHARACTERS, "👍" * 10, "has 11 characters; scripted takes 10"),
        (Unit.UTF16, "👍" * 5, "has 12 UTF-16 units; scripted takes 10"),
        (Unit.BYTES, "👍" * 2, "has 12 bytes; scripted takes 10"),
    ],
)
async def test_the_limit_counts_as_the_platform_does(
    database_path: Path, unit: Unit, fits: str, words: str
) -> None:
    platform = ScriptedConnector()
    platform.manifest = replace(platform.manifest, text_limit=10, text_unit=unit)
    async with open_house(database_path, platform=platform) as house:
        owner = await written_to(house)
        await house.inbox.send(owner, SCRIPTED, fits)
        with pytest.raises(PlatformRefused, match=r"^Failed to send message$") as caught:
            await house.inbox.send(owner, SCRIPTED, fits + "👍")
        assert caught.value.errors[0].message == words


async def test_a_reply_quotes_and_names_its_place(house: House) -> None:
    owner = await house.owner()
    await house.platform.write(owner.scope, "hello", ref="m1", thread="t1")
    await house.platform.write(owner.scope, "later", conversation="bob", ref="m2")
    listed = (await house.inbox.snapshot(owner))["conversations"]
    hers, his = (next(c for c in listed if c["remote_name"] == n) for n in ("Alice", "Bob"))
    await house.inbox.send(owner, SCRIPTED, "answer", reply_to=hers["last_message"]["id"])
    ((to, outgoing),) = house.platform.delivered
    assert (to, outgoing.reply_to, outgoing.thread) == ("alice", "m1", "t1")
    await house.inbox.send(owner, SCRIPTED, "and more", reply_to=outgoing.key)
    assert house.platform.delivered[1][1].reply_to == f"sent-{outgoing.key}"
    bobs = his["conversation_id"]
    await house.inbox.send(owner, SCRIPTED, "elsewhere", thread="t2", conversation_id=bobs)
    assert (house.platform.delivered[2][0], house.platform.delivered[2][1].thread) == ("bob", "t2")
    replies = (await house.inbox.conversation(owner, hers["conversation_id"]))["messages"]
    assert [m.get("reply_to") for m in replies] == [None, hers["last_message"]["id"], outgoing.key]
    for wanted, place in (("msg_unknown", None), (outgoing.key, bobs)):
        with pytest.raises(NotFound, match="Message not found") as caught:
            await house.inbox.send(owner, SCRIPTED, "x", reply_to=wanted, conversation_id=place)
        assert caught.value.code == "MESSAGE_NOT_FOUND"
    with pytest.raises(NotFound, match="Message not found"):
        await house.inbox.send(await house.owner(), SCRIPTED, "x", reply_to=outgoing.key)


@pytest.mark.parametrize("how", [{"reply_to": "msg_x"}, {"thread": "t1"}])
async def test_what_a_platform_cannot_do_is_told(database_path: Path, how: dict[str, str]) -> None:
    platform = ScriptedConnector(messages=frozenset())
    async with open_house(database_path, platform=platform) as house:
        owner = await written_to(house)
        with pytest.raises(InvalidRequest) as caught:
            await house.inbox.send(owner, SCRIPTED, "x", **how)  # pyright: ignore[reportArgumentType]
        assert caught.value.code == "CAPABILITY_MISSING"
        assert platform.delivered == []


async def test_a_connector_with_a_bug_leaves_the_outcome_open(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.send_error = KeyError("a bug")
    with pytest.raises(KeyError):
        await house.inbox.send(owner, SCRIPTED, "answer")
    assert await stored(house, owner) == [("answer", "unknown")]


async def test_a_platform_that_wants_a_person_stores_nothing(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    await house.bots.write(listed.id, "hello")
    house.bots.accept("helper", "another secret")
    await until(lambda: listed.id not in house.bots.links)
    with pytest.raises(Unavailable) as caught:
        await house.inbox.send(owner, BOTS, "answer")
    assert caught.value.code == "RECONNECT_NEEDED"
    (conversation,) = (await house.inbox.snapshot(owner, status="active"))["conversations"]
    assert conversation["last_message"]["text"] == "hello"


async def test_a_caller_who_goes_away_does_not_stop_a_message(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.hold = asyncio.Event()
    sending = asyncio.create_task(house.inbox.send(owner, SCRIPTED, "answer"))
    while await stored(house, owner) == []:
        pass
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    house.platform.script.hold.set()
    await house.inbox.stop()
    assert await stored(house, owner) == [("answer", "delivered")]


async def test_the_end_of_the_gateway_waits_for_a_slow_platform_within_reason(house: House) -> None:
    owner = await written_to(house)
    house.platform.script.hold = asyncio.Event()
    await house.inbox.send(owner, SCRIPTED, "", attachments=[FILE])
    stopping = asyncio.create_task(house.inbox.stop())
    await until(lambda: house.clock.sleeping == 1)
    await house.clock.advance(10)
    await asyncio.wait_for(stopping, BOUND_S)
    assert await stored(house, owner) == [("", "pending")], "it goes out after the next start"


@requirement("R-101", "R-105")
async def test_typing(house: House) -> None:
    owner = await written_to(house)
    assert await house.inbox.typing(owner, SCRIPTED) == {"status": "ok"}
    assert house.platform.typed == ["alice"]
    await house.inbox.send(owner, SCRIPTED, "one moment", keep_typing=True)
    assert house.platform.typed == ["alice", "alice"]
