"""What the official suite expects a server to offer: a `Surface` for tests only."""

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from chamade_mcp.model.events import Event
from chamade_mcp.sessions.protocol import INVALID_PARAMS, MISSING_CAPABILITY
from chamade_mcp.sessions.surface import Exchange, JsonObject, ProtocolFault

Arguments = Mapping[str, Any]
Run = Callable[[Arguments, Exchange], Awaitable[JsonObject]]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
IMAGE: JsonObject = {"type": "image", "data": PNG, "mimeType": "image/png"}
_KEY = b"only for tests"
_TEMPLATE = re.compile(r"test://template/([^/]+)/data")


def text(words: str) -> JsonObject:
    return {"type": "text", "text": words}


def resource(uri: str, words: str, mime: str = "text/plain") -> JsonObject:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": words}}


def content(*blocks: JsonObject) -> JsonObject:
    return {"content": list(blocks)}


def always(result: JsonObject) -> Run:
    async def run(_: Arguments, __: Exchange) -> JsonObject:
        return result

    return run


def elicitation(message: str, **properties: JsonObject) -> JsonObject:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sampling(prompt: str, most: int = 100) -> JsonObject:
    messages = [{"role": "user", "content": text(prompt)}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": most}}


ROOTS: JsonObject = {"method": "roots/list", "params": {}}


def needed(requests: Mapping[str, JsonObject], state: str | None = None) -> JsonObject:
    found: JsonObject = {"resultType": "input_required", "inputRequests": dict(requests)}
    return found if state is None else {**found, "requestState": state}


# --- telling on the way ------------------------------------------------------------------------------------


async def with_logging(_: Arguments, exchange: Exchange) -> JsonObject:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await exchange.log("info", words)
        await asyncio.sleep(0.05)
    return content(text("Tool with logging executed successfully"))


async def with_progress(_: Arguments, exchange: Exchange) -> JsonObject:
    for done in (0, 50, 100):
        await exchange.progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.05)
    return content(text("done"))


# --- asking the client -------------------------------------------------------------------------------------


async def test_sampling(arguments: Arguments, exchange: Exchange) -> JsonObject:
    asked: Any = sampling(arguments["prompt"])
    result: Any = await exchange.ask(asked["method"], asked["params"])
    return content(text(f"LLM response: {result['content']['text']}"))


def eliciting(prefix: str, schema: JsonObject) -> Run:
    async def run(arguments: Arguments, exchange: Exchange) -> JsonObject:
        message = arguments.get("message", "Please provide information")
        params: JsonObject = {"message": message, "requestedSchema": schema}
        result = await exchange.ask("elicitation/create", params)
        said = json.dumps(result.get("content", {}))
        return content(text(f"{prefix}: action={result.get('action')}, content={said}"))

    return run


RESPONSE: JsonObject = {
    "type": "object",
    "properties": {"response": {"type": "string", "description": "User's response"}},
    "required": ["response"],
}
DEFAULTS: JsonObject = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "User name", "default": "John Doe"},
        "age": {"type": "integer", "description": "User age", "default": 30},
        "score": {"type": "number", "description": "User score", "default": 95.5},
        "status": {
            "type": "string",
            "description": "User status",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "description": "Verification status", "default": True},
    },
    "required": [],
}
_LEVELS = [{"const": c, "title": f"{c.title()} Priority"} for c in ("low", "medium", "high")]
_KINDS = [{"const": "feature", "title": "New Feature"}, {"const": "bug", "title": "Bug Fix"}]
ENUMS: JsonObject = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["active", "inactive", "pending"]},
        "titledSingle": {"type": "string", "oneOf": _LEVELS},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["read", "write", "execute"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": _KINDS}},
        "legacyEnum": {
            "type": "string",
            "enum": ["small", "medium", "large"],
            "enumNames": ["Small Size", "Medium Size", "Large Size"],
        },
    },
    "required": [],
}

# --- results that ask for more (2026-07-28) ----------------------------------------------------------------


def sign(words: str) -> str:
    return f"{words}.{hmac.new(_KEY, words.encode(), hashlib.sha256).hexdigest()}"


def signed(exchange: Exchange) -> str:
    """What was signed. Raises `ProtocolFault` for a state that we did not give."""
    words = (exchange.request_state or "").rpartition(".")[0]
    if exchange.request_state != sign(words):
        raise ProtocolFault(INVALID_PARAMS, "requestState is not what this server gave")
    return words


NAME = elicitation("What is your name?", name={"type": "string"})
CONFIRM = elicitation("Please confirm", ok={"type": "boolean"})


