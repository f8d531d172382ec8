"""Every tool against an API that behaves by the contract: results, refusals, and what travels on."""

from typing import Protocol, cast

import pytest
from jsonschema import Draft202012Validator

from chamade_mcp.model.access import Caller
from chamade_mcp.sessions.surface import INVALID_PARAMS, ProtocolFault
from chamade_mcp.tools.client import CoreClient, JsonObject
from chamade_mcp.tools.registry import TOOLS, Registry
from tests.support.core_api import CURSOR, KEY, PRINCIPAL, FakeCore
from tests.support.exchange import Alone


class Check(Protocol):
    """What we use of a `jsonschema` validator, which has no types."""

    def validate(self, instance: object) -> None: ...


OUTPUTS = {tool.name: cast(Check, Draft202012Validator(tool.output_schema)) for tool in TOOLS}


@pytest.fixture
def registry(core_client: CoreClient) -> Registry:
    return Registry(core_client)


def text_of(result: JsonObject) -> str:
    (block,) = cast(list[dict[str, str]], result["content"])
    assert block["type"] == "text"
    return block["text"]


async def succeed(registry: Registry, caller: Caller, tool: str, **arguments: object) -> JsonObject:
    result = await registry.call(tool, arguments, Alone(caller))
    assert result["isError"] is False, text_of(result)
    document = cast(JsonObject, result["structuredContent"])
    OUTPUTS[tool].validate(document)
    return document


async def fail(registry: Registry, caller: Caller, tool: str, **arguments: object) -> tuple[str, JsonObject]:
    result = await registry.call(tool, arguments, Alone(caller))
    assert result["isError"] is True
    return text_of(result), cast(JsonObject, result["structuredContent"])


async def test_account_gives_the_cursor(registry: Registry, caller: Caller) -> None:
    assert (await succeed(registry, caller, "chamade_account"))["last_message_cursor"] == CURSOR


async def test_the_key_the_request_id_and_the_trace_travel_on(
    registry: Registry, caller: Caller, core_api: FakeCore
) -> None:
    await succeed(registry, caller, "chamade_account")
    (seen,) = core_api.seen
    assert seen.headers["x-api-key"] == KEY
    assert seen.headers["x-request-id"] == "req-1"
    assert seen.headers["traceparent"] == caller.traceparent
    assert "authorization" not in seen.headers


async def test_a_call_from_join_to_leave(registry: Registry, caller: Caller, core_api: FakeCore) -> None:
    joined = await succeed(registry, caller, "chamade_call_join", platform="web", agent_name="Ada")
    call_id = cast(str, joined["call_id"])
    assert (joined["state"], joined["agent_name"]) == ("connecting", "Ada")
    text, problem = await fail(registry, caller, "chamade_call_chat", call_id=call_id, text="hi")
    assert problem["code"] == "BRIDGE_NOT_READY"
    assert text.startswith("No active WebSocket connection (BRIDGE_NOT_READY). The call is still connecting")
    core_api.calls[call_id]["state"] = "active"
    core_api.transcripts[call_id] += ["[Alice] Hello", "[Bob] Hi"]
    status = await succeed(registry, caller, "chamade_call_status", call_id=call_id, since=1)
    assert (status["transcript"], status["transcript_length"]) == (["[Bob] Hi"], 2)
    await succeed(registry, caller, "chamade_call_chat", call_id=call_id, text="hi", sender_name="Ada")
    assert core_api.sent == [{"text": "hi", "sender_name": "Ada"}]
    await succeed(registry, caller, "chamade_call_typing", call_id=call_id)
    await succeed(registry, caller, "chamade_call_stop_speaking", call_id=call_id)
    listed = await succeed(registry, caller, "chamade_call_list")
    assert [call["call_id"] for call in cast(list[JsonObject], listed["calls"])] == [call_id]
    await succeed(registry, caller, "chamade_call_leave", call_id=call_id)
    assert (await succeed(registry, caller, "chamade_call_list"))["calls"] == []
    text, problem = await fail(registry, caller, "chamade_call_leave", call_id=call_id)
    assert (problem["status"], problem["code"]) == (404, "CALL_NOT_FOUND")
    assert "chamade_call_list" in text


@pytest.mark.parametrize(("verb", "state"), [("accept", "active"), ("refuse", "refused")])
async def test_a_ringing_call(
    registry: Registry, caller: Caller, core_api: FakeCore, verb: str, state: str
) -> None:
    call_id = core_api.add_call("ringing")
    answer = await succeed(registry, caller, f"chamade_call_{verb}", call_id=call_id)
    assert answer["state"] == core_api.calls[call_id]["state"] == state


async def test_saying_without_a_preset_tells_the_code_and_what_to_do(
    registry: Registry, caller: Caller, core_api: FakeCore
) -> None:
    call_id = core_api.add_call()
    text, problem = await fail(registry, caller, "chamade_call_say", call_id=call_id, text="Good morning")
    assert problem["status"] == 400
    assert text.startswith("Hosted TTS not configured (HOSTED_TTS_NOT_CONFIGURED). ")
    assert problem["request_id"] == "req-1"


async def test_the_call_limit_says_how_to_make_room(
    registry: Registry, caller: Caller, core_api: FakeCore
) -> None:
    core_api.most_calls = 0
    text, problem = await fail(registry, caller, "chamade_call_join", platform="web")
    assert problem["retry_after"] == 30
    assert text.endswith("Leave a call with chamade_call_leave first.")


