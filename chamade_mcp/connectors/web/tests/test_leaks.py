"""However people and agents leave, nothing stays behind: no task, no room, no watch, no beat."""

import asyncio
import gc
from contextlib import AsyncExitStack

import pytest

from chamade_mcp.connectors.web.chat import Chat
from chamade_mcp.connectors.web.connector import connector
from chamade_mcp.connectors.web.guest import Guest
from chamade_mcp.connectors.web.room import Room
from chamade_mcp.connectors.web.tests.harness import (
    PUBLIC_URL,
    SCOPE,
    World,
    eventually,
    opened_link,
    serving,
)
from chamade_mcp.connectors.web.tests.test_audio import noise, speak
from chamade_mcp.connectors.web.tests.test_leg import CALL, agent, person
from chamade_mcp.kit.connector import EndReason, Served
from chamade_mcp.kit.registry import discover
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.facts import CallerGaveUp
from chamade_mcp.model.ids import Platform


def alive(*kinds: type[object]) -> int:
    gc.collect()
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


async def test_a_link_that_nobody_used() -> None:
    before = asyncio.all_tasks()
    async with opened_link(World()) as world:
        assert isinstance(world.link, Served)
        assert asyncio.all_tasks() == before
    assert asyncio.all_tasks() == before


async def test_every_way_out_leaves_nothing_behind() -> None:
    world = World()
    async with opened_link(world), serving(world) as world.netloc:
        before = len(asyncio.all_tasks())
        kept = alive(Room, Chat, Guest)
        token, (chat, _) = await world.room(), await world.chat()
        async with person(world, token), person(world, chat):  # closed politely
            pass
        async with person(world, token) as ann, agent(world, token):  # in mid-sentence
            await speak(ann, noise(3))
        async with person(world, token) as ann:  # cut off
            ann.socket.transport.abort()
        async with person(world, token) as ann, world.page(token) as again:  # replaced
            await again.enter("Ann", ann.secret)
            await ann.closed()
        async with world.page(token) as page:  # never said hello
            await page.socket.send("?")
            await page.next()
            world.clock.advance(10)
            await page.closed()
        async with person(world, token) as ann, agent(world, token):  # while the store hangs
            world.core.open.clear()
            await ann.say("chat", key="1", text="hi")
            await eventually(lambda: world.core.waiting == 1)
        world.core.open.set()
        async with person(world, token) as ann:  # revoked
            world.invites.revoke(token)
            await ann.closed()
        await eventually(lambda: world.invites.watchers == 0)
        await eventually(lambda: len(asyncio.all_tasks()) == before)
        await eventually(lambda: alive(Room, Chat, Guest) == kept)
        assert world.clock.sleepers == 0
        await eventually(lambda: not any(world.ticker._phases))  # pyright: ignore[reportPrivateUsage]


async def test_closing_the_link_sends_everybody_home() -> None:
    world = World()
    async with AsyncExitStack() as stack:
        link = AsyncExitStack()
        await link.enter_async_context(opened_link(world))
        world.netloc = await stack.enter_async_context(serving(world))
        before = len(asyncio.all_tasks())
        token, (chat, _) = await world.room(), await world.chat()
        room = await world.link.calls.locate(f"{PUBLIC_URL}/r/{token}")
        ann = await stack.enter_async_context(person(world, token))
        ben = await stack.enter_async_context(person(world, chat))
        silent = await stack.enter_async_context(world.page(token))
        await silent.socket.send("?")
        await silent.next()
        leg = await stack.enter_async_context(world.link.calls.join(SCOPE, room, CALL, "Ada"))
        await ben.say("call")
        await ben.expect("calling")
        await link.aclose()
        assert world.invites.watchers == 0
        assert await leg.ended() is EndReason.DISCONNECTED
        assert len(world.core.of(CallerGaveUp)) == 1
        assert not any(world.ticker._phases)  # pyright: ignore[reportPrivateUsage]
        for page in (ann, ben, silent):
            assert await page.closed() == (1012, "shutdown")
            await page.socket.wait_closed()
        async with world.page(token) as late:
            assert await late.closed() == (1012, "shutdown")
        with pytest.raises(NotFound):
            async with world.link.calls.join(SCOPE, room, CALL, "Ada"):
                pass
        await eventually(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_page_that_waits_for_the_store_does_not_hold_up_the_end() -> None:
    world = World()
    async with AsyncExitStack() as stack:
        link = AsyncExitStack()
        await link.enter_async_context(opened_link(world))
        world.netloc = await stack.enter_async_context(serving(world))
        token = await world.room()
        async with person(world, token) as ann, agent(world, token):
            await ann.expect("joined")
            world.core.open.clear()
            await ann.say("chat", key="1", text="hi")
            await eventually(lambda: world.core.waiting == 1)
            async with asyncio.timeout(1):
                await link.aclose()
            assert await ann.closed() == (1012, "shutdown")


def test_the_registry_finds_it() -> None:
    assert discover().connectors[Platform("web")] is connector
