"""Whatever comes to Telegram's webhook: an update that can be used, or `Unreadable`."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.connectors.telegram.wire import Unreadable, User, read_listed, read_update

ME = User(id=7, username="helper_bot")
NAMES = st.sampled_from(
    [
        "update_id",
        "message",
        "edited_message",
        "message_reaction",
        "message_id",
        "date",
        "chat",
        "id",
        "type",
        "from",
        "first_name",
        "text",
        "entities",
        "offset",
        "length",
        "user",
        "caption",
        "photo",
        "document",
        "file_id",
        "file_size",
        "voice",
        "sticker",
        "emoji",
        "location",
        "latitude",
        "longitude",
        "reply_to_message",
        "sender_chat",
        "title",
        "new_reaction",
        "message_thread_id",
        "is_topic_message",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from([-1, 1 << 53, 1 << 63, "private", "mention", "bot_command", "/start x", "emoji"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=8)),
    max_leaves=30,
)  # fmt: skip
MESSAGES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "message_id": st.integers(1, 9),
        "date": st.integers(0, 1 << 40),
        "chat": st.fixed_dictionaries(
            {"id": st.integers(-9, 9), "type": st.sampled_from(["private", "group"])}
        ),
    },
    optional={
        "from": st.fixed_dictionaries(
            {"id": st.integers(1, 9)}, optional={"first_name": st.text(max_size=9)}
        ),
        "text": st.text(max_size=30),
        "entities": st.lists(
            st.fixed_dictionaries(
                {
                    "type": st.sampled_from(["mention", "bot_command", "text_mention"]),
                    "offset": st.integers(-(1 << 40), 1 << 40),
                    "length": st.integers(-(1 << 40), 1 << 40),
                }
            ),
            max_size=3,
        ),
        "photo": st.lists(st.fixed_dictionaries({"file_id": st.text(max_size=9)}), max_size=2),
        "location": st.fixed_dictionaries({"latitude": st.floats(), "longitude": st.floats()}),
    },
)


def use(raw: bytes) -> None:
    with suppress(Unreadable):
        update = read_update(raw)
        for message in (update.message, update.edited_message):
            if message is not None:
                assert isinstance(message.said, str)
                assert all(file.file_id and file.file_name and file.mime_type for file in message.files)
                assert message.sent_at.tzinfo is not None
                assert message.mentions(ME) in (True, False)
                assert message.start_token() != ""
                assert message.author is None or all(message.author)
                assert message.thread != ""


@given(JSON)
def test_any_json(told: Any) -> None:
    use(json.dumps(told).encode())
    with suppress(Unreadable):
        read_listed(told)


@given(MESSAGES)
def test_any_message(message: dict[str, Any]) -> None:
    use(json.dumps({"update_id": 1, "message": message}).encode())


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    use(raw)
