"""The official SDK's client against our endpoint, in both protocol eras."""

import json
from typing import TYPE_CHECKING, cast

import pytest
from mcp import MCPError
from mcp_types import CallToolResult, TextContent, TextResourceContents

from chamade_mcp import __version__
from chamade_mcp.tools.registry import TOOLS
from tests.support.core_api import CURSOR, FakeCore

if TYPE_CHECKING:
    from tests.integration.mcp.conftest import Connect

Document = dict[str, object]


def document(result: CallToolResult) -> Document:
    """The structured content, which the text block repeats word for word."""
    assert result.is_error is False, result.content
    (block,) = result.content
    assert isinstance(block, TextContent)
    structured = cast(Document, result.structured_content)
    assert json.loads(block.text) == structured
    return structured


async def test_the_server_says_who_it_is(gateway: str, connect: "Connect") -> None:
    async with connect(f"{gateway}/mcp/") as client:
        info = client.server_info
        assert info is None or (info.name, info.version) == ("chamade", __version__)
        capabilities = client.server_capabilities
        assert capabilities.experimental is None
        await client.list_tools()


async def test_the_fifteen_tools_in_order_with_their_schemas(gateway: str, connect: "Connect") -> None:
    async with connect(f"{gateway}/mcp") as client:
        listed = (await client.list_tools()).tools
    assert [tool.name for tool in listed] == [tool.name for tool in TOOLS]
    for ours, theirs in zip(TOOLS, listed, strict=True):
        assert theirs.input_schema == ours.input_schema
        assert theirs.output_schema == ours.output_schema
        assert theirs.annotations is not None
        assert theirs.annotations.read_only_hint is ours.hints.read_only


async def test_every_tool_once(gateway: str, connect: "Connect", core_api: FakeCore) -> None:
    core_api.add_conversation("web", "hello")
    ringing, other = core_api.add_call("ringing"), core_api.add_call("ringing")
    async with connect(f"{gateway}/mcp/") as client:

        async def call(tool: str, **arguments: object) -> Document:
            return document(await client.call_tool(tool, arguments))

        assert (await call("chamade_account"))["last_message_cursor"] == CURSOR
        inbox = await call("chamade_inbox", last_message_cursor=CURSOR, wait=1)
        assert len(cast(list[Document], inbox["conversations"])) == 1
        assert (await call("chamade_dm_chat", platform="web", text="hi"))["status"] == "delivered"
        await call("chamade_dm_typing", platform="web")
        assert (await call("chamade_file_upload_url", name="a.pdf"))["file_id"] == "f_1"
        call_id = (await call("chamade_call_join", platform="web"))["call_id"]
        core_api.calls[str(call_id)]["state"] = "active"
        await call("chamade_call_chat", call_id=call_id, text="hi", attachments=[{"file_id": "f_1"}])
        assert (await call("chamade_call_status", call_id=call_id))["state"] == "active"
        assert (await call("chamade_call_accept", call_id=ringing))["state"] == "active"
        assert (await call("chamade_call_refuse", call_id=other))["state"] == "refused"
        await call("chamade_call_typing", call_id=call_id)
        await call("chamade_call_stop_speaking", call_id=call_id)
        calls = cast(list[Document], (await call("chamade_call_list"))["calls"])
        assert [each["call_id"] for each in calls] == [ringing, call_id]
        said = await client.call_tool("chamade_call_say", {"call_id": call_id, "text": "hello"})
        assert said.is_error
        assert (await call("chamade_call_leave", call_id=call_id))["state"] == "ended"
    assert len({(seen.method, seen.path) for seen in core_api.seen}) == len(TOOLS)


async def test_refusals_are_results_that_say_what_to_do(
    gateway: str, connect: "Connect", core_api: FakeCore
) -> None:
    async with connect(f"{gateway}/mcp/") as client:
        missing = await client.call_tool("chamade_call_leave", {"call_id": "call_none"})
        wrong = await client.call_tool("chamade_inbox", {"wait": "long"})
        core_api.broken = True
        broken = await client.call_tool("chamade_account", {})
    results = [missing, wrong, broken]
    assert all(result.is_error for result in results)
    problems = [cast(Document, result.structured_content) for result in results]
    assert [(p["status"], p["code"]) for p in problems[:2]] == [
        (404, "CALL_NOT_FOUND"),
        (422, "VALIDATION_FAILED"),
    ]
    assert problems[2]["status"] == 500
    block = missing.content[0]
    assert isinstance(block, TextContent)
    assert block.text.startswith("Call not found (CALL_NOT_FOUND). ")


async def test_an_unknown_tool_breaks_the_protocol(gateway: str, connect: "Connect") -> None:
    async with connect(f"{gateway}/mcp/") as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("chamade_nothing", {})
        assert caught.value.error.code == -32602
        await client.list_tools()


async def test_the_transcript_resource(gateway: str, connect: "Connect", core_api: FakeCore) -> None:
    call_id = core_api.add_call(transcript=("[Alice] Hello",))
    async with connect(f"{gateway}/mcp/") as client:
        (template,) = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "chamade://calls/{call_id}/transcript"
        assert (await client.list_resources()).resources == []
        (content,) = (await client.read_resource(f"chamade://calls/{call_id}/transcript")).contents
        assert isinstance(content, TextResourceContents)
        assert (content.mime_type, content.text) == ("text/plain", "[Alice] Hello\n")
        with pytest.raises(MCPError) as caught:
            await client.read_resource("chamade://calls/call_none/transcript")
    assert caught.value.error.code == -32602


async def test_one_request_id_and_the_key_reach_the_api(
    gateway: str, connect: "Connect", core_api: FakeCore
) -> None:
    async with connect(f"{gateway}/mcp/") as client:
        await client.call_tool("chamade_account", {})
    assert core_api.seen[-1].headers["x-request-id"]
    assert core_api.seen[-1].headers["x-api-key"].startswith("chmd_")
