"""Calls over REST, as the contract has them."""

import asyncio
from typing import Any

import httpx2
import pytest

from chamade_mcp.model.facts import ParticipantJoined
from chamade_mcp.model.ids import CallId, ParticipantRef
from tests.integration.api.conftest import House, client_of
from tests.support.problems import assert_problem
from tests.support.requirement import requirement
from tests.support.waiting import until

CREATED = {
    "call_id", "room_id", "participant_id", "text_ws_url", "state", "capabilities", "platform", "meeting_url",
    "agent_name", "audio", "participants", "direction", "caller", "created_at", "ended_at",
}  # fmt: skip


async def new_call(api: httpx2.AsyncClient, **extra: Any) -> dict[str, Any]:
    answer = await api.post("/api/call/", json={"platform": "scripted", **extra})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def active_call(house: House, api: httpx2.AsyncClient) -> str:
    call = await new_call(api)
    await until(lambda: call["room_id"] in house.scripted.legs)
    return call["call_id"]


@requirement("R-010", "R-016", "R-019", "R-020", "R-021", "R-022", "R-023", "R-024")
async def test_a_call_is_made(api: httpx2.AsyncClient) -> None:
    call = await new_call(api, transcripts=False)
    assert call.keys() >= CREATED
    assert (call["state"], call["agent_name"]) == ("connecting", "AI Agent")
    assert call["text_ws_url"].endswith(f"/api/call/{call['call_id']}/stream")
    assert call["audio"].items() >= {"sample_rate": 48_000, "channels": 1, "frame_bytes": 1920}.items()
    assert (call["audio"]["format"], call["audio"]["frame_duration_ms"]) == ("pcm_s16le", 20)


@requirement("R-030", "R-032", "R-034", "R-045")
async def test_a_call_is_watched(house: House, api: httpx2.AsyncClient) -> None:
    call = await active_call(house, api)
    record = (await api.get(f"/api/call/{call}?since=0")).json()
    assert (record["direction"], record["caller"], record["ended_at"]) == ("outbound", "", None)
    assert (record["transcript"], record["transcript_length"]) == ([], 0)
    (listed,) = (await api.get("/api/calls")).json()["calls"]
    assert listed == {**as_listed(record), "state": listed["state"]}  # it goes on meanwhile


async def test_the_list_of_calls_tells_who_rings_and_who_is_there(
    house: House, api: httpx2.AsyncClient
) -> None:
    call = CallId(await active_call(house, api))
    await house.scripted.ring(house.owner.scope, "Alice")
    for ref, name in (("bob", "Bob"), ("eve", "Eve")):
        fact = ParticipantJoined(call, ParticipantRef(ref), name)
        await house.scripted.context.emit(house.owner.scope, fact)
    joined, ringing = (await api.get("/api/calls")).json()["calls"]
    assert (joined["call_id"], joined["participants"], joined["direction"]) == (
        call,
        ["Bob", "Eve"],
        "outbound",
    )
    assert (ringing["caller"], ringing["participants"], ringing["direction"]) == ("Alice", [], "inbound")
    assert ringing["created_at"] >= joined["created_at"]


def as_listed(record: dict[str, Any]) -> dict[str, Any]:
    more = ("transcript", "transcript_length", "audio_stats")
    return {name: value for name, value in record.items() if name not in more}


@requirement("R-035", "R-049")
async def test_unknown_and_foreign_calls_are_told_alike(house: House, api: httpx2.AsyncClient) -> None:
    call = await active_call(house, api)
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        for path in (f"/api/call/{call}", "/api/call/call_unknown", "/api/call/%00"):
            answer = await other.get(path)
            assert_problem(answer, 404, "CALL_NOT_FOUND", detail="Call not found")
        assert (await other.get("/api/calls")).json() == {"calls": []}


