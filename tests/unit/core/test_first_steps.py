"""The newcomer's list follows what is really there."""

from dataclasses import replace
from typing import Any

from chamade_mcp.core.call import CallState
from chamade_mcp.core.calls import NewCall
from chamade_mcp.core.first_steps import FirstSteps
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from tests.support.house import House
from tests.support.waiting import until


async def done(house: House, owner: Principal) -> list[str]:
    told: Any = await FirstSteps(house.database, house.clock).look(owner)
    assert [one["step"] for one in told["steps"]] == ["key", "client", "link", "message", "answer", "call"]
    return [one["step"] for one in told["steps"] if one["done"]]


async def test_from_nothing_to_an_agent_that_talks(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    assert await done(house, owner) == []
    key = await house.accounts.create_key(owner.scope, "laptop")
    assert await done(house, owner) == ["key"]
    await house.accounts.authenticate(key.value)
    assert await done(house, owner) == ["key", "client"]
    await house.invitations.invite(owner, SCRIPTED, "Bea")
    assert await done(house, owner) == ["key", "client", "link"]
    await house.platform.write(owner.scope, "hello")
    assert await done(house, owner) == ["key", "client", "link", "message"]
    # What the owner says is no answer of the agent's.
    await house.inbox.send(replace(owner, browser="b"), SCRIPTED, "by hand")
    assert await done(house, owner) == ["key", "client", "link", "message"]
    await house.inbox.send(owner, SCRIPTED, "answer")
    assert await done(house, owner) == ["key", "client", "link", "message", "answer"]
    call = (await house.calls.create(owner, NewCall(SCRIPTED))).record
    live = house.engine.find(owner.scope, call.id)
    await until(lambda: live.session.state is CallState.ACTIVE)
    assert await done(house, owner) == ["key", "client", "link", "message", "answer", "call"]
    assert await done(house, other) == []


async def test_it_is_put_away_for_good_and_for_one_account(house: House) -> None:
    owner, other = await house.owner(), await house.owner()
    steps = FirstSteps(house.database, house.clock)
    for _ in range(2):
        await steps.dismiss(owner)
        assert (await steps.look(owner))["dismissed"] is True
    assert (await steps.look(other))["dismissed"] is False
