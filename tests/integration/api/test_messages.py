"""Messages that are there already, over REST."""

import httpx2
import pytest

from tests.integration.api.conftest import House
from tests.support.problems import assert_problem


async def test_edit_react_and_take_back(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello", ref="m1")
    told = {"platform": "scripted", "text": "hi"}
    sent = (await api.post("/api/dm/chat", json=told)).json()["message_id"]

    async def shown() -> list[dict[str, object]]:
        (conversation,) = (await api.get("/api/inbox?platform=scripted")).json()["conversations"]
        return conversation["messages"]

    hers = (await shown())[0]["id"]
    reply = await api.post("/api/dm/chat", json=told | {"reply_to": hers})
    assert reply.status_code == 200
    assert (await shown())[2]["reply_to"] == hers
    done = {"status": "ok"}
    assert (await api.patch(f"/api/messages/{sent}", json={"text": "hi there"})).json() == done
    assert (await api.post(f"/api/messages/{hers}/react", json={"emoji": "👍"})).json() == done
    first, second, _ = await shown()
    assert (second["text"], first["reactions"]) == ("hi there", [{"emoji": "👍", "sender": ""}])
    assert (
        await api.post(f"/api/messages/{hers}/react", json={"emoji": "👍", "remove": True})
    ).json() == done
    assert (await api.delete(f"/api/messages/{sent}")).json() == done
    first, second, _ = await shown()
    assert "reactions" not in first
    assert (second["status"], second["text"]) == ("deleted", "")
    assert [m.reply_to for _, m in house.scripted.delivered] == ["m1"]
    assert_problem(await api.delete(f"/api/messages/{hers}"), 403, "NOT_OWN_MESSAGE")
    assert_problem(await api.patch("/api/messages/msg_x", json={"text": "x"}), 404, "MESSAGE_NOT_FOUND")


async def test_a_long_message_in_parts(house: House, api: httpx2.AsyncClient) -> None:
    await house.ears.write(house.owner.scope, "hello")
    said = {"platform": "ears", "text": "One sentence is short. " * 4}
    assert_problem(await api.post("/api/dm/chat", json=said), 502, "SEND_FAILED", field="text")
    key = {"idempotency-key": "a"}
    answers = [await api.post("/api/dm/chat", json=said | {"split": True}, headers=key) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert [m.text for _, m in house.ears.delivered] == ["One sentence is short."] * 4
    (conversation,) = (await api.get("/api/inbox?platform=ears")).json()["conversations"]
    assert [m["id"] for m in conversation["messages"][1:]] == answers[0].json()["message_ids"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "", {"text": ""}, "text"),
        ("PATCH", "", {"text": "x" * 10_001}, "text"),
        ("PATCH", "", {}, "text"),
        ("POST", "/react", {"emoji": ""}, "emoji"),
        ("POST", "/react", {"emoji": "a\nb"}, "emoji"),
        ("POST", "/react", {"emoji": "👍", "remove": 1}, "remove"),
    ],
)
async def test_what_is_no_change(
    api: httpx2.AsyncClient, method: str, path: str, body: dict[str, object], field: str
) -> None:
    answer = await api.request(method, f"/api/messages/msg_x{path}", json=body)
    assert_problem(answer, 422, "VALIDATION_FAILED", field=field)


async def test_what_a_platform_can_is_told(api: httpx2.AsyncClient) -> None:
    platforms = (await api.get("/api/account")).json()["platforms"]
    everything = ["reply", "threads", "edit", "delete", "react", "read_receipts"]
    assert platforms["scripted"]["messages"] == everything
    assert platforms["sip"]["messages"] == []
