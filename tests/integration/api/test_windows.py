"""A platform on which the agent may write only after the person has, over REST."""

import json

import httpx2
from websockets.asyncio.client import connect

from chamade_mcp.kit.connector import WindowClosed
from tests.integration.api.conftest import House
from tests.support.requirement import requirement


@requirement("R-110", "R-112", "R-113", "R-114", "R-116")
async def test_what_waits_for_the_person(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    scope = house.owner.scope
    await house.windowed.write(scope, "hello")
    house.windowed.script.send_error = WindowClosed()
    said = {"platform": "whatsapp", "text": "hi"}
    queued = [await api.post("/api/dm/chat", json=said) for _ in range(2)]
    assert [answer.status_code for answer in queued] == [202, 202]
    ids = [answer.json()["message_id"] for answer in queued]
    common = {"status": "queued", "reason": "outside_24h_window"}
    assert [answer.json() for answer in queued] == [
        {**common, "message_id": ids[0], "template_sent": True, "queue_position": 1},
        {**common, "message_id": ids[1], "template_sent": False, "queue_position": 2},
    ]
    (conversation,) = (await api.get("/api/inbox?platform=whatsapp")).json()["conversations"]
    window = conversation["whatsapp_window"]
    assert (window["open"], window["pending_count"]) == (False, 2)
    house.windowed.script.send_error = None
    async with connect(f"{ws_url}/api/inbox/stream?api_key={house.key}") as stream:
        assert json.loads(await stream.recv())["type"] == "ready"
        await house.windowed.write(scope, "here I am")
        delivered, chat = [json.loads(await stream.recv()) for _ in range(2)]
    assert (delivered["type"], delivered["delivered_ids"]) == ("dm_delivered", ids)
    assert (chat["type"], chat["text"]) == ("dm_chat", "here I am")
    assert (await api.post("/api/dm/chat", json=said)).json()["status"] == "delivered"
