"""Discord's events as the gateway reads them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chamade_mcp.connectors.discord.text import channels_in, plain
from chamade_mcp.connectors.discord.wire import (
    Changed,
    Command,
    Deleted,
    Message,
    Reacted,
    Unreadable,
    read_event,
    read_frame,
)

ANN = {"id": "77", "username": "ann.lee", "global_name": "Ann Lee"}
SAID: dict[str, Any] = {
    "id": "175928847299117063",
    "channel_id": "700",
    "author": ANN,
    "content": "hello",
    "type": 0,
    "mentions": [],
    "mention_roles": [],
    "attachments": [],
    "embeds": [],
    "edited_timestamp": None,
}


def message(**fields: Any) -> Message:
    event = read_event("MESSAGE_CREATE", SAID | fields)
    assert isinstance(event, Message)
    return event


def test_a_message_of_a_person() -> None:
    said = message()
    assert (said.words, said.author_name, said.guild_id, said.answers) == ("hello", "Ann Lee", None, None)
    assert said.sent_at == datetime(2016, 4, 30, 11, 18, 25, 796000, UTC)  # the documents' own example
    assert message(author={"id": "77", "username": "ann"}).author_name == "ann"
    assert message(member={"nick": "Annie"}).author_name == "Annie"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"content": "", "sticker_items": [{"id": "1", "name": "Wave", "format_type": 1}]}, ":Wave:"),
        ({"content": "", "embeds": [{"title": "Build", "description": "failed"}]}, "Build\nfailed"),
        (
            {
                "content": "",
                "poll": {
                    "question": {"text": "Tea?"},
                    "answers": [{"answer_id": 1, "poll_media": {"text": "Yes"}}],
                },
            },
            "Poll: Tea?\n- Yes",
        ),
        (
            {
                "content": "",
                "message_reference": {"type": 1, "message_id": "5", "channel_id": "6"},
                "message_snapshots": [{"message": {"content": "from elsewhere"}}],
            },
            "from elsewhere",
        ),
        ({"content": "see https://example.org", "embeds": [{"title": "A page"}]}, "see https://example.org"),
    ],
)
def test_what_stands_for_words(fields: dict[str, Any], words: str) -> None:
    said = message(**fields)
    assert (said.words, said.says_something, said.answers) == (words, True, None)


@pytest.mark.parametrize("kind", [3, 6, 7, 8, 18, 21])
def test_joins_pins_and_the_like_are_nothing_said(kind: int) -> None:
    assert not message(type=kind).says_something


def test_files_with_their_names_and_types() -> None:
    files = [
        {"id": "1", "filename": "a.txt", "content_type": "text/plain; charset=utf-8", "size": 3},
        {"id": "2", "filename": "b"},
    ]
    forwarded = [{"message": {"attachments": [{"id": "3", "filename": "c.png"}]}}]
    said = message(content="", attachments=files, message_snapshots=forwarded)
    assert [(f.filename, f.mime) for f in said.files] == [
        ("a.txt", "text/plain"),
        ("b", "application/octet-stream"),
        ("c.png", "application/octet-stream"),
    ]


def test_who_is_called() -> None:
    bot = {"id": "42", "username": "helper"}
    assert message(mentions=[bot]).mentions_user("42")
    assert not message(mentions=[ANN]).mentions_user("42")
    reply = {"type": 19, "message_reference": {"message_id": "5", "channel_id": "700"}}
    answer = message(**reply, referenced_message=SAID | {"author": bot})
    assert (answer.answers, answer.mentions_user("42")) == ("5", True)
    gone = message(**reply, referenced_message=None)
    assert (gone.answers, gone.mentions_user("42")) == ("5", False)


def test_what_happens_to_messages() -> None:
    changed = read_event("MESSAGE_UPDATE", SAID | {"edited_timestamp": "2026-11-20T00:00:00+00:00"})
    assert isinstance(changed, Changed)
    assert read_event("MESSAGE_UPDATE", {"id": "5", "channel_id": "700", "embeds": []}) is None
    one = read_event("MESSAGE_DELETE", {"id": "5", "channel_id": "700"})
    assert isinstance(one, Deleted)
    many = read_event("MESSAGE_DELETE_BULK", {"ids": ["5", "6"], "channel_id": "700", "guild_id": "9"})
    assert isinstance(many, Deleted)
    assert (one.ids, many.ids) == (("5",), ("5", "6"))


@pytest.mark.parametrize(
    ("emoji", "shown"),
    [
        ({"id": None, "name": "\U0001f525"}, "\U0001f525"),
        ({"id": "41771983429993937", "name": "LUL"}, ":LUL:"),
        ({"id": "41771983429993937", "name": None}, ""),
    ],
)
def test_reactions(emoji: dict[str, Any], shown: str) -> None:
    about = {"user_id": "77", "channel_id": "700", "message_id": "5", "emoji": emoji}
    added = read_event(
        "MESSAGE_REACTION_ADD", about | {"guild_id": "9", "member": {"user": ANN, "nick": "A"}}
    )
    removed = read_event("MESSAGE_REACTION_REMOVE", about)
    assert isinstance(added, Reacted)
    assert isinstance(removed, Reacted)
    assert (added.added, added.shown, added.member_name) == (True, shown, "A")
    assert (removed.added, removed.member_name) == (False, "")


def test_commands() -> None:
    data = {"id": "1", "name": "connect", "options": [{"name": "link", "type": 3, "value": "abc"}]}
    about: dict[str, Any] = {"id": "5", "token": "aW50ZXJhY3Rpb24", "type": 2, "data": data}
    direct = read_event("INTERACTION_CREATE", about | {"user": ANN})
    server = read_event("INTERACTION_CREATE", about | {"member": {"user": ANN, "nick": None}})
    for command in (direct, server):
        assert isinstance(command, Command)
        assert command.who is not None
        assert (command.who.id, command.option("link"), command.option("other")) == ("77", "abc", "")
    assert read_event("INTERACTION_CREATE", about | {"type": 3}) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("MESSAGE_CREATE", None),
        ("MESSAGE_CREATE", SAID | {"id": 5}),
        ("MESSAGE_CREATE", SAID | {"id": "../5"}),
        ("MESSAGE_CREATE", SAID | {"author": None}),
        ("MESSAGE_DELETE", {"channel_id": "700"}),
        ("MESSAGE_REACTION_ADD", {"user_id": "77"}),
        ("INTERACTION_CREATE", {"type": 2, "id": "5", "token": "", "data": {"name": "x"}}),
    ],
)
def test_what_cannot_be_read_is_told_as_such(name: str, told: Any) -> None:
    with pytest.raises(Unreadable):
        read_event(name, told)


@pytest.mark.parametrize("raw", ["", "{", "[]", '{"op": "1"}', "[" * 100_000])
def test_frames_that_are_none(raw: str) -> None:
    with pytest.raises(Unreadable):
        read_frame(raw)


def test_events_of_no_use() -> None:
    assert read_event("TYPING_START", {"anything": 1}) is None
    assert read_event(None, None) is None


def test_text_made_plain() -> None:
    text = "<@77> <@!78> <@&9> <#700> <#701> <:wave:12> <a:dance:13> </play now:5> <t:1618953630:R> <b> a<b"
    names = {"77": "Ann", "9": "crew", "700": "general"}
    assert plain(text, names) == (
        "@Ann @78 @crew #general #701 :wave: :dance: /play now 2021-04-20 21:20 UTC <b> a<b"
    )
    assert channels_in(text) == ["700", "701"]
