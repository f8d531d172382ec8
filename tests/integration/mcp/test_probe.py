"""Ping agents: an agent that is pushed to hears it, answers with the tool, and is seen to have answered."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2

from tests.support.gateway_process import gateway_process
from tests.support.push_client import PushClient, headers, open_session
from tests.support.requirement import requirement
from tests.support.waiting import until


def tool(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }


@requirement("R-242", "R-243", "R-244")
async def test_a_pushed_probe_is_answered_with_the_tool(tmp_path: Path) -> None:
    async with gateway_process(tmp_path / "data") as gateway, httpx2.AsyncClient(timeout=30) as http:
        owner = {"x-api-key": gateway.key}
        made = (await http.post(f"{gateway.url}/api/api-keys", headers=owner, json={"name": "agent"})).json()
        session = await open_session(http, gateway.url, made["key"])
        client = PushClient(gateway.url, made["key"], session, keep=True)
        listening = asyncio.create_task(client.run())
        try:
            await until(lambda: client.opened)
            ping = (await http.post(f"{gateway.url}/api/api-keys/ping", headers=owner)).json()
            await until(lambda: client.messages)
            (pushed,) = client.messages
            assert pushed["method"] == "notifications/claude/channel"
            assert pushed["params"]["meta"]["platform"] == "chamade_probe"
            event = json.loads(pushed["params"]["content"])
            assert (event["type"], event["sender"]) == ("dm_chat", "Chamade Dashboard")
            own = headers(made["key"], session)
            for name, more in (("chamade_dm_typing", {}), ("chamade_dm_chat", {"text": "ok"})):
                call = tool(name, {"platform": event["platform"], **more})
                told = (await http.post(f"{gateway.url}/mcp/", headers=own, json=call)).json()["result"]
                assert not told.get("isError"), told
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        seen = (await http.get(f"{gateway.url}/api/api-keys/ping/{ping['ping_id']}", headers=owner)).json()
        assert {key["id"]: key["verdict"] for key in seen["keys"]} == {
            made["id"]: "replied",
            next(k["id"] for k in seen["keys"] if k["id"] != made["id"]): "waiting",
        }
        # It is in nobody's inbox, and does not come again.
        assert (await http.get(f"{gateway.url}/api/inbox", headers=owner)).json()["conversations"] == []
