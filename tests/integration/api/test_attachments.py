"""A person's file looks alike wherever an agent meets it; what one file may have is the owner's setting."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chamade_mcp.app.settings import load
from chamade_mcp.app.wiring import build
from chamade_mcp.model.access import Caller
from chamade_mcp.model.errors import TooLarge
from chamade_mcp.model.facts import ChatPosted, Sender
from chamade_mcp.model.ids import CallId, MessageRef
from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.registry import Registry
from chamade_mcp.tools.transport import InProcess
from tests.integration.api.call_sockets import message, new_call, socket
from tests.integration.api.conftest import BASE_URL, House
from tests.support.elsewhere import Elsewhere
from tests.support.exchange import Alone
from tests.support.requirement import requirement


async def one(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def attached(asking: "asyncio.Future[httpx2.Response]") -> Any:
    answer = await asyncio.wait_for(asking, 10)
    return answer.json()["conversations"][0]["messages"][-1]["attachments"]


@requirement("R-151")
async def test_the_same_shape_everywhere(house: House, api: httpx2.AsyncClient) -> None:
    core, scope = house.gateway.core, house.owner.scope
    file = await core.files.save(scope, name="a.gif", mime="image/gif", chunks=one(b"GIF89a"))
    cursor = (await api.get("/api/account")).json()["last_message_cursor"]
    query = {"last_message_cursor": cursor, "wait": "30"}
    polling = asyncio.ensure_future(api.get("/api/inbox", params=query))
    async with core.hub.subscribe(scope, after=None) as events:
        await house.scripted.write(scope, "look", attachments=[file])
        pushed = await asyncio.wait_for(anext(events), 10)
    alike = [{"name": "a.gif", "mime": "image/gif", "size": 6, "url": file.url}]
    assert file.url.startswith(f"{BASE_URL}/api/files/")
    assert pushed.event.payload["attachments"] == alike
    assert await attached(polling) == alike
    again = asyncio.ensure_future(api.get("/api/inbox", params={"last_message_cursor": cursor}))
    assert await attached(again) == alike
    conversation = pushed.event.payload["conversation_id"]
    whole = (await api.get(f"/api/inbox/{conversation}")).json()
    assert whole["messages"][-1]["attachments"] == alike
    tools = Registry(CoreClient(InProcess(house.gateway.app, host="127.0.0.1:8000")))
    caller = Caller(house.owner, house.key)
    told: Any = await tools.call("chamade_inbox", {"last_message_cursor": cursor}, Alone(caller))
    assert told["structuredContent"]["conversations"][0]["messages"][-1]["attachments"] == alike


@requirement("R-080", "R-150")
async def test_the_same_shape_in_a_call(house: House, api: httpx2.AsyncClient, ws_url: str) -> None:
    core, scope = house.gateway.core, house.owner.scope
    file = await core.files.save(scope, name="a.gif", mime="image/gif", chunks=one(b"GIF89a"))
    call, room = await new_call(house, api)
    async with socket(ws_url, call, f"?api_key={house.key}") as ws:
        await ws.send('{"type":"audio_config"}')
        assert (await message(ws))["type"] == "audio_config"
        said = ChatPosted(CallId(call), MessageRef("m1"), Sender("ann", "Ann"), "look", (file,))
        await house.scripted.tell(scope, said)
        told = await message(ws)
    assert (told["type"], told["text"]) == ("call_chat", "look")
    alike = [{"name": "a.gif", "mime": "image/gif", "size": 6, "url": file.url}]
    assert told["attachments"] == alike
    await house.scripted.write(scope, "look", attachments=[file])
    inbox = (await api.get("/api/inbox", params={"platform": "scripted"})).json()
    assert inbox["conversations"][0]["messages"][-1]["attachments"] == alike
    entries = [{"bytes_b64": "R0lGODlh", "name": "b.gif", "mime": "image/gif"}]
    sent = await api.post(f"/api/call/{call}/chat", json={"attachments": entries})
    assert sent.is_success
    assert [a.name for a in house.scripted.legs[room].chat[0].attachments] == ["b.gif"]


@requirement("R-132")
@pytest.mark.parametrize(("told", "size_bytes"), [(None, 25 * 1024 * 1024), ("1", 1024 * 1024)])
async def test_the_cap_is_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, size_bytes: int
) -> None:
    if told is not None:
        monkeypatch.setenv("CHAMADE_FILES_MAX_SIZE_MB", told)
    settings = load({"data_dir": tmp_path / "data"})
    async with build(settings, outbound=Elsewhere().outbound()) as gateway:
        await gateway.core.accounts.create("owner@example.org", "correct horse battery", verified=True)
        owner = await gateway.core.accounts.find_by_email("owner@example.org")
        assert owner is not None
        files = gateway.core.files
        exactly = await files.upload(owner.scope, "a", "application/x-thing", one(bytes(size_bytes)))
        assert exactly["size"] == size_bytes
        with pytest.raises(TooLarge, match=rf"\({size_bytes} bytes\)"):
            await files.upload(owner.scope, "a", "application/x-thing", one(bytes(size_bytes + 1)))
