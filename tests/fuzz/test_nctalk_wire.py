"""Whatever comes from a Nextcloud: something that can be used, or `Unreadable`."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from chamade_mcp.connectors.nctalk.wire import (
    AttendeeHook,
    Callback,
    ChatHook,
    ProbeHook,
    Room,
    Said,
    Unreadable,
    field_of,
    members,
    read,
    readable,
)

KINDS = st.sampled_from([AttendeeHook, Callback, ChatHook, ProbeHook, Room, Said])
MODELS = (Callback, ChatHook, Room, Said)
NAMES = st.sampled_from(sorted({f.alias or name for m in MODELS for name, f in m.model_fields.items()}))
KEYS = st.one_of(NAMES, st.sampled_from(["file", "mention-user1", "id", "size"]))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from([-1, 1 << 53, 1 << 63, [], {}, "file", "{file}", "{mention-user1}", "9" * 5000]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=8),
    ),
    max_leaves=30,
)  # fmt: skip
SAID: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"id": st.integers(0, 1 << 53), "actorType": st.just("users"), "actorId": st.text(max_size=5)},
    optional={
        "message": st.text(max_size=30),
        "timestamp": st.integers(0, 1 << 53),
        "messageParameters": JSON,
    },
)


@given(KINDS, JSON)
def test_json_of_any_shape(kind: type[BaseModel], told: Any) -> None:
    for form in (told, json.dumps(told).encode()):
        with suppress(Unreadable):
            read(kind, form)


@given(KINDS, st.binary(max_size=60))
def test_any_bytes(kind: type[BaseModel], raw: bytes) -> None:
    assert len(field_of(members(raw), "state")) <= 500
    with suppress(Unreadable):
        read(kind, raw)


@given(SAID)
def test_a_message_can_be_used(told: dict[str, Any]) -> None:
    with suppress(Unreadable):
        found = read(Said, told)
        assert found.text == readable(found.message, found.parameters)
        assert found.sent_at.tzinfo is not None
        assert all(type(file.size) in (int, type(None)) for file in found.files)
