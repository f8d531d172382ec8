"""An example for every schema, that the schema takes."""

from typing import Any

import jsonschema
import pytest

from chamade_mcp.web.docs.samples import example, sample

WHOLE: dict[str, Any] = {"components": {"schemas": {"Platform": {"type": "string", "enum": ["meet", "web"]}}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"platform": {"$ref": "#/components/schemas/Platform"}}, "required": ["platform"]},
        {"properties": {"a": {"type": "boolean"}, "b": {"type": "string"}}},
        {"properties": {"n": {"type": "integer", "minimum": 5}}, "required": ["n"]},
        {"properties": {"s": {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 3}]}}},
        {"properties": {"l": {"type": "array", "items": {"const": "x"}, "minItems": 1}}, "required": ["l"]},
    ],
)
def test_an_example_is_valid_and_says_something(schema: dict[str, Any]) -> None:
    made = example(schema, WHOLE)
    assert made
    jsonschema.validate(made, {**schema, **WHOLE})


def test_the_line_has_what_the_operation_needs() -> None:
    body = {
        "requestBody": {
            "content": {"application/json": {"schema": {"properties": {"text": {"type": "string"}}}}}
        }
    }
    assert sample("POST", "/api/call/{call_id}/chat", body, WHOLE) == (
        'curl "$CHAMADE_URL/api/call/$CALL_ID/chat" -H "X-API-Key: $CHAMADE_API_KEY" \\\n'
        '  --json \'{"text": "Good morning"}\''
    )
    assert sample("GET", "/up", {"security": []}, WHOLE) == 'curl "$CHAMADE_URL/up"'
    assert sample("PATCH", "/x", body, WHOLE).startswith("curl -X PATCH ")
