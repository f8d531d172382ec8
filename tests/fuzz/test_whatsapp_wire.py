"""Whatever comes to WhatsApp's webhook: parts that can be used, or `Unreadable`."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.connectors.whatsapp.wire import Heard, Unreadable, file_name, read_webhook

NUMBER = "1065"
NAMES = st.sampled_from(
    [
        *("object", "entry", "changes", "field", "value", "metadata", "phone_number_id", "contacts"),
        *("profile", "name", "wa_id", "user_id", "messages", "id", "from", "timestamp", "type", "text"),
        *("body", "image", "caption", "mime_type", "filename", "audio", "voice", "document", "sticker"),
        *("location", "latitude", "longitude", "reaction", "message_id", "emoji", "edit", "message"),
        *("original_message_id", "revoke", "interactive", "button_reply", "title", "context", "statuses"),
        *("status", "recipient_id", "errors", "code", "error_data", "details"),
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from([NUMBER, "messages", "whatsapp_business_account", "wamid.1", "1e999", "-1"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=8)),
    max_leaves=30,
)  # fmt: skip


def use(raw: bytes) -> None:
    with suppress(Unreadable):
        for told in read_webhook(raw, NUMBER):
            if isinstance(told, Heard):
                assert told.author.ref
                sent_at = told.message.sent_at
                assert sent_at is None or sent_at.tzinfo is not None
                assert isinstance(told.message.said, str)
                if told.message.media is not None:
                    assert file_name(*told.message.media)
            else:
                assert told.id


def wrapped(value: Any) -> bytes:
    change = {"field": "messages", "value": value}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}).encode()


@given(JSON)
def test_any_json(told: Any) -> None:
    use(json.dumps(told).encode())
    use(wrapped(told))


@given(st.dictionaries(NAMES, JSON, max_size=9), st.lists(JSON, max_size=2))
def test_any_message(message: dict[str, Any], contacts: list[Any]) -> None:
    about = {"id": "wamid.1", "from": "49170", **message}
    value = {"metadata": {"phone_number_id": NUMBER}, "messages": [about], "statuses": [about]}
    use(wrapped(value))
    use(wrapped({**value, "contacts": contacts}))


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    use(raw)
