"""Keys of a telephone, pressed by either side of a call."""

import httpx2

from chamade_mcp.kit.testing import TelephoneLeg
from chamade_mcp.model.facts import ParticipantJoined
from chamade_mcp.model.ids import CallId, ParticipantRef
from tests.integration.api.call_sockets import message, new_call, socket
from tests.integration.api.conftest import House
from tests.support.waiting import until


async def test_keys_pressed_by_either_side(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    alice = ParticipantRef("alice")
    await house.scripted.context.emit(house.owner.scope, ParticipantJoined(CallId(call), alice, "Alice"))
    leg = house.scripted.legs[room]
    assert isinstance(leg, TelephoneLeg)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"dtmf","digits":"12#"}')
        await ws.send('{"type":"dtmf","digits":"*a"}')
        await until(lambda: leg.dialled == "12#*A")
        await house.scripted.press(house.owner.scope, room, "5")
        told = await message(ws)
        assert told.keys() == {
            "type", "call_id", "platform", "digit", "sender", "participant", "timestamp", "seq",
        }  # fmt: skip
        assert (told["type"], told["digit"]) == ("call_dtmf", "5")
        assert (told["sender"], told["participant"]) == ("Alice", "alice")
    async with socket(ws_url, call, f"?api_key={house.key}&last_seq={told['seq'] - 1}") as ws:
        assert await message(ws) == told


async def test_a_platform_without_keys_says_so(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api, "ears")
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"dtmf","digits":"1"}')
        told = await message(ws)
        assert (told["type"], told["code"]) == ("call_error", "NO_DTMF")
        for wrong in ('"12x"', '""', '"' + "1" * 65 + '"', "12", "null", '"\u0661"'):
            await ws.send(f'{{"type":"dtmf","digits":{wrong}}}')
            assert (await message(ws))["code"] == "INVALID_FIELD", wrong
