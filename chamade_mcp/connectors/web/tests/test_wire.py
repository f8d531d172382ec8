import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.connectors.web import incoming as said
from chamade_mcp.connectors.web import wire
from chamade_mcp.connectors.web.text import clean_file_name, clean_name, clean_text
from chamade_mcp.connectors.web.wire import ErrorCode, Refused
from chamade_mcp.model.ids import FileId
from chamade_mcp.model.messages import Attachment


def refusal(frame: str) -> Refused:
    with pytest.raises(Refused) as caught:
        said.parse(frame)
    return caught.value


@pytest.mark.parametrize(
    ("frame", "parsed"),
    [
        ({"type": "hello", "name": "Ann"}, said.Hello("Ann", None, False)),
        (
            {"type": "hello", "name": " A\u202enn ", "guest": "s", "muted": True},
            said.Hello("Ann", "s", True),
        ),
        ({"type": "hello"}, said.Hello("Guest", None, False)),
        ({"type": "hello", "name": "Ann", "guest": "x" * 300}, said.Hello("Ann", None, False)),
        ({"type": "chat", "key": "1", "text": "hi"}, said.Say("1", "hi", ())),
        ({"type": "chat", "key": "1", "text": "", "attachments": ["f_1"]}, said.Say("1", "", ("f_1",))),
        ({"type": "chat", "key": "1", "text": "a\r\nb\tc\x00\u2066"}, said.Say("1", "a\nb\tc", ())),
        ({"type": "chat", "key": "1", "text": "hi", "reply_to": "m"}, said.Say("1", "hi", (), "m")),
        ({"type": "chat", "key": "1", "text": "hi", "reply_to": None}, said.Say("1", "hi", ())),
        ({"type": "edit", "key": "1", "id": "m", "text": "a\u202eb"}, said.Edit("1", "m", "ab")),
        ({"type": "delete", "key": "1", "id": "m"}, said.Delete("1", "m")),
        (
            {"type": "react", "key": "1", "id": "m", "emoji": "👍🏽", "on": False},
            said.React("1", "m", "👍🏽", False),
        ),
        ({"type": "receipt", "state": "read", "ids": ["m", "n"]}, said.Receipt(("m", "n"), True)),
        ({"type": "receipt", "state": "delivered"}, said.Receipt((), False)),
        ({"type": "typing", "more": 1}, said.Typing()),
        ({"type": "mute", "muted": False}, said.Mute(False)),
        ({"type": "rename", "name": "\u200f"}, said.Rename("Guest")),
        ({"type": "ping", "t": 12.5}, said.Ping(12.5)),
        ({"type": "call"}, said.RingAgent()),
        ({"type": "hang_up"}, said.HangUp()),
    ],
)
def test_parses(frame: dict[str, Any], parsed: said.FromPerson) -> None:
    assert said.parse(json.dumps(frame)) == parsed


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nothing",
        "[]",
        "null",
        "NaN",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"type":[]}',
        '{"type":"dance"}',
        '{"type":"ping","t":NaN}',
        '{"type":"ping","t":1e999}',
        '{"type":"ping","t":true}',
        '{"type":"ping","t":' + "9" * 400 + "}",
        '{"type":"ping","t":' + "9" * 5000 + "}",
        '{"type":"mute","muted":1}',
        '{"type":"mute"}',
        '{"type":"rename"}',
        '{"type":"hello","name":7}',
        '{"type":"hello","guest":7}',
        '{"type":"edit","key":"1","text":"hi"}',
        '{"type":"edit","key":"1","id":"","text":"hi"}',
        '{"type":"edit","id":"m","text":"hi"}',
        '{"type":"edit","key":"1","id":"m","text":7}',
        '{"type":"delete","key":"1","id":["m"]}',
        '{"type":"react","key":"1","id":"m","on":true}',
        '{"type":"react","key":"1","id":"m","emoji":"👍👍","on":true}',
        '{"type":"react","key":"1","id":"m","emoji":"ok","on":true}',
        '{"type":"react","key":"1","id":"m","emoji":"👍"}',
        '{"type":"receipt","state":"sent","ids":["m"]}',
        '{"type":"receipt","state":"read","ids":"m"}',
        '{"type":"receipt","state":["read"]}',
        '{"type":"chat","key":"1","text":"hi","reply_to":7}',
        '{"type":"chat","text":"hi"}',
        '{"type":"chat","key":"","text":"hi"}',
        '{"type":"chat","key":"\\ud800","text":"hi"}',
        '{"type":"chat","key":"1","text":7}',
        '{"type":"chat","key":"1","text":" \\n "}',
        '{"type":"chat","key":"1","text":"\\u202e"}',
        '{"type":"chat","key":"1","attachments":"f_1"}',
        '{"type":"chat","key":"1","attachments":[1]}',
        '{"type":"chat","key":"1","attachments":["f","f","f","f","f","f","f","f","f","f","f"]}',
    ],
)
def test_refuses(frame: str) -> None:
    assert refusal(frame).code is ErrorCode.INVALID_MESSAGE


