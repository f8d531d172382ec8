"""The call WebSocket of the real gateway behind its real server, spoken to by an independent client."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from urllib.parse import quote

import httpx2
import numpy as np
import pytest

from chamade_mcp.model.access import Permission
from chamade_mcp.model.facts import ParticipantJoined, ParticipantLeft
from chamade_mcp.model.ids import CallId, ParticipantRef
from tests.integration.api.call_sockets import closed, message, new_call, socket
from tests.integration.api.conftest import EMAIL, PASSWORD, House, client_of
from tests.support.hosted import eventually
from tests.support.requirement import requirement
from tests.support.waiting import BOUND_S, until

FRAME = 960
"""Samples in 20 ms at 48 kHz."""


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncGenerator[None]:
    yield
    left = [t for t in asyncio.all_tasks() if "CallSocket" in repr(t) or "Outbox" in repr(t)]
    assert left == []


# --- who may in ------------------------------------------------------------------------------------------


@requirement("R-011")
async def test_close_codes_say_why(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    over, _ = await new_call(house, api)
    await api.delete(f"/api/call/{over}")
    reader = await house.new_key(Permission.READ, Permission.MESSAGE)
    other = await house.other_account()
    for target, key, code in (
        (call, "?api_key=", 4401),
        (call, "?api_key=chmd_wrong", 4401),
        (call, f"?api_key={reader}", 4403),
        (call, f"?api_key={other}", 4404),
        ("call_unknown", f"?api_key={house.key}", 4404),
        ("%00", f"?api_key={house.key}", 4404),
        (over, f"?api_key={house.key}", 4410),
        (over, f"?api_key={other}", 4404),
    ):
        async with socket(ws_url, target, key) as ws:
            assert await closed(ws) == code, (target, key)


async def test_other_ways_to_show_who_one_is(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    token = await house.gateway.core.accounts.sign_in(EMAIL, PASSWORD)
    cookie = {"cookie": f"chamade={token}"}
    for headers in (
        {"x-api-key": house.key},
        {"authorization": f"Bearer {house.key}"},
        {**cookie, "origin": "http://127.0.0.1:8000"},
    ):
        async with socket(ws_url, call, "/", additional_headers=headers) as ws:
            await ws.send('{"type":"audio_config"}')
            assert (await message(ws))["type"] == "audio_config"
    for headers in (cookie, {**cookie, "origin": "https://evil.example"}):
        async with socket(ws_url, call, "", additional_headers=headers) as ws:
            assert await closed(ws) == 4403


# --- without a key -----------------------------------------------------------------------------------------


async def new_token(api: httpx2.AsyncClient, call: str) -> str:
    made = await api.post(f"/api/call/{call}/token")
    assert made.status_code == 200, made.text
    assert made.json()["expires_in"] == 300
    return made.json()["token"]


async def test_a_page_comes_in_with_a_token_and_may_do_what_its_maker_may(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, room = await new_call(house, api)
    async with socket(ws_url, call, "") as ws:
        await ws.send(json.dumps({"token": await new_token(api, call)}))
        await ws.send('{"type":"send_chat","text":"from the page"}')
        await until(lambda: [m.text for m in house.scripted.legs[room].chat] == ["from the page"])
    caller = await house.new_key(Permission.CALL)
    async with client_of(house, **{"x-api-key": caller}) as limited:
        token = await new_token(limited, call)
    async with socket(ws_url, call, "") as ws:
        await ws.send(json.dumps({"token": token, "last_seq": 0}))
        assert (await message(ws))["type"] == "call_state"
        await ws.send('{"type":"send_chat","text":"no"}')
        while (told := await message(ws))["type"] != "call_error":
            pass
        assert told["code"] == "INSUFFICIENT_PERMISSIONS"


async def test_who_may_have_a_token(house: House, api: httpx2.AsyncClient) -> None:
    call, _ = await new_call(house, api)
    reader, other = await house.new_key(Permission.READ), await house.other_account()
    for key, status in ((reader, 403), (other, 404), ("chmd_wrong", 401)):
        async with client_of(house, **{"x-api-key": key}) as client:
            assert (await client.post(f"/api/call/{call}/token")).status_code == status
    await api.delete(f"/api/call/{call}")
    assert (await api.post(f"/api/call/{call}/token")).json()["code"] == "CALL_NOT_FOUND"


async def test_a_first_message_that_opens_nothing(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    elsewhere, _ = await new_call(house, api)
    token = await new_token(api, call)
    other = await new_token(api, elsewhere)
    for first, code, name in (
        ("{", 4002, "INVALID_AUTH"),
        ("[]", 4002, "INVALID_AUTH"),
        ('{"type":"audio_config"}', 4002, "INVALID_AUTH"),
        ('{"token":1}', 4002, "INVALID_AUTH"),
        (b"\0\0", 4002, "INVALID_AUTH"),
        (json.dumps({"token": house.key}), 4003, "AUTH_FAILED"),
        (json.dumps({"token": other}), 4003, "AUTH_FAILED"),
        (json.dumps({"token": token[:-2] + "xx"}), 4003, "AUTH_FAILED"),
        (json.dumps({"token": "chmt_\u00e9.x"}), 4003, "AUTH_FAILED"),
    ):
        async with socket(ws_url, call, "") as ws:
            await ws.send(first)
            told = await message(ws)
            assert (told["type"], told["code"]) == ("call_error", name), first
            assert told["message"]
            assert await closed(ws) == code, first


async def test_a_token_ends_with_the_key_that_asked_for_it(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    key = await house.new_key()
    async with client_of(house, **{"x-api-key": key}) as client:
        token = await new_token(client, call)
    identity = "key_" + key.removeprefix("chmd_").partition("_")[0]
    assert (await api.delete(f"/api/api-keys/{identity}")).is_success
    async with socket(ws_url, call, "") as ws:
        await ws.send(json.dumps({"token": token}))
        assert (await message(ws))["code"] == "AUTH_FAILED"
        assert await closed(ws) == 4003


async def test_who_leaves_before_a_word_leaves_nothing(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, ""):
        pass
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"audio_config"}')
        assert (await message(ws))["type"] == "audio_config"


# --- coming back -------------------------------------------------------------------------------------------


async def test_a_socket_that_was_lost_comes_back_and_has_missed_nothing(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, room = await new_call(house, api)
    _, other_room = await new_call(house, api)
    query = f"?api_key={house.key}"
    async with socket(ws_url, call, query) as ws:
        await ws.send('{"type":"audio_config"}')
        await message(ws)
        await house.scripted.post(house.owner.scope, room, "one")
        heard = await message(ws)
        assert heard["text"] == "one"
        ws.transport.abort()
    for text in ("two", "three"):
        await house.scripted.post(house.owner.scope, room, text)
        await house.scripted.post(house.owner.scope, other_room, f"{text} elsewhere")
    assert (await api.get(f"/api/call/{call}")).json()["state"] == "active"
    async with socket(ws_url, call, f"{query}&last_seq={heard['seq']}") as ws:
        missed = [await message(ws), await message(ws)]
        assert [one["text"] for one in missed] == ["two", "three"]
        assert heard["seq"] < missed[0]["seq"] < missed[1]["seq"]
        await house.scripted.post(house.owner.scope, room, "four")
        assert (await message(ws))["text"] == "four"
        await ws.send('{"type":"audio_config","receive":true}')
        assert (await message(ws))["ready"] is True
        assert isinstance(await asyncio.wait_for(ws.recv(), BOUND_S), bytes)
    async with socket(ws_url, call, f"{query}&last_seq=0") as ws:
        told = [await message(ws) for _ in range(5)]
        assert [one.get("text", one.get("state")) for one in told][-4:] == ["one", "two", "three", "four"]
        assert all(one["call_id"] == call for one in told)


async def test_the_end_of_a_call_is_told_to_one_who_missed_it(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, room = await new_call(house, api)
    query = f"?api_key={house.key}"
    house.scripted.drop_leg(room)
    await until(lambda: room not in house.scripted.legs)
    async with asyncio.timeout(BOUND_S):
        while (await api.get(f"/api/call/{call}")).json()["state"] != "disconnected":
            pass
    async with socket(ws_url, call, f"{query}&last_seq=0") as ws:
        while (told := await message(ws))["type"] != "call_error":
            pass
        assert told["code"] == "bridge_disconnected"
        end = await message(ws)
        assert end["state"] == "disconnected"
        assert await closed(ws) == 1000
    async with socket(ws_url, call, f"{query}&last_seq={end['seq']}") as ws:
        assert await closed(ws) == 4410


@pytest.mark.parametrize("last_seq", ["x", "-1", "1.5", "999999", "9" * 400, "\u0663"])
async def test_an_impossible_place_to_come_back_to_is_told(
    house: House, api: httpx2.AsyncClient, ws_url: str, last_seq: str
) -> None:
    call, room = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}&last_seq={quote(last_seq)}") as ws:
        assert (await message(ws))["code"] == "INVALID_CURSOR"
        await house.scripted.post(house.owner.scope, room, "now")
        assert (await message(ws))["text"] == "now"


async def test_thousands_of_missed_events_arrive(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    for number in range(1_200):
        await house.scripted.post(house.owner.scope, room, str(number))
    async with socket(ws_url, call, f"?api_key={house.key}&last_seq=0", max_queue=1) as ws:
        texts: list[str] = []
        while len(texts) < 1_200:
            told = await message(ws)
            if told["type"] == "call_chat":
                texts.append(told["text"])
    assert texts == [str(number) for number in range(1_200)]


# --- events ----------------------------------------------------------------------------------------------


@requirement("R-059", "R-060", "R-061", "R-062", "R-063", "R-077")
async def test_every_agent_is_told(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    query = f"?api_key={house.key}"
    async with socket(ws_url, call, query) as one, socket(ws_url, call, query) as two:
        for ws in (one, two):
            await ws.send('{"type":"audio_config"}')
            assert (await message(ws))["ready"] is True
        await house.scripted.post(house.owner.scope, room, "hi")
        for ws in (one, two):
            told = await message(ws)
            assert (told["type"], told["sender"], told["text"]) == ("call_chat", "Alice", "hi")
        await one.send('{"type":"transcript","speaker":"Bob","text":"good morning"}')
        for ws in (one, two):
            told = await message(ws)
            assert (told["type"], told["speaker"], told["text"]) == ("call_transcript", "Bob", "good morning")
        house.scripted.drop_leg(room)
        for ws in (one, two):
            lost, state = await message(ws), await message(ws)
            assert (lost["type"], lost["code"]) == ("call_error", "bridge_disconnected")
            assert (state["type"], state["state"]) == ("call_state", "disconnected")
            assert await closed(ws) == 1000


async def test_hanging_up_closes_the_socket_but_not_the_other_way_round(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"audio_config"}')
        await message(ws)
    assert (await api.get(f"/api/call/{call}")).json()["state"] == "active"
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"audio_config"}')
        await message(ws)
        await api.delete(f"/api/call/{call}")
        assert (await message(ws))["state"] == "ended"
        assert await closed(ws) == 1000


# --- what agents send ------------------------------------------------------------------------------------


@requirement("R-065")
async def test_writing_in_the_chat(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    file = (await api.post("/api/files", files={"file": ("a.txt", b"abc")})).json()
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send(json.dumps({"type": "send_chat", "text": "hello"}))
        await ws.send(
            json.dumps({"type": "send_chat", "text": "see", "attachments": [{"file_id": file["file_id"]}]})
        )
        leg = house.scripted.legs[room]
        await until(lambda: len(leg.chat) == 2)
        assert [m.text for m in leg.chat] == ["hello", "see"]
        for attachments, code in (
            ([{"nothing": 1}], "VALIDATION_FAILED"),
            ([{"file_id": "f_x"}], "FILE_NOT_FOUND"),
        ):
            await ws.send(json.dumps({"type": "send_chat", "text": "x", "attachments": attachments}))
            told = await message(ws)
            assert (told["type"], told["code"]) == ("call_error", code)
    caller = await house.new_key(Permission.CALL)
    async with socket(ws_url, call, f"?api_key={caller}") as ws:
        await ws.send(json.dumps({"type": "send_chat", "text": "hello"}))
        assert (await message(ws))["code"] == "INSUFFICIENT_PERMISSIONS"


@requirement("R-064")
async def test_speaking_without_a_preset(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"say","text":"hello"}')
        assert (await message(ws))["code"] == "HOSTED_TTS_NOT_CONFIGURED"
        await ws.send('{"type":"stop_speaking"}')
        await ws.send('{"type":"audio_config"}')
        assert (await message(ws))["type"] == "audio_config"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "INVALID_JSON"),
        ("[]", "INVALID_JSON"),
        ('{"type":"dance"}', "UNKNOWN_TYPE"),
        ('{"type":"say"}', "INVALID_FIELD"),
        ('{"type":"audio","audio":"!"}', "INVALID_BASE64"),
        ('{"type":"audio","audio":"AA=="}', "ODD_BYTE_COUNT"),
        ('{"type":"audio_config","sample_rate":1}', "UNSUPPORTED_RATE"),
        (b"\x00\x00\x00", "ODD_BYTE_COUNT"),
    ],
)
async def test_nonsense_is_told_and_the_socket_stays_open(
    house: House, api: httpx2.AsyncClient, ws_url: str, frame: str | bytes, code: str
) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send(frame)
        told = await message(ws)
        assert (told["type"], told["code"]) == ("call_error", code)
        await ws.send('{"type":"audio_config"}')
        assert (await message(ws))["type"] == "audio_config"


@requirement("R-067")
async def test_a_frame_over_the_cap_closes(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send(bytes((1 << 20) + 2))
        assert await closed(ws) == 1009


# --- audio -----------------------------------------------------------------------------------------------


@requirement("R-069", "R-070", "R-024")
async def test_the_audio_settings(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"audio_config"}')
        native = await message(ws)
        assert (native["sample_rate"], native["native_sample_rate"], native["resampling"]) == (
            48000,
            48000,
            False,
        )
        assert (native["format"], native["channels"], native["frame_bytes"]) == ("pcm_s16le", 1, 1920)
        await ws.send('{"type":"audio_config","sample_rate":24000}')
        declared = await message(ws)
        assert (declared["sample_rate"], declared["resampling"], declared["frame_bytes"]) == (
            24000,
            True,
            960,
        )


@requirement("R-066", "R-071", "R-072", "R-075")
async def test_audio_goes_both_ways(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    far = house.scripted.legs[room].far
    now = asyncio.get_running_loop().time
    tone = (np.sin(np.arange(FRAME * 50) * 2 * np.pi * 1000 / 48000) * 16000).astype("<i2")
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"audio_config","receive":true}')
        assert (await message(ws))["receive"] is True
        heard, said = bytearray(), bytearray()
        for start in range(0, len(tone), FRAME):
            frame = tone[start : start + FRAME]
            far.push(frame, now())
            await ws.send(frame[:500].tobytes())
            await ws.send(frame[500:].tobytes())
            async with asyncio.timeout(BOUND_S):
                received = await ws.recv()
            assert isinstance(received, bytes)
            assert len(received) == 1920
            heard += received
            pulled = far.pull(FRAME, now())
            if pulled is not None:
                said += pulled.tobytes()
        for sound in (heard, said):
            samples = np.frombuffer(bytes(sound), "<i2").astype(float)
            assert np.sqrt(np.mean(samples**2)) > 3000
    async with socket(ws_url, call, f"?api_key={house.key}") as quiet:
        await quiet.send('{"type":"audio_config"}')
        assert isinstance(await quiet.recv(), str)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(quiet.recv(), 0.2)


@requirement("R-068")
async def test_audio_as_json_at_its_own_rate(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    far = house.scripted.legs[room].far
    tone = (np.sin(np.arange(8000) * 2 * np.pi * 400 / 8000) * 16000).astype("<i2")
    heard: list[float] = []

    def loud() -> bool:
        frame = far.pull(FRAME, asyncio.get_running_loop().time())
        if frame is not None:
            heard.append(float(np.sqrt(np.mean(frame.astype(float) ** 2))))
        return len(heard) > 10 and max(heard) > 8000

    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        audio = base64.b64encode(tone.tobytes()).decode()
        await ws.send(json.dumps({"type": "audio", "audio": audio, "sample_rate": 8000}))
        await until(loud)


async def test_empty_and_odd_sized_audio_is_harmless(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        for frame in (
            b"",
            b"\0\0",
            bytes(1 << 20),
            bytes(1922),
            '{"type":"audio","audio":"","sample_rate":44100}',
        ):
            await ws.send(frame)
        for rate_hz in (8000, 11025, 44100, 48000):
            await ws.send(json.dumps({"type": "audio_config", "sample_rate": rate_hz, "receive": True}))
            told = await message(ws)
            assert told.get("sample_rate") == rate_hz, told
            await ws.send(bytes(rate_hz // 50 * 2))


async def test_audio_that_nobody_can_hear_is_told_once_in_a_while(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api, "ears")
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        for _ in range(50):
            await ws.send(bytes(1920))
        told = await message(ws)
        assert (told["type"], told["code"]) == ("call_error", "NO_AUDIO_OUT")
        await ws.send('{"type":"audio_config"}')
        assert (await message(ws))["type"] == "audio_config"


@requirement("R-073", "R-074")
async def test_an_agent_does_not_hear_itself_but_the_other_does(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    query = f"?api_key={house.key}"
    tone = (np.sin(np.arange(FRAME * 25) * 2 * np.pi * 1000 / 48000) * 16000).astype("<i2")
    async with socket(ws_url, call, query) as one, socket(ws_url, call, query) as two:
        for ws in (one, two):
            await ws.send('{"type":"audio_config","receive":true}')
            await message(ws)
        await one.send(tone.tobytes())
        levels: dict[str, float] = {"one": 0.0, "two": 0.0}
        for _ in range(40):
            for name, ws in (("one", one), ("two", two)):
                frame = await asyncio.wait_for(ws.recv(), BOUND_S)
                assert isinstance(frame, bytes)
                levels[name] = max(levels[name], float(np.abs(np.frombuffer(frame, "<i2").astype(int)).max()))
        assert levels["one"] == 0
        assert levels["two"] > 10000


async def test_each_participant_apart(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, room = await new_call(house, api)
    far, query = house.scripted.legs[room].far, f"?api_key={house.key}"
    tone = (np.sin(np.arange(FRAME) * 2 * np.pi * 1000 / 48000) * 16000).astype("<i2")
    emit = house.scripted.context.emit
    scope, call_id, ann = house.owner.scope, CallId(call), ParticipantRef("ann")
    async with socket(ws_url, call, query) as ws, socket(ws_url, call, query) as other:
        await emit(scope, ParticipantJoined(call_id, ann, "Ann"))
        await ws.send('{"type":"audio_config","sample_rate":24000,"receive":"participants"}')
        assert (await message(ws))["receive"] == "participants"
        told = await message(ws)
        assert told["participants"] == [{"index": 1, "id": "ann", "name": "Ann"}]
        far.push(tone, asyncio.get_running_loop().time())
        assert [one["id"] for one in (await message(ws))["participants"]] == ["ann", "room"]
        frame = await asyncio.wait_for(ws.recv(), BOUND_S)
        assert isinstance(frame, bytes)
        assert frame[:4] == bytes([0xC4, 1, 2, 0])
        assert len(frame) == 8 + 960
        await other.send(tone.tobytes() * 3)
        told = await message(ws)
        assert told["participants"][2] == {"index": 3, "id": "agent_2", "name": "AI Agent"}
        await emit(scope, ParticipantJoined(call_id, ann, "Anna"))
        assert (await message(ws))["participants"][0]["name"] == "Anna"
        await emit(scope, ParticipantLeft(call_id, ann))
        assert [one["index"] for one in (await message(ws))["participants"]] == [2, 3]
        await ws.send('{"type":"audio_config","receive":true}')
        assert (await message(ws))["receive"] is True
        async with asyncio.timeout(BOUND_S):
            while len(await ws.recv()) != 960:
                pass
        await ws.send('{"type":"audio_config","receive":"everything"}')
        assert (await message(ws))["code"] == "INVALID_FIELD"


# --- what waits to be played -----------------------------------------------------------------------------


async def test_an_agent_sees_to_what_it_has_said(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        for name in ("one", "two"):
            await ws.send(bytes(1920 * 10))
            await ws.send(json.dumps({"type": "mark", "name": name}))
        assert await message(ws) == {"type": "mark_played", "name": "one"}
        await ws.send('{"type":"audio_status"}')
        status = await message(ws)
        assert status["type"] == "audio_status"
        assert status["marks"] == 1
        assert 0 < status["buffered_ms"] <= 200
        assert status["played_ms"] + status["buffered_ms"] == 400
        assert await message(ws) == {"type": "mark_played", "name": "two"}
        await ws.send(bytes(48_000 * 2))
        await ws.send('{"type":"mark","name":"three"}')
        await ws.send('{"type":"clear"}')
        assert await message(ws) == {"type": "mark_cleared", "name": "three"}
        cleared = await message(ws)
        assert cleared["type"] == "cleared"
        assert 900 <= cleared["cleared_ms"] <= 1000
        seen = (await api.get(f"/api/call/{call}")).json()["audio_stats"]
        assert [agent["cleared_ms"] for agent in seen["agents"]] == [cleared["cleared_ms"]]
        assert seen["legs"][0]["participant"] == "room"
        assert seen["legs"][0]["to_platform"]["dropped_ms"] >= 0
        await ws.send('{"type":"mark"}')
        assert (await message(ws))["code"] == "INVALID_FIELD"

    async def gone() -> bool:
        return (await api.get(f"/api/call/{call}")).json()["audio_stats"]["agents"] == []

    await eventually(gone)


async def test_too_much_at_once_is_told_before_anything_is_lost(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        for _ in range(4):
            await ws.send(bytes(48_000 * 2 * 10))
        told = await message(ws)
        assert (told["type"], told["high"]) == ("audio_backpressure", True)
        assert told["buffered_ms"] > 30_000
        await ws.send('{"type":"stop_speaking"}')
        relieved = await message(ws)
        assert (relieved["type"], relieved["high"]) == ("audio_backpressure", False)
        await ws.send('{"type":"audio_status"}')
        assert (await message(ws))["dropped_ms"] == 0


# --- rough weather ---------------------------------------------------------------------------------------


async def test_a_client_that_stops_reading_does_not_hold_the_others_up(
    house: House, api: httpx2.AsyncClient, ws_url: str
) -> None:
    call, _ = await new_call(house, api)
    query = f"?api_key={house.key}"
    async with socket(ws_url, call, query, max_queue=1) as stuck, socket(ws_url, call, query) as well:
        for ws in (stuck, well):
            await ws.send('{"type":"audio_config","receive":true}')
        started = asyncio.get_running_loop().time()
        frames = 0
        while frames < 50:
            frames += isinstance(await asyncio.wait_for(well.recv(), BOUND_S), bytes)
        assert asyncio.get_running_loop().time() - started < 2.0
        stuck.transport.abort()


async def test_a_vanished_client_leaves_nothing(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    call, _ = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"audio_config","receive":true}')
        await message(ws)
        ws.transport.abort()
    await until(lambda: not [t for t in asyncio.all_tasks() if "CallSocket" in repr(t)])
