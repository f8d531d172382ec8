"""What is left of calls: their course, who was there, and forgetting them."""

from typing import Any

import pytest
from sqlalchemy import Connection, select

from chamade_mcp.core.call import CallState
from chamade_mcp.core.calls import NewCall
from chamade_mcp.kit.connector import EndReason
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Conflict, NotFound
from chamade_mcp.model.facts import ParticipantJoined, ParticipantLeft
from chamade_mcp.model.ids import CallId, ParticipantRef
from chamade_mcp.store.schema import call_chat, calls, events, transcript_lines
from tests.support.house import House
from tests.support.waiting import until

ALICE = ParticipantRef("alice")


async def joined(house: House, owner: Principal) -> CallId:
    call = (await house.calls.create(owner, NewCall(SCRIPTED))).record.id
    live = house.engine.find(owner.scope, call)
    await until(lambda: live.leg is not None and live.session.state is CallState.ACTIVE)
    return call


async def came_and_went(house: House, owner: Principal) -> CallId:
    """A call with somebody in it, in which each wrote and Alice spoke; over."""
    call = await joined(house, owner)
    live = house.engine.find(owner.scope, call)
    await house.platform.tell(owner.scope, ParticipantJoined(call, ALICE, "Alice"))
    house.clock.jump(1)
    await house.platform.post(owner.scope, live.record.room, "hello")
    house.clock.jump(1)
    await house.calls.add_transcript(live, "Alice", "good morning")
    house.clock.jump(1)
    await house.calls.chat(owner, call, "welcome")
    await house.platform.tell(owner.scope, ParticipantLeft(call, ALICE))
    house.clock.jump(1)
    await house.calls.leave(owner, call)
    return call


async def course(house: House, owner: Principal, call: str) -> list[dict[str, Any]]:
    told: Any = await house.history.timeline(owner, call, 0, 100)
    assert told["next"] is None
    return told["moments"]


async def test_the_course_of_a_call_is_told_in_order(house: House) -> None:
    owner = await house.owner()
    call = await came_and_went(house, owner)
    told = await course(house, owner, call)
    assert [(m["offset_ms"], m["kind"], m["who"], m["mine"], m["text"]) for m in told] == [
        (0, "state", "", False, "active"),
        (1000, "chat", "Alice", False, "hello"),
        (2000, "speech", "Alice", False, "good morning"),
        (3000, "chat", "AI Agent", True, "welcome"),
        (4000, "state", "", False, "ended"),
    ]  # fmt: skip
    about: Any = await house.history.get(owner, call)
    assert (about["people"], about["lines"], about["messages"], about["recordings"]) == (["Alice"], 1, 2, 0)


async def test_what_rang_says_who_rang(house: House) -> None:
    owner = await house.owner()
    room = await house.platform.ring(owner.scope, "Bob")
    (live,) = house.engine.of(owner.scope)
    await house.platform.hang_up(owner.scope, room)
    await until(lambda: live.session.state.terminal)
    first, *_, last = await course(house, owner, live.record.id)
    assert (first["kind"], first["text"], first["who"]) == ("state", "ringing", "Bob")
    assert last["text"] == "missed"


async def test_what_broke_is_told_with_its_code(house: House) -> None:
    owner = await house.owner()
    call = await joined(house, owner)
    live = house.engine.find(owner.scope, call)
    house.platform.legs[live.record.room].end(EndReason.DISCONNECTED)
    await until(lambda: live.session.state.terminal)
    error = next(m for m in await course(house, owner, call) if m["kind"] == "error")
    assert error["code"]
    assert error["text"]


async def test_a_message_that_is_told_twice_is_there_once(house: House) -> None:
    owner = await house.owner()
    call = await joined(house, owner)
    for _ in range(2):
        await house.calls.chat(owner, call, "welcome", message_id="msg_1")
    assert [m["text"] for m in await course(house, owner, call) if m["kind"] == "chat"] == ["welcome"]


async def test_pages_have_every_moment_once(house: House) -> None:
    owner = await house.owner()
    call = await came_and_went(house, owner)
    whole = await course(house, owner, call)
    paged: list[dict[str, Any]] = []
    offset: int | None = 0
    while offset is not None:
        page: Any = await house.history.timeline(owner, call, offset, 2)
        paged += page["moments"]
        offset = page["next"]
    assert paged == whole


async def test_calls_are_listed_the_newest_first_in_pages(house: House) -> None:
    owner = await house.owner()
    made: list[str] = []
    for n in range(5):
        made.insert(0, await came_and_went(house, owner))
        house.clock.jump(n % 2)  # some in the same moment
    listed: list[str] = []
    before: str | None = None
    while True:
        page: Any = await house.history.page(owner, before, 2)
        listed += [call["call_id"] for call in page["calls"]]
        before = page["next"]
        if before is None:
            break
    assert sorted(listed) == sorted(made)
    assert len(listed) == len(set(listed))
    newest: Any = await house.history.page(owner, None, 1)
    assert newest["calls"][0]["call_id"] == listed[0]


async def test_a_call_that_is_alive_is_listed_and_not_forgotten(house: House) -> None:
    owner = await house.owner()
    call = await joined(house, owner)
    page: Any = await house.history.page(owner, None, 10)
    assert [(c["call_id"], c["state"], c["ended_at"]) for c in page["calls"]] == [(call, "active", None)]
    with pytest.raises(Conflict) as refused:
        await house.history.forget(owner, call)
    assert refused.value.code == "CALL_UNDER_WAY"


async def test_what_is_forgotten_has_gone_and_the_rest_stays(house: House) -> None:
    owner = await house.owner()
    kept, call = await came_and_went(house, owner), await came_and_went(house, owner)
    await house.history.forget(owner, call)
    with pytest.raises(NotFound):
        await house.history.get(owner, call)

    def left(conn: Connection) -> set[str | None]:
        of = (calls.c.id, call_chat.c.call_id, transcript_lines.c.call_id, events.c.call_id)
        return {row[0] for column in of for row in conn.execute(select(column)).all()}

    assert await house.database.read(left) == {kept}


async def test_nobody_sees_or_forgets_the_calls_of_others(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    call = await came_and_went(house, owner)
    assert await house.history.page(other, None, 10) == {"calls": [], "next": None}
    for asked in (
        house.history.get(other, call),
        house.history.timeline(other, call, 0, 10),
        house.history.forget(other, call),
        house.history.page(other, call, 10),
    ):
        with pytest.raises(NotFound):
            await asked


async def test_names_are_kept_up_to_a_bound(house: House) -> None:
    owner = await house.owner()
    call = await joined(house, owner)
    for n in range(150):
        who = ParticipantRef(str(n))
        await house.platform.tell(owner.scope, ParticipantJoined(call, who, f"Guest {n}"))
        await house.platform.tell(owner.scope, ParticipantLeft(call, who))
    await house.calls.leave(owner, call)
    about: Any = await house.history.get(owner, call)
    assert about["people"] == [f"Guest {n}" for n in range(100)]
