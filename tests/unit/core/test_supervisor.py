"""Links: opened, kept, opened again, given up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.connector import AuthNeeded, Context, Link, PlatformUnavailable
from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.model.errors import Action, Unavailable
from chamade_mcp.model.ids import ConnectionId
from tests.support.house import House, open_house
from tests.support.waiting import BOUND_S, until


class SlowToClose(ScriptedConnector):
    def __init__(self) -> None:
        super().__init__()
        self.closing, self.may_close = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncGenerator[Link]:
        async with super().open(ctx) as link:
            yield link
            self.closing.set()
            async with asyncio.timeout(BOUND_S):
                await self.may_close.wait()


@asynccontextmanager
async def supervised(house: House, platform: ScriptedConnector) -> AsyncGenerator[Supervisor]:
    supervisor = Supervisor({SCRIPTED: platform}, house.clock)
    await supervisor.start(house.context)
    try:
        yield supervisor
    finally:
        await supervisor.stop()


async def test_a_link_is_there_once_started_and_gone_once_stopped(house: House) -> None:
    platform = ScriptedConnector()
    async with supervised(house, platform) as supervisor:
        assert supervisor.link(SCRIPTED).messages is not None
        assert set(supervisor.links) == {SCRIPTED}
    assert set(supervisor.links) == set()


async def test_a_platform_out_of_reach_is_tried_again_with_growing_pauses(house: House) -> None:
    platform = ScriptedConnector()
    platform.script.open_error = PlatformUnavailable("down")
    async with supervised(house, platform) as supervisor:
        with pytest.raises(Unavailable) as caught:
            supervisor.link(SCRIPTED)
        assert caught.value.retry_after == 2
        await house.clock.advance(300)
        platform.script.open_error = None
        await house.clock.advance(59)
        await house.clock.advance(1)  # never longer than a minute
        assert platform.opened == 1
        supervisor.link(SCRIPTED)


async def test_the_platforms_own_pause_is_kept(house: House) -> None:
    platform = ScriptedConnector()
    platform.script.open_error = PlatformUnavailable("429", retry_after=30)
    async with supervised(house, platform):
        platform.script.open_error = None
        await house.clock.advance(29.9)
        assert platform.opened == 0
        await house.clock.advance(0.1)
        assert platform.opened == 1


async def test_a_link_that_breaks_is_opened_again(house: House) -> None:
    platform = ScriptedConnector()
    async with supervised(house, platform) as supervisor:
        first = supervisor.link(SCRIPTED)
        platform.break_link(retry_after=1)
        await house.clock.advance(0.5)
        with pytest.raises(Unavailable):
            supervisor.link(SCRIPTED)
        await house.clock.advance(0.5)
        assert supervisor.link(SCRIPTED) is not first


async def test_a_connector_with_a_bug_is_opened_again(house: House, caplog: pytest.LogCaptureFixture) -> None:
    platform = ScriptedConnector()
    platform.script.open_error = KeyError("a bug")
    async with supervised(house, platform) as supervisor:
        assert "the link to scripted broke" in caplog.text
        platform.script.open_error = None
        await house.clock.advance(60)
        supervisor.link(SCRIPTED)


async def test_a_refused_authorisation_is_for_people(house: House) -> None:
    platform = ScriptedConnector()
    platform.script.open_error = AuthNeeded()
    async with supervised(house, platform) as supervisor:
        platform.script.open_error = None
        await house.clock.advance(3600)
        assert platform.opened == 0
        with pytest.raises(Unavailable) as caught:
            supervisor.link(SCRIPTED)
        assert (caught.value.code, caught.value.action) == ("RECONNECT_NEEDED", Action.ASK_HUMAN)
        assert caught.value.retry_after is None


async def test_a_link_in_the_place_of_another_is_only_out_of_reach_meanwhile(house: House) -> None:
    platform = SlowToClose()
    own = ConnectionId("conn_1")
    async with supervised(house, platform) as supervisor:
        await (await supervisor.hold(SCRIPTED, own, house.context(SCRIPTED))).wait()
        first = supervisor.link(SCRIPTED, own)
        assert supervisor.opening(SCRIPTED, own) is None
        changing = asyncio.create_task(supervisor.hold(SCRIPTED, own, house.context(SCRIPTED)))
        await platform.closing.wait()
        with pytest.raises(Unavailable) as caught:
            supervisor.link(SCRIPTED, own)
        assert (caught.value.code, caught.value.action) == ("UNAVAILABLE", Action.RETRY)
        opening = supervisor.opening(SCRIPTED, own)
        assert opening is not None
        platform.may_close.set()
        await changing
        async with asyncio.timeout(BOUND_S):
            await opening.wait()
        assert supervisor.link(SCRIPTED, own) is not first


async def test_stopping_does_not_wait_for_the_next_try(house: House) -> None:
    platform = ScriptedConnector()
    platform.script.open_error = PlatformUnavailable("down", retry_after=3600)
    async with asyncio.timeout(BOUND_S), supervised(house, platform):
        pass


def test_out_of_reach_is_told_as_unavailable() -> None:
    with pytest.raises(Unavailable) as caught, reaching(SCRIPTED):
        raise PlatformUnavailable("down", retry_after=7)
    assert (caught.value.platform, caught.value.retry_after) == (SCRIPTED, 7)


async def test_a_broken_link_disconnects_its_calls(database_path: Path) -> None:
    async with open_house(database_path) as house:
        owner = await house.owner()
        room = await house.platform.ring(owner.scope, auto_answer=True)
        await until(lambda: room in house.platform.legs)
        house.platform.break_link()
        await until(lambda: not house.engine.of(owner.scope))
