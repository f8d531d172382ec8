"""The tools over the real gateway. The SDK's client checks every result against the tool's output schema."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import pytest
from mcp_types import TextResourceContents
from starlette.types import ASGIApp

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.connections import Trust
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import COMMON, ConversationRef, MessageRef, Platform
from chamade_mcp.model.messages import Sender
from tests.support.requirement import requirement
from tests.support.server import serve

if TYPE_CHECKING:
    from mcp import Client

    from tests.integration.mcp.conftest import Connect

Document = dict[str, object]


@dataclass(slots=True)
class House:
    """A running gateway with one account."""

    url: str
    gateway: Gateway
    owner: Principal
    key: str

    async def write(self, text: str) -> None:
        """A person writes on the web platform."""
        fact = MessageReceived(
            ConversationRef("guest-1"), MessageRef(f"ref-{text}"), Sender("guest-1", "Alice"), text
        )
        await self.gateway.core.inbox.received(
            self.owner.scope, (Platform("web"), COMMON), fact, Trust.INVITED
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncGenerator[House]:
    opened: list[Gateway] = []

    @asynccontextmanager
    async def open_gateway(url: str) -> AsyncGenerator[ASGIApp]:
        port = urlsplit(url).port
        assert port is not None
        async with build(Settings(data_dir=tmp_path / "data", port=port)) as gateway:
            opened.append(gateway)
            yield gateway.app

    async with serve(open_gateway) as url:
        accounts = opened[0].core.accounts
        await accounts.create("owner@example.org", "correct horse battery", verified=True)
        owner = await accounts.find_by_email("owner@example.org")
        assert owner is not None
        key = await accounts.create_key(owner.scope, "test")
        yield House(url, opened[0], owner, key.value)


async def call(client: "Client", tool: str, **arguments: object) -> Document:
    result = await client.call_tool(tool, arguments)
    assert result.is_error is False, result.content
    return cast(Document, result.structured_content)


async def refused(client: "Client", tool: str, **arguments: object) -> Document:
    result = await client.call_tool(tool, arguments)
    assert result.is_error is True
    return cast(Document, result.structured_content)


async def test_messages(house: House, connect: "Connect") -> None:
    async with connect(f"{house.url}/mcp/", house.key) as client:
        account = await call(client, "chamade_account")
        platforms = cast(dict[str, Document], account["platforms"])
        assert platforms["web"]["status"] == "ok"
        cursor = account["last_message_cursor"]
        empty = await call(client, "chamade_inbox", last_message_cursor=cursor, wait=0)
        assert empty["conversations"] == []
        nobody = await refused(client, "chamade_dm_chat", platform="web", text="hi")
        assert (nobody["status"], nobody["code"]) == (404, "NO_ACTIVE_CONVERSATION")
        waiting = asyncio.create_task(call(client, "chamade_inbox", last_message_cursor=cursor, wait=55))
        await house.write("hello")
        async with asyncio.timeout(10):
            news = await waiting
        (conversation,) = cast(list[Document], news["conversations"])
        (message,) = cast(list[Document], conversation["messages"])
        assert (message["text"], message["direction"]) == ("hello", "inbound")
        assert news["last_message_cursor"] != cursor
        snapshot = await call(client, "chamade_inbox")
        detail = await call(client, "chamade_inbox", platform="web")
        assert len(cast(list[Document], snapshot["conversations"])) == 1
        assert len(cast(list[Document], detail["conversations"])) == 1
        whole = await call(client, "chamade_inbox", conversation_id=conversation["conversation_id"])
        assert whole["messages"] == conversation["messages"]
        missing = await refused(client, "chamade_inbox", conversation_id="conv_none")
        assert missing["status"] == 404


async def test_the_gateways_own_refusals(house: House, connect: "Connect") -> None:
    async with connect(f"{house.url}/mcp/", house.key) as client:
        wait = await refused(client, "chamade_inbox", wait=5)
        assert wait["code"] == "CURSOR_REQUIRED"
        cursor = await refused(client, "chamade_inbox", last_message_cursor="nonsense")
        assert cursor["code"] == "INVALID_CURSOR"
        silent = await refused(client, "chamade_dm_chat", platform="web")
        assert (silent["status"], silent["param"]) == (422, "text")
        unknown = await refused(client, "chamade_dm_chat", platform="pigeon", text="coo")
        assert unknown["status"] == 422
        for tool in ("status", "accept", "refuse", "typing", "leave", "stop_speaking"):
            gone = await refused(client, f"chamade_call_{tool}", call_id="call_none")
            assert (gone["status"], gone["code"]) == (404, "CALL_NOT_FOUND"), tool


@requirement("R-218", "R-220", "R-222", "R-223", "R-230")
async def test_a_call(house: House, connect: "Connect") -> None:
    async with connect(f"{house.url}/mcp/", house.key) as client:
        joined = await call(client, "chamade_call_join", platform="web", agent_name="Ada")
        call_id = cast(str, joined["call_id"])
        assert cast(Document, joined["audio"])["sample_rate"] == 48_000
        listed = cast(list[Document], (await call(client, "chamade_call_list"))["calls"])
        assert [each["call_id"] for each in listed] == [call_id]
        status = await call(client, "chamade_call_status", call_id=call_id, since=0)
        assert (status["transcript"], status["transcript_length"]) == ([], 0)
        said = await refused(client, "chamade_call_say", call_id=call_id, text="hello")
        assert said["code"] in {"HOSTED_TTS_NOT_CONFIGURED", "BRIDGE_NOT_READY"}
        ringing = await refused(client, "chamade_call_accept", call_id=call_id)
        assert ringing["code"] == "CALL_NOT_RINGING"
        await call(client, "chamade_call_stop_speaking", call_id=call_id)
        uri = f"chamade://calls/{call_id}/transcript"
        (content,) = (await client.read_resource(uri)).contents
        assert isinstance(content, TextResourceContents)
        assert content.text == ""
        left = await call(client, "chamade_call_leave", call_id=call_id)
        assert left["state"] == "ended"
        assert (await call(client, "chamade_call_status", call_id=call_id))["state"] == "ended"


@requirement("R-228")
async def test_a_reserved_upload(house: House, connect: "Connect") -> None:
    async with connect(f"{house.url}/mcp/", house.key) as client:
        reserved = await call(client, "chamade_file_upload_url", name="a.txt", mime="text/plain")
        assert str(reserved["upload_url"]).startswith(f"{house.url}/api/files/u/")
        bare = await call(client, "chamade_file_upload_url")
        assert bare["file_id"] != reserved["file_id"]


async def test_a_key_that_may_only_read(house: House, connect: "Connect") -> None:
    reading = frozenset({Permission.READ})
    key = await house.gateway.core.accounts.create_key(house.owner.scope, "reader", permissions=reading)
    async with connect(f"{house.url}/mcp/", key.value) as client:
        await call(client, "chamade_account")
        problem = await refused(client, "chamade_call_join", platform="web")
    assert problem["status"] == 403
