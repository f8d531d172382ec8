"""Whatever comes over Discord's Gateway: an event that can be used, or `Unreadable`."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.connectors.discord.text import channels_in, plain
from chamade_mcp.connectors.discord.wire import (
    Channel,
    Command,
    Deleted,
    Guild,
    Hello,
    Message,
    Reacted,
    Ready,
    Unreadable,
    read,
    read_event,
    read_frame,
)

NAMES = st.sampled_from(
    [
        "id", "ids", "channel_id", "guild_id", "author", "member", "user", "nick", "username", "global_name",
        "content", "type", "attachments", "filename", "content_type", "size", "url", "sticker_items", "name",
        "embeds", "title", "description", "poll", "question", "text", "answers", "poll_media", "mentions",
        "mention_roles", "message_reference", "message_id", "referenced_message", "message_snapshots",
        "message", "edited_timestamp", "user_id", "emoji", "token", "data", "options", "value", "op", "d",
        "s", "t", "roles", "tags", "bot_id", "parent_id", "recipients", "heartbeat_interval", "session_id",
    ]
)  # fmt: skip
EVENTS = st.sampled_from(
    [
        "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "MESSAGE_DELETE_BULK", "MESSAGE_REACTION_ADD",
        "MESSAGE_REACTION_REMOVE", "INTERACTION_CREATE", "GUILD_CREATE",
    ]
)  # fmt: skip
IDS = st.sampled_from(["1", "175928847299117063", "9" * 20, "9" * 21, "", "-1", "x", "\u0661"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), IDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=8)),
    max_leaves=30,
)
USERS = st.fixed_dictionaries(
    {"id": IDS}, optional={"username": st.text(max_size=9), "global_name": st.none()}
)
SAID: dict[str, st.SearchStrategy[Any]] = {
    "content": st.text(max_size=40),
    "attachments": st.lists(
        st.dictionaries(NAMES, st.one_of(st.text(max_size=5), IDS), max_size=4), max_size=2
    ),
    "mentions": st.lists(USERS, max_size=2),
    "mention_roles": st.lists(IDS, max_size=2),
    "embeds": st.lists(st.dictionaries(NAMES, st.text(max_size=9), max_size=3), max_size=2),
}
MESSAGES = st.fixed_dictionaries(
    {"id": IDS, "channel_id": IDS, "author": USERS},
    optional={
        **SAID,
        "type": st.sampled_from([0, 7, 19, 20, 46]),
        "guild_id": IDS,
        "edited_timestamp": st.text(max_size=5),
        "message_reference": st.fixed_dictionaries({"message_id": IDS}, optional={"type": st.integers(0, 2)}),
        "referenced_message": st.one_of(st.none(), st.fixed_dictionaries({"author": USERS})),
        "message_snapshots": st.lists(
            st.fixed_dictionaries({"message": st.fixed_dictionaries({}, optional=SAID)}), max_size=2
        ),
    },
)


def use(name: str, told: Any) -> None:
    with suppress(Unreadable):
        event = read_event(name, told)
        match event:
            case Message():
                use_message(event)
            case Deleted():
                assert all(ref.isascii() and ref.isdigit() for ref in event.ids)
            case Reacted():
                assert event.shown != "::"
                assert isinstance(event.member_name, str)
            case Command():
                assert event.who is None or event.who.name
                assert isinstance(event.option("link"), str)
            case None:
                pass


def use_message(message: Message) -> None:
    assert message.sent_at.tzinfo is not None
    assert message.author_name
    assert message.mentions_user("1") in (True, False)
    assert isinstance(plain(message.words, message.called), str)
    assert all(ref.isdigit() for ref in channels_in(message.words))
    assert all(file.id and file.mime for file in message.files)
    if message.says_something:
        assert message.words or message.files


@given(EVENTS, JSON)
def test_any_json(name: str, told: Any) -> None:
    use(name, told)
    for kind in (Channel, Guild, Hello, Ready):
        with suppress(Unreadable):
            read(kind, told)
    with suppress(Unreadable):
        read_frame(json.dumps(told))


@given(EVENTS, MESSAGES)
def test_any_message(name: str, told: dict[str, Any]) -> None:
    use(name, told)


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    with suppress(Unreadable):
        read_frame(raw)


@given(
    st.lists(
        st.sampled_from(["<", "@", "&", "!", "#", ":", "a", "t", "1" * 11, "7", ">", "/", "-"]), max_size=40
    )
)
def test_any_reference(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert isinstance(plain(text, {"7": "Ann"}), str)
    assert len(channels_in(text)) <= len(text)
