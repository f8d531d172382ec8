"""Webhooks of platforms: to the right link, verified by it, stored before the answer."""

import asyncio
from dataclasses import replace

import pytest

from chamade_mcp.kit.connection import Hook
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.connections import Access
from chamade_mcp.model.errors import Forbidden, NotFound, Unavailable
from tests.support.bots import connected, texts
from tests.support.house import House
from tests.support.waiting import until


@pytest.mark.parametrize("named", [True, False], ids=["own address", "the platform's address"])
async def test_what_a_platform_tells_is_stored_before_the_answer(house: House, named: bool) -> None:
    owner = await house.owner()
    await connected(house, owner, "other", access=Access.OPEN)
    listed = await connected(house, owner, access=Access.OPEN)
    hook = house.bots.hook("helper", "hello")
    reply = await house.hooks.deliver(BOTS, listed.id if named else None, hook)
    assert (reply.status, reply.body) == (200, b"ok")
    assert await texts(house, owner) == ["hello"]


async def test_five_deliveries_at_once_are_one_message(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    hook = house.bots.hook("helper", "hello")
    await asyncio.gather(*(house.hooks.deliver(BOTS, listed.id, hook) for _ in range(5)))
    assert await texts(house, owner) == ["hello"]


async def test_what_is_not_signed_is_refused(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    other = await connected(house, owner, "other", access=Access.OPEN)
    hook = house.bots.hook("helper", "hello")
    forged = [
        replace(hook, headers={}),
        replace(hook, body=hook.body + b" "),
        Hook("POST", "/", {}, {}, b"{"),
    ]
    for wrong in forged:
        for connection in (listed.id, None):
            with pytest.raises(Forbidden) as caught:
                await house.hooks.deliver(BOTS, connection, wrong)
            assert caught.value.code == "HOOK_REFUSED"
    house.bots.tokens["other"] = "another"
    with pytest.raises(Forbidden):
        await house.hooks.deliver(BOTS, other.id, house.bots.hook("other", "hello"))
    assert await texts(house, owner) == []


async def test_nobody_there(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner)
    hook = house.bots.hook("helper", "hello")
    for platform, connection in ((SCRIPTED, listed.id), ("fax", None), (BOTS, "conn_1")):
        with pytest.raises(NotFound):
            await house.hooks.deliver(platform, connection, hook)
    with pytest.raises(Forbidden):  # a platform that calls nobody
        await house.hooks.deliver(SCRIPTED, None, hook)
    challenge = Hook("POST", "/", {}, {}, b'{"challenge": "abc"}')
    assert (await house.hooks.deliver(BOTS, None, challenge)).body == b"abc"


async def test_a_link_that_is_down_lets_the_platform_try_again(house: House) -> None:
    owner = await house.owner()
    listed = await connected(house, owner, access=Access.OPEN)
    hook = house.bots.hook("helper", "hello")
    house.bots.down = True
    house.bots.links[listed.id].break_off()
    await until(lambda: listed.id not in house.bots.links)
    for connection in (listed.id, None):
        with pytest.raises(Unavailable) as caught:
            await house.hooks.deliver(BOTS, connection, hook)
        assert caught.value.retry_after
    house.bots.down = False
    await until(lambda: house.clock.sleeping)
    await house.clock.advance(60)
    await house.hooks.deliver(BOTS, None, hook)
    assert await texts(house, owner) == ["hello"]
