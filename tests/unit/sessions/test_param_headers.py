"""Arguments that travel as headers, too."""

from typing import Any

import pytest

from chamade_mcp.sessions.param_headers import check, declared, decoded
from chamade_mcp.sessions.surface import ProtocolFault

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "deep": {"type": "object", "properties": {"sure": {"type": "boolean", "x-mcp-header": "Sure"}}},
        "plain": {"type": "string"},
    },
}
EXPECTED = declared(SCHEMA)


def raw(**headers: str) -> list[tuple[bytes, bytes]]:
    return [(f"mcp-param-{name}".encode(), value.encode()) for name, value in headers.items()]


def test_what_a_schema_declares() -> None:
    assert [(each.path, each.header) for each in EXPECTED] == [
        (("region",), b"mcp-param-region"),
        (("count",), b"mcp-param-count"),
        (("deep", "sure"), b"mcp-param-sure"),
    ]


@pytest.mark.parametrize(
    "properties",
    [
        {"a": {"type": "number", "x-mcp-header": "A"}},
        {"a": {"x-mcp-header": "A"}},
        {"a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}},
        {"a": {"type": "string", "x-mcp-header": "not a token"}},
        {"a": {"type": "string", "x-mcp-header": 5}},
        {"a": True},
    ],
)
def test_declarations_that_are_not_allowed_count_for_nothing(properties: dict[str, Any]) -> None:
    assert declared({"type": "object", "properties": properties}) == ()


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({}, {}),
        ({"region": None}, {}),
        ({"region": "eu"}, {"region": "eu"}),
        ({"region": "Grüße"}, {"region": "=?base64?R3LDvMOfZQ==?="}),
        ({"region": "=?base64?SGVsbG8="}, {"region": "=?base64?SGVsbG8="}),
        ({"count": 42}, {"count": "42.0"}),
        ({"count": 42.0}, {"count": "42"}),
        ({"deep": {"sure": True}}, {"sure": "true"}),
        ({"plain": "x"}, {"other": "y"}),
    ],
)
def test_agreement(arguments: dict[str, Any], headers: dict[str, str]) -> None:
    check(EXPECTED, arguments, raw(**headers))


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        ({"region": "eu"}, raw()),
        ({}, raw(region="eu")),
        ({"region": "eu"}, raw(region="us")),
        ({"region": "eu"}, raw(region="EU")),
        ({"region": "eu"}, raw(region="eu") * 2),
        ({"region": "Hello"}, raw(region="=?base64?SGVsbG8?=")),
        ({"region": "Hello"}, raw(region="=?base64?SGVs!!!bG8=?=")),
        ({"count": 42}, raw(count="42.5")),
        ({"count": 42}, raw(count="4.2e1")),
        ({"deep": {"sure": True}}, raw(sure="True")),
        ({"deep": "no object"}, raw(sure="true")),
        ({"region": ["eu"]}, raw(region="eu")),
    ],
)
def test_disagreement(arguments: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ProtocolFault) as caught:
        check(EXPECTED, arguments, headers)
    assert caught.value.code == -32020


def test_wrapped_values() -> None:
    assert decoded(None) is None
    assert decoded(b"=?base64?SGVsbG8=?=") == "Hello"
    assert decoded(b"=?base64?SGVsbG9=?=") is None  # bits of padding that are not zero
    assert decoded(b"=?base64?/w==?=") is None