def test_a_refused_chat_names_its_key() -> None:
    assert refusal('{"type":"chat","key":"k","text":7}').key == "k"
    long = refusal(json.dumps({"type": "chat", "key": "k", "text": "x" * 10_001}))
    assert (long.code, long.key) == (ErrorCode.TEXT_TOO_LONG, "k")
    assert isinstance(
        said.parse(json.dumps({"type": "chat", "key": "k" * 64, "text": "x" * 10_000})), said.Say
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
types = st.sampled_from(
    [
        *("hello", "chat", "edit", "delete", "react", "receipt", "typing"),
        *("mute", "rename", "ping", "call", "hang_up"),
    ]
)
fields = st.sampled_from(
    [
        *("name", "guest", "muted", "key", "text", "attachments", "t"),
        *("id", "emoji", "on", "state", "ids", "reply_to"),
    ]
)


@given(st.text() | st.builds(json.dumps, json_values))
def test_nothing_but_refused_escapes(frame: str) -> None:
    with suppress(Refused):
        said.parse(frame)


@given(types, st.dictionaries(fields, json_values))
def test_whatever_stands_in_the_fields(type_: str, rest: dict[str, Any]) -> None:
    try:
        message = said.parse(json.dumps({"type": type_, **rest}))
    except Refused as refused:
        wire.error(refused).encode()
        return
    match message:
        case said.Hello(name=name) | said.Rename(name=name):
            assert 1 <= len(name) <= 60
            name.encode()
        case said.Say():
            assert message.text.strip() or message.file_ids
            (message.text + message.key).encode()
        case said.Ping():
            assert json.loads(wire.pong(message.t)) == {"type": "pong", "t": message.t}
        case _:
            pass


@given(st.text())
def test_cleaning_is_idempotent(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)
    assert clean_name(clean_name(text)) == clean_name(text)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("  Ann\t\n B  ", "Ann B"),
        ("A" * 80, "A" * 60),
        ("", "Guest"),
        ("\u200d\u2060 \u200b", "Guest"),
        ("\x07\u202eAnn\ud800", "Ann"),
        ("عمر", "عمر"),
        ("👩‍🚀", "👩‍🚀"),
    ],
)
def test_names(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("C:\\a\\b.txt", "b.txt"),
        ("../../etc/passwd", "passwd"),
        ("", "file"),
        ("a/..", "file"),
        ("x" * 200 + ".pdf", "x" * 116 + ".pdf"),
        ("x" * 200, "x" * 120),
        ("." + "x" * 200, "." + "x" * 119),
        ("a\n\u202eb.txt", "a b.txt"),
    ],
)
def test_file_names(name: str, cleaned: str) -> None:
    assert clean_file_name(name) == cleaned


def test_messages_survive_any_text() -> None:
    file = Attachment("\ud800.txt", "text/plain", 3, "https://x/f", FileId("f_1"))
    post = wire.Post("i", "k", "A\udfff", "agent", wire.Kind.AGENT, "\ud800", (file,), "now")
    message = json.loads(wire.chat(post).encode())["message"]
    assert message["attachments"] == [
        {"name": "\ud800.txt", "mime": "text/plain", "size": 3, "url": "https://x/f"}
    ]


def test_levels_are_short() -> None:
    assert json.loads(wire.levels({"a": 0.123456, "b": 1.4})) == {
        "type": "levels",
        "levels": {"a": 0.12, "b": 1.0},
    }
