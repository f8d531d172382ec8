"""Wrong arguments are told with the field's name, in words a model can act on."""

from typing import cast

import pytest

from chamade_mcp.tools.registry import TOOLS
from chamade_mcp.tools.validation import Arguments

BY_NAME = {tool.name: Arguments(tool.input_schema) for tool in TOOLS}
DM = {"platform": "web", "text": "hi"}


Case = tuple[str, dict[str, object], str, str]
REFUSED: list[Case] = [
    ("chamade_call_status", {}, "call_id", "is required"),
    ("chamade_call_status", {"call_id": None}, "call_id", "must be a string"),
    ("chamade_call_status", {"call_id": ""}, "call_id", "is not an id"),
    ("chamade_call_status", {"call_id": "../x"}, "call_id", "is not an id"),
    ("chamade_call_status", {"call_id": "c", "since": "4"}, "since", "must be a whole number"),
    ("chamade_call_status", {"call_id": "c", "since": True}, "since", "must be a whole number"),
    ("chamade_call_status", {"call_id": "c", "since": -1}, "since", "must be at least 0"),
    ("chamade_inbox", {"wait": 56}, "wait", "must be at most 55"),
    ("chamade_inbox", {"cursor": "x"}, "cursor", "did you mean last_message_cursor?"),
    ("chamade_account", {"zzz": 1}, "zzz", "is not an argument of this tool, which takes none"),
    ("chamade_dm_typing", {"platform": "web", "zzz": 1}, "zzz", "it takes platform, conversation_id"),
    ("chamade_dm_chat", {**DM, "keep_typing": "yes"}, "keep_typing", "must be true or false"),
    (
        "chamade_dm_chat",
        {**DM, "text": "x" * 10_001},
        "text",
        "has 10001 characters, at most 10000 are allowed",
    ),
    ("chamade_dm_chat", {**DM, "attachments": {}}, "attachments", "must be an array"),
    ("chamade_dm_chat", {**DM, "attachments": [{}]}, "attachments.0", "needs exactly one of"),
    (
        "chamade_dm_chat",
        {**DM, "attachments": [{"file_id": "f", "url": "https://e.org"}]},
        "attachments.0",
        "needs exactly one of",
    ),
    (
        "chamade_dm_chat",
        {**DM, "attachments": [{"file_id": "f"}, {"bytes_b64": "aa", "name": "n"}]},
        "attachments.1",
        "needs exactly one of",
    ),
    (
        "chamade_dm_chat",
        {**DM, "attachments": [{"file_id": "f", "nmae": "n"}]},
        "attachments.0.nmae",
        "did you mean name?",
    ),
    (
        "chamade_dm_chat",
        {**DM, "attachments": [{"file_id": "f"}] * 11},
        "attachments",
        "has 11 entries, at most 10",
    ),
    ("chamade_file_upload_url", {"mime": "x"}, "mime", "needs at least 3 characters"),
    ("chamade_dm_typing", {"platform": ""}, "platform", "must not be empty"),
]


@pytest.mark.parametrize(("tool", "arguments", "field", "message"), REFUSED)
def test_refusals(tool: str, arguments: dict[str, object], field: str, message: str) -> None:
    _, errors = BY_NAME[tool].check(arguments)
    assert [error.field for error in errors] == [field]
    assert message in errors[0].message


def test_several_errors_come_at_once() -> None:
    _, errors = BY_NAME["chamade_call_say"].check({"txt": "hi"})
    assert {error.field for error in errors} == {"call_id", "text", "txt"}


def test_a_flood_of_errors_is_cut() -> None:
    attachments = cast(list[object], [{"file_id": 1}] * 10)
    _, errors = BY_NAME["chamade_dm_chat"].check({"platform": 1, "text": 2, "attachments": attachments})
    assert len(errors) == 8


def test_null_for_an_optional_argument_counts_as_absent() -> None:
    arguments, errors = BY_NAME["chamade_inbox"].check({"platform": None, "wait": 5.0, "limit": 3})
    assert (arguments, errors) == ({"wait": 5, "limit": 3}, [])
    assert isinstance(arguments["wait"], int)
