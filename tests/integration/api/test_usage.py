"""Usage and limits over REST."""

import httpx2
import pytest

from chamade_mcp.model.access import Permission
from tests.integration.api.conftest import FILE_CAP, House, client_of
from tests.support.problems import assert_problem
from tests.support.requirement import requirement


@requirement("R-190")
async def test_usage_by_the_day(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    sent = await api.post("/api/dm/chat", json={"platform": "scripted", "text": "answer"})
    assert sent.status_code == 200
    call = (await api.post("/api/call", json={"platform": "scripted"})).json()["call_id"]
    told = (await api.get("/api/usage", params={"days": 7})).json()
    assert (told["call_count"], told["concurrent_calls"]) == (1, {"active": 1, "limit": 3})
    assert told["platforms"] == {"scripted": {"calls": 1, "conversations": 1}}
    assert [len(told["days"]), told["days"][-1]["day"]] == [7, told["last_day"]]
    today = told["days"][-1]
    assert (today["messages_in"], today["messages_out"], today["answers"], today["calls"]) == (1, 1, 1, 1)
    assert today["platforms"]["scripted"]["messages_in"] == 1
    assert told["total"]["answer_p50_s"] is not None
    assert len((await api.get("/api/usage")).json()["days"]) == 30
    await api.delete(f"/api/call/{call}")
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        foreign = (await other.get("/api/usage")).json()
        assert (foreign["total"]["messages_in"], foreign["total"]["platforms"]) == (0, {})


@pytest.mark.parametrize("days", ["0", "367", "many", "1.5", ""])
async def test_days_that_make_no_sense(api: httpx2.AsyncClient, days: str) -> None:
    refused = await api.get("/api/usage", params={"days": days})
    assert_problem(refused, 422, "VALIDATION_FAILED", field="days")


async def test_it_takes_a_key_that_may_read(house: House) -> None:
    async with client_of(house, **{"x-api-key": await house.new_key(Permission.MESSAGE)}) as writer:
        for path in ("/api/usage", "/api/limits"):
            assert_problem(await writer.get(path), 403, "INSUFFICIENT_PERMISSIONS")


async def test_limits_and_what_is_used_of_them(house: House, api: httpx2.AsyncClient) -> None:
    uploaded = await api.post("/api/files", files={"file": ("a.txt", b"x" * 1000, "text/plain")})
    assert uploaded.status_code in (200, 201)
    await api.post("/api/call", json={"platform": "scripted"})
    limits = {one["name"]: one for one in (await api.get("/api/limits")).json()["limits"]}
    used = {name: (one["used"], one["limit"]) for name, one in limits.items()}
    assert used["concurrent_calls"] == (1, 3)
    assert used["files"] == (1000, 8 * 1024 * 1024)
    assert used["file_size"] == (None, FILE_CAP)
    assert used["webhooks"] == (0, 20)
    assert limits["files"]["setting"] == "CHAMADE_FILES_QUOTA_MB"
    assert limits["file_fetches"]["per_s"] == 60
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        foreign = {one["name"]: one["used"] for one in (await other.get("/api/limits")).json()["limits"]}
        assert (foreign["files"], foreign["concurrent_calls"]) == (0, 0)


async def test_what_is_told_is_what_is_enforced(house: House, api: httpx2.AsyncClient) -> None:
    limits = {one["name"]: one for one in (await api.get("/api/limits")).json()["limits"]}
    for _ in range(limits["concurrent_calls"]["limit"]):
        assert (await api.post("/api/call", json={"platform": "scripted"})).status_code == 200
    one_more = await api.post("/api/call", json={"platform": "scripted"})
    assert_problem(one_more, 429, limits["concurrent_calls"]["code"])
    too_long = {"platform": "scripted", "text": "x" * (limits["message_text"]["limit"] + 1)}
    assert_problem(await api.post("/api/dm/chat", json=too_long), 422, limits["message_text"]["code"])
    too_large = {"file": ("a.bin", b"x" * (limits["file_size"]["limit"] + 1), "application/octet-stream")}
    assert_problem(await api.post("/api/files", files=too_large), 413, limits["file_size"]["code"])
    hook = {"url": "https://hooks.example.com/x"}
    for _ in range(limits["webhooks"]["limit"]):
        assert (await api.post("/api/webhooks", json=hook)).status_code in (200, 201)
    assert_problem(await api.post("/api/webhooks", json=hook), 409, limits["webhooks"]["code"])
