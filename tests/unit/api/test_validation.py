"""Wrong input is told in words, field by field, and never repeated back."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.api.calls import ChatBody, NewCallBody, SinceQuery
from chamade_mcp.api.connections import BotBody
from chamade_mcp.api.files import UploadBody
from chamade_mcp.api.inbox import DmBody, InboxQuery
from chamade_mcp.api.keys import NewKeyBody
from chamade_mcp.api.sip import NumberBody, TrunkBody
from chamade_mcp.api.validation import parse_body, parse_query
from chamade_mcp.model.errors import GatewayError, InvalidRequest, ValidationFailed


def refused(model: Any, document: object) -> dict[str, str]:
    """The errors by field."""
    with pytest.raises(ValidationFailed) as raised:
        parse_body(model, json.dumps(document).encode())
    return {error.field: error.message for error in raised.value.errors}


def test_a_complete_message_is_taken() -> None:
    body = parse_body(DmBody, b'{"platform":"web","text":"hi","keep_typing":true}')
    assert (body.platform, body.text, body.keep_typing, body.attachments) == ("web", "hi", True, [])


@pytest.mark.parametrize(
    ("document", "field", "words"),
    [
        ({}, "platform", "is required"),
        ([], "body", "must be an object"),
        ("text", "body", "must be an object"),
        (None, "body", "must be an object"),
        ({"platform": 3, "text": "x"}, "platform", "must be a string"),
        ({"platform": "web", "text": 3}, "text", "must be a string"),
        ({"platform": "web", "text": None}, "text", "must be a string"),
        ({"platform": "web"}, "text", "must have 1 to 10000 characters unless attachments are given"),
        (
            {"platform": "web", "text": ""},
            "text",
            "must have 1 to 10000 characters unless attachments are given",
        ),
        ({"platform": "web", "text": "x" * 10_001}, "text", "must have at most 10000 characters"),
        ({"platform": "web", "text": "a\0b"}, "text", "must not contain NUL characters"),
        ({"platform": "web", "text": "x", "keep_typing": 1}, "keep_typing", "must be true or false"),
        ({"platform": "web", "text": "x", "keep_typing": "true"}, "keep_typing", "must be true or false"),
        ({"platform": "web", "txt": "x"}, "txt", "is not a known field; did you mean text?"),
        ({"platform": "web", "text": "x", "zzz": 1}, "zzz", "is not a known field"),
        ({"platform": "web", "attachments": {}}, "attachments", "must be a list"),
        (
            {"platform": "web", "attachments": [{"name": "x"}]},
            "attachments.0",
            "must be an object with file_id, or url, or bytes_b64 + name + mime",
        ),
        (
            {"platform": "web", "attachments": [{"url": "ftp://x"}]},
            "attachments.0.url",
            "must be an http or https URL",
        ),
        ({"platform": "web", "attachments": [{"bytes_b64": "aGk="}]}, "attachments.0.name", "is required"),
        (
            {"platform": "web", "attachments": [{"file_id": "f_a", "name": "x"}]},
            "attachments.0.name",
            "is not a known field",
        ),
        (
            {"platform": "web", "attachments": [{"file_id": "f_a"}] * 11},
            "attachments",
            "must have at most 10 entries",
        ),
    ],
)
def test_each_wrong_field_is_named(document: object, field: str, words: str) -> None:
    assert refused(DmBody, document)[field] == words


def test_all_wrong_fields_are_named_at_once() -> None:
    errors = refused(DmBody, {"platform": 1, "text": 2, "extra": 3})
    assert set(errors) == {"platform", "text", "extra"}


def test_what_was_sent_is_not_repeated() -> None:
    with pytest.raises(ValidationFailed) as raised:
        parse_body(BotBody, b'{"platform":"discord","bot_token":"very secret token"}')
    assert "secret" not in json.dumps(raised.value.to_wire())


def test_ten_thousand_characters_are_not_bytes() -> None:
    text = "\U0001f600" * 10_000
    assert parse_body(ChatBody, json.dumps({"text": text}).encode()).text == text


def test_a_caption_may_be_empty() -> None:
    body = parse_body(ChatBody, b'{"attachments":[{"file_id":"f_abc"}]}')
    assert body.attached() == [{"file_id": "f_abc"}]


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff\xfe", b"{'a':1}", b"[" * 5000, b'{"text":"\\ud800"}', b"{}{}", b"\x00"]
)
def test_what_is_not_json_is_told_so(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_body(ChatBody, raw)
    assert raised.value.code == "INVALID_JSON"


def test_a_call_takes_the_published_sample() -> None:
    body = parse_body(
        NewCallBody, b'{"platform":"discord","meeting_url":"https://discord.gg/x","transcripts":false}'
    )
    assert (body.agent_name, body.transcripts, body.stt_voice_config_id) == ("AI Agent", False, None)


@pytest.mark.parametrize(
    ("model", "document", "field"),
    [
        (NewCallBody, {"platform": "web", "agent_name": "a\nb"}, "agent_name"),
        (NewCallBody, {"platform": "web", "agent_name": ""}, "agent_name"),
        (NewCallBody, {"platform": "web", "meeting_url": "two words"}, "meeting_url"),
        (NewCallBody, {"platform": "web", "stt_voice_config_id": "no uuid"}, "stt_voice_config_id"),
        (NewCallBody, {"platform": "web", "transcripts": 0}, "transcripts"),
        (BotBody, {"platform": "discord", "bot_token": "x"}, "discord_app_id"),
        (BotBody, {"platform": "slack", "bot_token": "x"}, "slack_signing_secret"),
        (BotBody, {"platform": "Teams", "bot_token": "x"}, "platform"),
        (TrunkBody, {"sip_host": "a b", "sip_username": "u", "sip_password": "p"}, "sip_host"),
        (
            TrunkBody,
            {"sip_host": "h", "sip_port": "5060", "sip_username": "u", "sip_password": "p"},
            "sip_port",
        ),
        (
            TrunkBody,
            {"sip_host": "h", "sip_port": True, "sip_username": "u", "sip_password": "p"},
            "sip_port",
        ),
        (NumberBody, {"number": "0123"}, "number"),
        (NewKeyBody, {"name": "k", "permissions": ["fly"]}, "permissions.0"),
        (NewKeyBody, {"name": "k", "expires_in_days": 0}, "expires_in_days"),
        (NewKeyBody, {"name": "k", "expires_in_days": 1.5}, "expires_in_days"),
        (UploadBody, {"url": "file:///etc/passwd"}, "url"),
    ],
)
def test_the_other_bodies(model: Any, document: object, field: str) -> None:
    assert field in refused(model, document)


def test_json_has_one_kind_of_number() -> None:
    assert parse_body(NewKeyBody, b'{"name":"k","expires_in_days":30.0}').expires_in_days == 30


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"limit=0", "limit"),
        (b"limit=201", "limit"),
        (b"limit=abc", "limit"),
        (b"limit=1_0", "limit"),
        (b"limit=%2B1", "limit"),
        (b"limit=1.5", "limit"),
        (b"limit=", "limit"),
        (b"limit=" + b"9" * 5000, "limit"),
        (b"offset=-1", "offset"),
        (b"wait=-1", "wait"),
        (b"last_message_cursor=", "last_message_cursor"),
    ],
)
def test_query_parameters_are_checked(raw: bytes, field: str) -> None:
    with pytest.raises(ValidationFailed) as raised:
        parse_query(InboxQuery, raw)
    assert [error.field for error in raised.value.errors] == [field]


def test_unknown_query_parameters_are_ignored_and_the_last_one_counts() -> None:
    assert parse_query(SinceQuery, b"utm=x&since=1&since=2").since == 2


def outcome(attempt: Callable[[], object]) -> int | None:
    """The status of the error it raises, whose text can be sent; None when it raises none."""
    try:
        attempt()
    except GatewayError as error:
        json.dumps(error.to_wire(), ensure_ascii=False).encode()
        return error.status
    return None


@given(st.binary(max_size=200))
def test_no_query_string_gives_anything_but_our_errors(raw: bytes) -> None:
    assert outcome(partial(parse_query, InboxQuery, raw)) in (None, 400, 422)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["platform", "text", "attachments", "url", "file_id", "bytes_b64", "name", "x"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(_JSON.map(json.dumps).map(str.encode) | st.binary(max_size=100))
def test_no_body_gives_anything_but_our_errors(raw: bytes) -> None:
    for model in (DmBody, NewCallBody, UploadBody, BotBody):
        assert outcome(partial(parse_body, model, raw)) in (None, 400, 422)
