"""Who speaks, told on the call's WebSocket: real speech, in real time."""

import asyncio
from datetime import datetime

import httpx2
import numpy as np
import pytest

from chamade_mcp.audio.frame import FRAME_S, Samples
from chamade_mcp.audio.port import AudioPort
from chamade_mcp.model.facts import ParticipantJoined
from chamade_mcp.model.ids import CallId, ParticipantRef
from tests.integration.api.call_sockets import message, new_call, socket
from tests.integration.api.conftest import House
from tests.support.speech import spoken
from tests.support.waiting import until

ROOM = ParticipantRef("room")


class Person:
    """Speaks into a room for as long as somebody listens."""

    def __init__(self, far: AudioPort) -> None:
        self._far = far
        self._sound: Samples = np.zeros(0, np.int16)

    def say(self, text: str) -> None:
        self._sound = np.concatenate((self._sound, spoken(text)))

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            frame, self._sound = self._sound[:960], self._sound[960:]
            if len(frame) == 960:
                self._far.push(frame, loop.time())
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))


async def test_speech_is_told_to_who_asks(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    await house.scripted.context.emit(house.owner.scope, ParticipantJoined(CallId(call), ROOM, "Alice"))
    person = Person(house.scripted.legs[room].far)
    living = asyncio.create_task(person.live())
    try:
        async with (
            socket(ws_url, call, f"?api_key={house.key}") as asks,
            socket(ws_url, call, f"?api_key={house.key}&speech_events=true") as by_address,
            socket(ws_url, call, f"?api_key={house.key}") as deaf,
        ):
            await asks.send('{"type":"audio_config","receive":true,"speech_events":true}')
            config = await message(asks)
            assert (config["speech_events"], config["barge_in"]) == (True, False)
            person.say("Good morning, how can I help you today?")
            started, stopped = await message(asks), await message(asks)
            assert started.keys() == {"type", "participant", "name", "timestamp", "at_ms"}
            assert (started["type"], started["participant"], started["name"]) == (
                "speech_started", "room", "Alice",
            )  # fmt: skip
            assert (stopped["type"], stopped["participant"]) == ("speech_stopped", "room")
            assert 0 <= started["at_ms"] < stopped["at_ms"]
            assert datetime.fromisoformat(started["timestamp"]) < datetime.fromisoformat(stopped["timestamp"])
            told = [await message(by_address), await message(by_address)]
            assert [(one["type"], one["at_ms"]) for one in told] == [
                ("speech_started", None),
                ("speech_stopped", None),
            ]
            await deaf.send('{"type":"audio_config"}')
            assert (await message(deaf))["type"] == "audio_config", "nothing came before"
    finally:
        living.cancel()


async def test_barge_in(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    person = Person(house.scripted.legs[room].far)
    living = asyncio.create_task(person.live())
    try:
        async with socket(ws_url, call, f"?api_key={house.key}") as ws:
            await ws.send('{"type":"audio_config","barge_in":true,"speech_events":true}')
            assert (await message(ws))["barge_in"] is True
            await ws.send(spoken("Let me tell you a very long story about a fox and a dog.").tobytes() * 3)
            await ws.send('{"type":"mark","name":"end"}')
            [agent] = house.gateway.core.calls.live(house.owner, call).listeners
            await until(lambda: int(str(agent.statistics()["played_ms"])) > 500)
            person.say("No, wait, that is not what I meant.")
            started, gone, barged = [await message(ws) for _ in range(3)]
            assert started["type"] == "speech_started"
            assert gone == {"type": "mark_cleared", "name": "end"}
            assert barged.keys() == {"type", "participant", "name", "heard_ms", "cleared_ms"}
            assert (barged["type"], barged["participant"]) == ("barge_in", "room")
            assert barged["heard_ms"] > 500
            said_ms = len(spoken("Let me tell you a very long story about a fox and a dog.")) * 3 / 48
            assert abs(barged["heard_ms"] + barged["cleared_ms"] - said_ms) <= 40
            assert agent.statistics()["buffered_ms"] == 0
    finally:
        living.cancel()


@pytest.mark.parametrize("setting", ["speech_events=maybe", "barge_in=1", "speech_events=true&barge_in=TRUE"])
async def test_a_setting_in_the_address_that_is_none(
    house: House, api: httpx2.AsyncClient, ws_url: str, setting: str
) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}&{setting}") as ws:
        await ws.send('{"type":"audio_config"}')
        told = await message(ws)
        assert (told["type"], told["code"]) == ("call_error", "INVALID_FIELD")
        config = await message(ws)
        assert (config["speech_events"], config["barge_in"]) == (False, False)


async def test_a_setting_of_the_wrong_kind(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        for wrong in ('"true"', "1", "[]"):
            await ws.send(f'{{"type":"audio_config","barge_in":{wrong}}}')
            assert (await message(ws))["code"] == "INVALID_FIELD"