async def test_the_inbox_in_its_modes(registry: Registry, caller: Caller, core_api: FakeCore) -> None:
    conversation_id = core_api.add_conversation("telegram", "hello")
    core_api.add_conversation("web", "hey")
    everything = await succeed(registry, caller, "chamade_inbox")
    assert len(cast(list[object], everything["conversations"])) == 2
    await succeed(registry, caller, "chamade_inbox", last_message_cursor=CURSOR, wait=0, platform="web")
    assert core_api.seen[-1].query == {"last_message_cursor": CURSOR, "wait": "0", "platform": "web"}
    one = await succeed(registry, caller, "chamade_inbox", conversation_id=conversation_id, limit=5)
    assert (one["platform"], core_api.seen[-1].query) == ("telegram", {"limit": "5"})


async def test_sending_delivered_and_queued(registry: Registry, caller: Caller, core_api: FakeCore) -> None:
    core_api.add_conversation("web", "hey")
    core_api.add_conversation("whatsapp", "hey")
    attachments = [
        {"file_id": "f_1"},
        {"url": "https://example.org/a.png", "name": "a.png"},
        {"bytes_b64": "aGk=", "name": "hi.txt", "mime": "text/plain"},
    ]
    arguments = {"keep_typing": True, "attachments": attachments, "conversation_id": "conv_1"}
    sent = await succeed(registry, caller, "chamade_dm_chat", platform="web", **arguments)
    assert sent["status"] == "delivered"
    assert core_api.sent == [{"platform": "web", **arguments}]
    queued = await succeed(registry, caller, "chamade_dm_chat", platform="whatsapp", text="hi")
    assert (queued["status"], queued["queue_position"]) == ("queued", 1)
    await succeed(registry, caller, "chamade_dm_typing", platform="web", conversation_id="conv_1")


async def test_sending_where_nobody_wrote(registry: Registry, caller: Caller) -> None:
    text, problem = await fail(registry, caller, "chamade_dm_chat", platform="slack", text="hi")
    assert (problem["code"], problem["platform"]) == ("NO_ACTIVE_CONVERSATION", "slack")
    assert "chamade_inbox" in text


async def test_the_apis_own_validation_comes_through(registry: Registry, caller: Caller) -> None:
    text, problem = await fail(registry, caller, "chamade_dm_chat", platform="web")
    assert problem["errors"] == [{"field": "text", "message": "is required unless attachments are given"}]
    assert text.startswith("text: is required unless attachments are given (VALIDATION_FAILED). ")


async def test_reserving_a_file(registry: Registry, caller: Caller) -> None:
    reserved = await succeed(
        registry, caller, "chamade_file_upload_url", name="a.pdf", mime="application/pdf"
    )
    assert reserved["file_id"] == "f_1"


async def test_wrong_arguments_never_reach_the_api(
    registry: Registry, caller: Caller, core_api: FakeCore
) -> None:
    text, problem = await fail(registry, caller, "chamade_call_say", text="hi")
    assert (problem["status"], problem["code"], problem["param"]) == (422, "VALIDATION_FAILED", "call_id")
    assert text == "call_id: is required (VALIDATION_FAILED). Mend the named arguments and call again."
    assert core_api.seen == []


async def test_a_revoked_key_is_a_result_that_asks_the_human(registry: Registry) -> None:
    text, problem = await fail(registry, Caller(PRINCIPAL, "chmd_revoked"), "chamade_account")
    assert problem["status"] == 401
    assert (
        text
        == "Invalid or missing API key (INVALID_API_KEY). Your operator has to put this right; tell them."
    )


async def test_a_broken_api_leaves_the_outcome_open(
    registry: Registry, caller: Caller, core_api: FakeCore
) -> None:
    core_api.broken = True
    text, problem = await fail(registry, caller, "chamade_dm_chat", platform="web", text="hi")
    assert (problem["status"], problem["outcome"]) == (500, "unknown")
    assert text.endswith("It may have been done all the same: look before you try again.")


async def test_an_unknown_tool_is_a_protocol_error(registry: Registry, caller: Caller) -> None:
    with pytest.raises(ProtocolFault) as caught:
        await registry.call("chamade_nothing", {}, Alone(caller))
    assert (caught.value.code, caught.value.message) == (INVALID_PARAMS, "Unknown tool: chamade_nothing")


async def test_the_transcript_resource(registry: Registry, caller: Caller, core_api: FakeCore) -> None:
    uri = f"chamade://calls/{core_api.add_call(transcript=('[Alice] Hello', '[Bob] Hi'))}/transcript"
    result = await registry.read(uri, Alone(caller))
    assert result["contents"] == [{"uri": uri, "mimeType": "text/plain", "text": "[Alice] Hello\n[Bob] Hi\n"}]


@pytest.mark.parametrize(
    "uri",
    [
        "chamade://calls/call_none/transcript",
        "chamade://calls/../transcript",
        "chamade://calls/a/b/transcript",
        "file:///etc/passwd",
    ],
)
async def test_unknown_resources(registry: Registry, caller: Caller, uri: str) -> None:
    with pytest.raises(ProtocolFault) as caught:
        await registry.read(uri, Alone(caller))
    assert caught.value.code == INVALID_PARAMS
