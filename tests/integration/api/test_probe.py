"""Ping agents over REST."""

import httpx2

from chamade_mcp.model.access import Permission
from tests.integration.api.conftest import House, client_of
from tests.support.problems import assert_problem
from tests.support.requirement import requirement


@requirement("R-243", "R-244")
async def test_a_polling_agent_answers_a_ping(house: House, api: httpx2.AsyncClient) -> None:
    cursor = (await api.get("/api/account")).json()["last_message_cursor"]
    started = await api.post("/api/api-keys/ping")
    assert started.status_code == 201
    ping = started.json()
    assert (ping["waiting"], [key["verdict"] for key in ping["keys"]]) == (True, ["waiting"])
    assert (await api.post("/api/api-keys/ping")).status_code == 200
    found = (await api.get("/api/inbox", params={"last_message_cursor": cursor, "wait": 55})).json()
    (conversation,) = found["conversations"]
    assert (conversation["conversation_id"], conversation["platform"]) == ("chamade_probe", "chamade_probe")
    assert conversation["messages"][0]["sender"] == "Chamade Dashboard"
    whole = (await api.get(f"/api/inbox/{conversation['conversation_id']}")).json()
    assert whole["messages"] == conversation["messages"]
    platform = {"platform": "chamade_probe"}
    assert (await api.post("/api/dm/typing", json=platform)).json() == {"status": "ok"}
    sent = await api.post("/api/dm/chat", json={**platform, "text": "ok"})
    assert (sent.status_code, sent.json()["status"]) == (200, "delivered")
    seen = (await api.get(f"/api/api-keys/ping/{ping['ping_id']}")).json()
    assert [key["verdict"] for key in seen["keys"]] == ["replied"]
    assert (await api.get("/api/inbox")).json()["conversations"] == []


async def test_what_a_ping_needs(house: House, api: httpx2.AsyncClient) -> None:
    nobody_asked = await api.post("/api/dm/chat", json={"platform": "chamade_probe", "text": "ok"})
    assert_problem(nobody_asked, 404, "NO_ACTIVE_CONVERSATION", detail="No active conversation")
    assert_problem(await api.get("/api/api-keys/ping/probe_unknown"), 404, "PING_NOT_FOUND")
    ping = (await api.post("/api/api-keys/ping")).json()
    blank = await api.post("/api/dm/chat", json={"platform": "chamade_probe", "text": " "})
    assert_problem(blank, 422, "VALIDATION_FAILED", field="text")
    reader = await house.new_key(Permission.READ, Permission.MESSAGE)
    async with client_of(house, **{"x-api-key": reader}) as limited:
        assert_problem(await limited.post("/api/api-keys/ping"), 403, "INSUFFICIENT_PERMISSIONS")
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        gone = await other.get(f"/api/api-keys/ping/{ping['ping_id']}")
        assert_problem(gone, 404, "PING_NOT_FOUND")
        foreign = await other.post("/api/dm/chat", json={"platform": "chamade_probe", "text": "ok"})
        assert_problem(foreign, 404, "NO_ACTIVE_CONVERSATION")