@requirement("R-014", "R-015", "R-025", "R-026", "R-027", "R-028")
@pytest.mark.parametrize(
    ("platform", "code", "detail"),
    [
        ("discord", "NO_BOT_REGISTERED", "No discord bot registered"),
        ("telegram", "NO_BOT_REGISTERED", "No telegram bot registered"),
        ("sip", "NO_SIP_TRUNK", "No SIP trunk configured"),
        ("meet", "MEETING_URL_REQUIRED", "meeting_url required"),
        ("zoom", "MEETING_URL_REQUIRED", "meeting_url required"),
        ("nctalk", "MEETING_URL_REQUIRED", "meeting_url required"),
        ("teams", "MEETING_URL_REQUIRED", "meeting_url required"),
    ],
)
async def test_what_is_not_connected_says_so(
    api: httpx2.AsyncClient, platform: str, code: str, detail: str
) -> None:
    answer = await api.post("/api/call", json={"platform": platform})
    problem = assert_problem(answer, 400, code, detail=detail)
    action = "fix_argument" if code == "MEETING_URL_REQUIRED" else "ask_human"
    assert (problem["platform"], problem["action"]) == (platform, action)


async def test_an_unknown_platform_is_a_wrong_field(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/api/call", json={"platform": "fax"})
    assert_problem(answer, 422, "VALIDATION_FAILED", field="platform")


@requirement("R-029")
async def test_too_many_calls(api: httpx2.AsyncClient) -> None:
    for _ in range(3):
        await new_call(api)
    answer = await api.post("/api/call", json={"platform": "scripted"})
    assert_problem(answer, 429, "CALL_LIMIT_REACHED", detail="Concurrent call limit reached")


@requirement("R-039", "R-040", "R-041", "R-046")
async def test_writing_in_a_call(house: House, api: httpx2.AsyncClient) -> None:
    call = await active_call(house, api)
    (leg,) = house.scripted.legs.values()
    sent = await api.post(f"/api/call/{call}/chat", json={"text": "hello", "sender_name": "Bot"})
    assert (sent.status_code, sent.json()["status"]) == (200, "delivered")
    assert [(m.text, m.sender_name) for m in leg.chat] == [("hello", "Bot")]
    assert (await api.post(f"/api/call/{call}/typing")).json() == {"status": "ok"}
    assert leg.typed == 1
    for text in ("", "x" * 10_001):
        answer = await api.post(f"/api/call/{call}/chat", json={"text": text})
        assert_problem(answer, 422, "VALIDATION_FAILED", field="text")


@requirement("R-047")
async def test_writing_too_early(house: House, api: httpx2.AsyncClient) -> None:
    house.scripted.script.hold = asyncio.Event()
    call = await new_call(api)
    answer = await api.post(f"/api/call/{call['call_id']}/chat", json={"text": "hello"})
    problem = assert_problem(answer, 409, "BRIDGE_NOT_READY", detail="No active WebSocket connection")
    assert (problem["action"], answer.headers["retry-after"]) == ("retry", "1")


@requirement("R-037")
async def test_speaking_without_a_preset(house: House, api: httpx2.AsyncClient) -> None:
    call = await active_call(house, api)
    answer = await api.post(f"/api/call/{call}/say", json={"text": "hello"})
    assert_problem(answer, 400, "HOSTED_TTS_NOT_CONFIGURED", detail="Hosted TTS not configured")
    stopped = await api.post(f"/api/call/{call}/stop_speaking")
    assert stopped.json() == {"status": "ok", "stopped_ms": 0}


@requirement("R-042", "R-043", "R-045")
async def test_answering_and_refusing(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.ring(house.owner.scope)
    await house.scripted.ring(house.owner.scope, "Bob")
    first, second = (await api.get("/api/calls")).json()["calls"]
    assert (first["state"], second["state"]) == ("ringing", "ringing")
    assert (await api.post(f"/api/call/{first['call_id']}/accept")).json()["state"] == "active"
    assert (await api.post(f"/api/call/{second['call_id']}/refuse")).json()["state"] == "refused"
    again = await api.post(f"/api/call/{first['call_id']}/accept")
    assert_problem(again, 409, "CALL_NOT_RINGING")


@requirement("R-044")
async def test_hanging_up(house: House, api: httpx2.AsyncClient) -> None:
    call = await active_call(house, api)
    assert (await api.delete(f"/api/call/{call}")).json() == {"call_id": call, "state": "ended"}
    assert (await api.get(f"/api/call/{call}")).json()["state"] == "ended"
    assert_problem(await api.delete(f"/api/call/{call}"), 404, "CALL_NOT_FOUND")