async def ask_name(_: Arguments, exchange: Exchange) -> JsonObject:
    given: Any = exchange.input_responses.get("user_name")
    if given is None:
        return needed({"user_name": NAME})
    return content(text(f"Hello, {given.get('content', {}).get('name')}!"))


def asking_once(key: str, request: JsonObject) -> Run:
    async def run(_: Arguments, exchange: Exchange) -> JsonObject:
        if key not in exchange.input_responses:
            return needed({key: request})
        return content(text(json.dumps(exchange.input_responses[key])))

    return run


async def with_state(_: Arguments, exchange: Exchange) -> JsonObject:
    if exchange.request_state is None:
        return needed({"confirm": CONFIRM}, sign("confirm"))
    signed(exchange)
    return content(text("state-ok"))


async def several_inputs(_: Arguments, exchange: Exchange) -> JsonObject:
    wanted = {"user_name": NAME, "greeting": sampling("Generate a greeting", 50), "client_roots": ROOTS}
    if exchange.request_state is None:
        return needed(wanted, sign("several"))
    signed(exchange)
    missing = {key: request for key, request in wanted.items() if key not in exchange.input_responses}
    return needed(missing, sign("several")) if missing else content(text("all there"))


async def several_rounds(_: Arguments, exchange: Exchange) -> JsonObject:
    if exchange.request_state is None:
        return needed(
            {"step1": elicitation("Step 1: What is your name?", name={"type": "string"})}, sign("1")
        )
    if signed(exchange) == "1":
        color = elicitation("Step 2: What is your favorite color?", color={"type": "string"})
        return needed({"step2": color}, sign("2"))
    return content(text("done"))


async def by_capabilities(_: Arguments, exchange: Exchange) -> JsonObject:
    able = exchange.client_capabilities
    possible = {"sampling": sampling("hello"), "elicitation": NAME, "roots": ROOTS}
    return needed({name: request for name, request in possible.items() if name in able})


async def missing_capability(_: Arguments, exchange: Exchange) -> JsonObject:
    if "sampling" not in exchange.client_capabilities:
        required: JsonObject = {"requiredCapabilities": {"sampling": dict[str, object]()}}
        raise ProtocolFault(MISSING_CAPABILITY, "This tool needs the capability sampling", required)
    return content(text("ok"))


async def streaming_elicitation(_: Arguments, exchange: Exchange) -> JsonObject:
    await exchange.progress(0)
    return needed({"user_name": NAME})


async def context_prompt(_: Arguments, exchange: Exchange) -> JsonObject:
    wanted = elicitation("What context should the prompt use?", context={"type": "string"})
    if "user_context" not in exchange.input_responses:
        return needed({"user_context": wanted})
    return {"messages": [{"role": "user", "content": text("with context")}]}


# --- what there is -----------------------------------------------------------------------------------------

PLAIN: JsonObject = {"type": "object", "properties": {}}
SCHEMA_2020_12: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
REGION: JsonObject = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}


def takes(name: str) -> JsonObject:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


FAILED: JsonObject = {
    **content(text("This tool intentionally returns an error for testing")),
    "isError": True,
}
EMBEDDED = resource("test://embedded-resource", "This is an embedded resource content.")
MIXED = resource("test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json")
_ROUND = "test_input_required_result_"

TOOLS: dict[str, tuple[Run, JsonObject]] = {
    "test_simple_text": (always(content(text("This is a simple text response for testing."))), PLAIN),
    "test_image_content": (always(content(IMAGE)), PLAIN),
    "test_audio_content": (always(content({"type": "audio", "data": WAV, "mimeType": "audio/wav"})), PLAIN),
    "test_embedded_resource": (always(content(EMBEDDED)), PLAIN),
    "test_multiple_content_types": (
        always(content(text("Multiple content types test:"), IMAGE, MIXED)),
        PLAIN,
    ),
    "test_error_handling": (always(FAILED), PLAIN),
    "test_tool_with_logging": (with_logging, PLAIN),
    "test_logging_tool": (with_logging, PLAIN),
    "test_tool_with_progress": (with_progress, PLAIN),
    "test_sampling": (test_sampling, takes("prompt")),
    "test_elicitation": (eliciting("User response", RESPONSE), takes("message")),
    "test_elicitation_sep1034_defaults": (eliciting("Elicitation completed", DEFAULTS), PLAIN),
    "test_elicitation_sep1330_enums": (eliciting("Elicitation completed", ENUMS), PLAIN),
    "json_schema_2020_12_tool": (always(content(text("ok"))), SCHEMA_2020_12),
    "test_custom_header": (always(content(text("ok"))), REGION),
    "test_missing_capability": (missing_capability, PLAIN),
    "test_streaming_elicitation": (streaming_elicitation, PLAIN),
    f"{_ROUND}elicitation": (ask_name, PLAIN),
    f"{_ROUND}sampling": (
        asking_once("capital_question", sampling("What is the capital of France?")),
        PLAIN,
    ),
    f"{_ROUND}list_roots": (asking_once("client_roots", ROOTS), PLAIN),
    f"{_ROUND}request_state": (with_state, PLAIN),
    f"{_ROUND}tampered_state": (with_state, PLAIN),
    f"{_ROUND}multiple_inputs": (several_inputs, PLAIN),
    f"{_ROUND}multi_round": (several_rounds, PLAIN),
    f"{_ROUND}capabilities": (by_capabilities, PLAIN),
}


