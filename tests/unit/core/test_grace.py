"""A call whose agent's socket broke: how long it goes on, and how it ends."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chamade_mcp.core.call import AGENT_GONE, CallState
from chamade_mcp.core.calls import NewCall
from chamade_mcp.core.streams import AgentStream
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Principal
from chamade_mcp.model.events import START
from chamade_mcp.model.ids import RoomRef
from tests.support.house import GRACE_S, House, open_house
from tests.support.waiting import until

S = CallState


class Agent:
    """Opens sockets on one call, and loses them."""

    def __init__(self, house: House, owner: Principal, call: str) -> None:
        self.house, self.owner, self.call = house, owner, call
        self._open: list[tuple[AsyncExitStack, AgentStream]] = []

    async def come(self) -> None:
        stack = AsyncExitStack()
        stream = await stack.enter_async_context(self.house.calls.stream(self.owner, self.call))
        self._open.append((stack, stream))

    async def go(self, *, left: bool = False) -> None:
        stack, stream = self._open.pop()
        stream.left = left
        await stack.aclose()

    @property
    def alive(self) -> bool:
        return any(live.record.id == self.call for live in self.house.engine.of(self.owner.scope))


async def in_a_call(house: House) -> tuple[Agent, RoomRef]:
    owner = await house.owner()
    record = (await house.calls.create(owner, NewCall(SCRIPTED))).record
    await until(lambda: house.engine.find(owner.scope, record.id).session.state is S.ACTIVE)
    return Agent(house, owner, record.id), record.room


async def events_of(agent: Agent) -> list[tuple[str, str]]:
    async with agent.house.hub.subscribe(agent.owner.scope, after=None):
        past = agent.house.calls.past(agent.owner, agent.call, after=START)
        return [(e["type"], e.get("code") or e["state"]) async for e, _ in past]


async def test_a_call_ends_when_its_agent_does_not_come_back(house: House) -> None:
    agent, room = await in_a_call(house)
    await agent.come()
    await agent.go()
    await house.clock.advance(GRACE_S - 0.1)
    assert agent.alive
    await house.clock.advance(0.1)
    await until(lambda: not agent.alive)
    await until(lambda: house.platform.left == [room])
    view = await house.calls.get(agent.owner, agent.call, 0)
    assert view.state is S.ENDED
    assert view.ended_at is not None
    assert await events_of(agent) == [
        ("call_state", "active"),
        ("call_error", "AGENT_GONE"),
        ("call_state", "ended"),
    ]
    assert "came back" in AGENT_GONE


async def test_an_agent_that_comes_back_has_all_the_time_again(house: House) -> None:
    agent, _ = await in_a_call(house)
    for _ in range(3):
        await agent.come()
        await house.clock.advance(10 * GRACE_S)
        await agent.go()
        await house.clock.advance(GRACE_S - 1)
        assert agent.alive
    await house.clock.advance(1)
    await until(lambda: not agent.alive)


async def test_a_call_has_its_agent_while_one_socket_is_open(house: House) -> None:
    agent, _ = await in_a_call(house)
    await agent.come()
    await agent.come()
    await agent.go()
    await house.clock.advance(10 * GRACE_S)
    assert agent.alive
    await agent.go()
    await house.clock.advance(GRACE_S)
    await until(lambda: not agent.alive)


async def test_an_agent_that_closes_its_socket_itself_keeps_its_call(house: House) -> None:
    agent, _ = await in_a_call(house)
    await agent.come()
    await agent.go(left=True)
    await house.clock.advance(100 * GRACE_S)
    assert agent.alive


async def test_a_call_that_never_had_a_socket_goes_on(house: House) -> None:
    agent, _ = await in_a_call(house)
    await house.clock.advance(100 * GRACE_S)
    assert agent.alive


@pytest.mark.parametrize("what", ["get", "typing"])
async def test_an_agent_that_asks_for_something_is_there(house: House, what: str) -> None:
    agent, _ = await in_a_call(house)
    await agent.come()
    await agent.go()
    await house.clock.advance(GRACE_S / 2)
    if what == "get":
        await house.calls.get(agent.owner, agent.call, 0)
    else:
        await house.calls.typing(agent.owner, agent.call)
    await house.clock.advance(100 * GRACE_S)
    assert agent.alive
    await agent.come()
    await agent.go()
    await house.clock.advance(GRACE_S)
    await until(lambda: not agent.alive)


async def test_somebody_else_who_asks_keeps_nothing(house: House) -> None:
    agent, _ = await in_a_call(house)
    stranger = await house.owner()
    await agent.come()
    await agent.go()
    await house.calls.active(agent.owner)
    for _ in range(3):
        await house.clock.advance(GRACE_S / 3)
        with pytest.raises(Exception, match="Call not found"):
            await house.calls.get(stranger, agent.call, 0)
    await until(lambda: not agent.alive)


async def test_a_call_that_rings_rings_on(house: House) -> None:
    owner = await house.owner()
    await house.platform.ring(owner.scope)
    [live] = house.engine.of(owner.scope)
    agent = Agent(house, owner, live.record.id)
    await agent.come()
    await agent.go()
    await house.calls.get(owner, live.record.id, 0)
    await house.clock.advance(59)
    assert live.session.state is S.RINGING
    await house.clock.advance(1)
    await until(lambda: live.session.state is S.MISSED)


async def test_no_grace_is_for_ever(database_path: Path) -> None:
    async with open_house(database_path, grace_s=0) as house:
        agent, _ = await in_a_call(house)
        await agent.come()
        await agent.go()
        await house.clock.advance(1_000_000)
        assert agent.alive
