"""Levels of live calls: measured while somebody looks, and not otherwise."""

from typing import Any

import numpy as np

from chamade_mcp.core.call import CallState
from chamade_mcp.core.calls import NewCall
from chamade_mcp.core.live import LiveCall
from chamade_mcp.core.onlookers import Onlookers, SeenCall, Snapshot
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.facts import ParticipantJoined
from chamade_mcp.model.ids import ParticipantRef
from tests.support.bots import connected
from tests.support.house import House
from tests.support.waiting import until

HALF = np.full(960, 16_384, np.int16)


async def live_call(house: House, owner: Principal) -> LiveCall:
    call = (await house.calls.create(owner, NewCall(SCRIPTED))).record
    live = house.engine.find(owner.scope, call.id)
    await until(lambda: live.session.state is CallState.ACTIVE)
    await house.platform.context.emit(owner.scope, ParticipantJoined(call.id, ParticipantRef("p1"), "Mira"))
    return live


def calls_of(snapshot: Snapshot) -> list[SeenCall]:
    return snapshot["calls"]


async def test_levels_of_people_of_the_room_and_of_the_agent(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    live = await live_call(house, owner)
    assert live.mixer is not None
    onlookers = Onlookers(house.calls, house.pairings)
    first, second, foreign = (
        onlookers.look(owner.scope),
        onlookers.look(owner.scope),
        onlookers.look(other.scope),
    )
    (seen,) = calls_of(first.snapshot())
    assert seen == {
        "call_id": live.record.id,
        "state": "active",
        "agent": 0.0,
        "room": 0.0,
        "people": [{"id": "p1", "name": "Mira", "level": 0.0}],
    }
    second.snapshot()
    assert calls_of(foreign.snapshot()) == []

    agent = live.mixer.add_agent(lambda frame: None)
    agent.push_pcm(np.full(960 * 4, 8_192, np.int16).tobytes(), 0.0)
    leg = house.platform.legs[live.record.room]
    await until(lambda: _louder(first.snapshot(), leg.far.push))
    (seen,) = calls_of(first.snapshot())
    assert seen["people"] == [{"id": "p1", "name": "Mira", "level": 0.0}]

    first.close()
    assert live.mixer.levels() != {}
    second.close()
    assert live.mixer.levels() == {}


def _louder(snapshot: Snapshot, push: Any) -> bool:
    push(HALF, 0.0)
    (seen,) = calls_of(snapshot)
    return seen["room"] > 0.4


async def test_a_call_that_is_over_is_measured_no_more(house: House) -> None:
    owner = await house.owner()
    live = await live_call(house, owner)
    assert live.mixer is not None
    onlooker = Onlookers(house.calls, house.pairings).look(owner.scope)
    onlooker.snapshot()
    await house.calls.leave(owner, live.record.id)
    assert calls_of(onlooker.snapshot()) == []
    live.mixer.measure(wanted=True)  # nobody else does: one more and one less is none
    live.mixer.measure(wanted=False)
    assert live.mixer.levels() == {}
    onlooker.close()


async def test_strangers_who_ask_are_another_number(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    onlookers = Onlookers(house.calls, house.pairings)
    mine, theirs = onlookers.look(owner.scope), onlookers.look(other.scope)
    listed = await connected(house, owner)
    seen = [mine.snapshot()["pairings"]]
    await house.bots.write(listed.id, "hello", sender="u-1")
    seen.append(mine.snapshot()["pairings"])
    (request,) = await house.pairings.page(owner)
    await house.pairings.approve(owner, str(request["id"]))
    seen.append(mine.snapshot()["pairings"])
    await house.pairings.approve(owner, str(request["id"]))  # twice is once
    seen.append(mine.snapshot()["pairings"])
    assert seen == [0, 1, 2, 2]
    assert theirs.snapshot()["pairings"] == 0