async def embedded_prompt(arguments: Arguments, _: Exchange) -> JsonObject:
    block = resource(arguments["resourceUri"], "Embedded resource content for testing.")
    asked = text("Please process the embedded resource above.")
    return {"messages": [{"role": "user", "content": block}, {"role": "user", "content": asked}]}


async def prompt_with_arguments(arguments: Arguments, _: Exchange) -> JsonObject:
    words = f"Prompt with arguments: arg1='{arguments['arg1']}', arg2='{arguments['arg2']}'"
    return {"messages": [{"role": "user", "content": text(words)}]}


def saying(*blocks: JsonObject) -> Run:
    return always({"messages": [{"role": "user", "content": block} for block in blocks]})


PROMPTS: dict[str, tuple[Run, tuple[str, ...]]] = {
    "test_simple_prompt": (saying(text("This is a simple prompt for testing.")), ()),
    "test_prompt_with_arguments": (prompt_with_arguments, ("arg1", "arg2")),
    "test_prompt_with_embedded_resource": (embedded_prompt, ("resourceUri",)),
    "test_prompt_with_image": (saying(IMAGE, text("Please analyze the image above.")), ()),
    f"{_ROUND}prompt": (context_prompt, ()),
}
RESOURCES: dict[str, JsonObject] = {
    "test://static-text": {
        "mimeType": "text/plain",
        "text": "This is the content of the static text resource.",
    },
    "test://static-binary": {"mimeType": "image/png", "blob": PNG},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched resource content"},
}


class Fixtures:
    """A `Surface` with everything that the suite calls for."""

    name = "conformance"
    title = "Conformance fixtures"
    version = "1.0.0"
    instructions = "Only for tests."
    logs = True

    def __init__(self) -> None:
        self.tools: list[JsonObject] = [
            {"name": name, "description": name.replace("_", " "), "inputSchema": schema}
            for name, (_, schema) in TOOLS.items()
        ]
        self.slow_tools = frozenset(name for name in TOOLS if "sampling" in name or "elicitation" in name)
        self.resources: list[JsonObject] = [
            {"uri": uri, "name": uri.partition("//")[2], "mimeType": found["mimeType"]}
            for uri, found in RESOURCES.items()
        ]
        self.resource_templates: list[JsonObject] = [
            {"uriTemplate": "test://template/{id}/data", "name": "template", "mimeType": "application/json"}
        ]
        self.prompts: list[JsonObject] = [
            {
                "name": name,
                "description": name.replace("_", " "),
                "arguments": [{"name": each, "description": each, "required": True} for each in arguments],
            }
            for name, (_, arguments) in PROMPTS.items()
        ]

    async def call(self, tool: str, arguments: Arguments, exchange: Exchange) -> JsonObject:
        if tool not in TOOLS:
            raise ProtocolFault(INVALID_PARAMS, f"Unknown tool: {tool}")
        return await TOOLS[tool][0](arguments, exchange)

    async def read(self, uri: str, exchange: Exchange) -> JsonObject:
        found = RESOURCES.get(uri)
        template = _TEMPLATE.fullmatch(uri)
        if template is not None:
            data = {"id": template[1], "templateTest": True, "data": f"Data for ID: {template[1]}"}
            found = {"mimeType": "application/json", "text": json.dumps(data)}
        if found is None:
            raise ProtocolFault(INVALID_PARAMS, f"Unknown resource: {uri}", {"uri": uri})
        return {"contents": [{"uri": uri, **found}]}

    async def prompt(self, name: str, arguments: Arguments, exchange: Exchange) -> JsonObject:
        if name not in PROMPTS:
            raise ProtocolFault(INVALID_PARAMS, f"Unknown prompt: {name}")
        return await PROMPTS[name][0](arguments, exchange)

    def changed_resource(self, event: Event) -> str | None:
        return None
