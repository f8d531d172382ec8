"""A socket without a key waits for a first message, but not for ever."""

import asyncio

import pytest
from starlette.types import Message

from chamade_mcp.api.access import Gate
from chamade_mcp.api.entrance import AUTH_TIMEOUT, Entrance, Gone
from chamade_mcp.api.socket_door import Refused
from tests.support.house import House

SCOPE: dict[str, object] = {"type": "websocket", "headers": [], "query_string": b""}


def entrance(house: House) -> Entrance:
    return Entrance(house.calls, Gate(house.accounts, b"chamade", "http://gateway.test"), house.clock)


async def never() -> Message:
    return await asyncio.get_running_loop().create_future()


async def test_who_says_nothing_for_ten_seconds_is_sent_away(house: House) -> None:
    waiting = asyncio.create_task(entrance(house).admit(SCOPE, never, "call_1"))
    await house.clock.advance(9.9)
    assert not waiting.done()
    await house.clock.advance(0.1)
    with pytest.raises(Refused) as refused:
        await waiting
    assert (refused.value.code, refused.value.name) == (AUTH_TIMEOUT, "AUTH_TIMEOUT")


async def test_who_goes_meanwhile_is_let_go(house: House) -> None:
    async def leave() -> Message:
        return {"type": "websocket.disconnect", "code": 1001}

    with pytest.raises(Gone):
        await entrance(house).admit(SCOPE, leave, "call_1")
