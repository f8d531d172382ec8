"""The catalogue: what models are shown, and that it is what the code takes."""

import json
from typing import cast, get_type_hints

import pytest
from jsonschema import Draft202012Validator

from chamade_mcp.tools.client import CoreClient
from chamade_mcp.tools.instructions import INSTRUCTIONS
from chamade_mcp.tools.registry import TOOLS, Registry
from chamade_mcp.tools.tool import Tool

NAMES = [
    "chamade_account",
    "chamade_inbox",
    "chamade_dm_chat",
    "chamade_dm_typing",
    "chamade_file_upload_url",
    "chamade_call_join",
    "chamade_call_chat",
    "chamade_call_status",
    "chamade_call_accept",
    "chamade_call_refuse",
    "chamade_call_typing",
    "chamade_call_leave",
    "chamade_call_list",
    "chamade_call_say",
    "chamade_call_stop_speaking",
]
Schema = dict[str, object]

every_tool = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)


def properties(schema: Schema) -> dict[str, Schema]:
    return cast(dict[str, Schema], schema.get("properties", {}))


def test_the_order_of_the_fifteen_tools_is_fixed(core_client: CoreClient) -> None:
    assert [tool["name"] for tool in Registry(core_client).tools] == NAMES


@every_tool
def test_schemas_are_valid_2020_12(tool: Tool) -> None:
    for schema in (tool.input_schema, tool.output_schema):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"


@every_tool
def test_input_is_closed_at_every_level_and_every_property_is_described(tool: Tool) -> None:
    def check(schema: Schema) -> None:
        assert schema["additionalProperties"] is False
        for name, inner in properties(schema).items():
            assert str(inner.get("description", "")), name
            items = cast(Schema, inner.get("items", {}))
            if "properties" in items:
                check(items)

    check(tool.input_schema)


@every_tool
def test_no_combinator_at_the_root_since_some_model_apis_refuse_it(tool: Tool) -> None:
    assert not {"oneOf", "anyOf", "allOf", "not"} & set(tool.input_schema)


@every_tool
def test_strings_and_numbers_have_bounds(tool: Tool) -> None:
    for name, schema in properties(tool.input_schema).items():
        if schema["type"] == "string":
            assert "maxLength" in schema, name
        if schema["type"] == "integer":
            assert "minimum" in schema, name


@every_tool
def test_the_schema_is_the_type_that_the_code_takes(tool: Tool) -> None:
    assert set(get_type_hints(tool.arguments)) == set(properties(tool.input_schema))
    required = cast("frozenset[str]", tool.arguments.__required_keys__)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert set(required) == set(cast(list[str], tool.input_schema.get("required", [])))


@every_tool
def test_descriptions_are_there_and_short(tool: Tool) -> None:
    assert 60 <= len(tool.description) <= 640
    assert 4 <= len(tool.title) <= 40


@every_tool
def test_hints_are_spelled_out(tool: Tool) -> None:
    annotations = cast(dict[str, object], tool.to_wire()["annotations"])
    assert annotations.pop("title") == tool.title
    assert set(annotations) == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
    assert all(isinstance(hint, bool) for hint in annotations.values())


def test_reading_tools_are_the_four_that_change_nothing() -> None:
    reading = {tool.name for tool in TOOLS if tool.hints.read_only}
    assert reading == {"chamade_account", "chamade_inbox", "chamade_call_status", "chamade_call_list"}


def test_the_catalogue_stays_within_a_models_patience() -> None:
    assert len(json.dumps([tool.to_wire() for tool in TOOLS])) < 30_000


def test_instructions_fit_and_name_real_tools_only() -> None:
    assert len(INSTRUCTIONS) < 4_096
    words = {word.strip(".,:;()=") for word in INSTRUCTIONS.replace("(", " ").split()}
    named = {word for word in words if word.startswith("chamade_")}
    assert named - {"chamade_probe"} <= set(NAMES)
    assert {"chamade_account", "chamade_inbox", "chamade_dm_chat", "chamade_probe"} <= named


def test_descriptions_name_real_tools_only() -> None:
    text = json.dumps([tool.to_wire() for tool in TOOLS])
    words = {word.strip('.,:;()`"') for word in text.replace('"', " ").split()}
    assert {word for word in words if word.startswith("chamade_")} <= {*NAMES, "chamade_probe"}
