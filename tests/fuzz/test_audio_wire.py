"""Whatever an agent sends over the call WebSocket: a message, or a `WireError`, and nothing else."""

import json
from dataclasses import asdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.audio.wire import WireError, encode, parse

ANY_CHARACTER = st.characters()
TEXT = st.text(st.one_of(ANY_CHARACTER, st.characters(categories=["Cs"])), max_size=40)
TYPES = st.sampled_from(
    [
        "say",
        "send_chat",
        "audio",
        "audio_config",
        "audio_status",
        "clear",
        "dtmf",
        "mark",
        "stop_speaking",
        "transcript",
    ]
)
FIELDS = st.sampled_from(
    [
        "text",
        "sender_name",
        "attachments",
        "audio",
        "sample_rate",
        "receive",
        "speech_events",
        "barge_in",
        "speaker",
        "file_id",
        "name",
        "digits",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([8_000, 24_000, 48_000, 10**400, -1, "AAAA", "AA==", "", "x" * 10_001]),
        st.floats(),
        TEXT,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(FIELDS, TEXT), inner, max_size=4)
    ),
    max_leaves=12,
)


def check(frame: str | bytes) -> None:
    """Message or refusal: both can be written out again, which neither NaN nor half characters survive."""
    try:
        told = {key: value for key, value in asdict(parse(frame)).items() if key != "pcm"}
    except WireError as refused:
        told = refused.to_wire()
    assert json.loads(encode(told).encode()) is not None


@given(st.binary(max_size=200))
def test_any_bytes(frame: bytes) -> None:
    check(frame)


@given(st.one_of(TEXT, st.text(st.sampled_from('{}[]":,\\u0dtype say1e'), max_size=60)))
def test_any_text(frame: str) -> None:
    check(frame)


@given(JSON)
def test_any_json(document: Any) -> None:
    check(json.dumps(document))


@given(kind=TYPES, fields=st.dictionaries(FIELDS, JSON, max_size=5))
def test_known_types_with_any_fields(kind: str, fields: dict[str, Any]) -> None:
    check(json.dumps({"type": kind, **fields}))


@given(kind=TYPES, fields=st.dictionaries(FIELDS, JSON, max_size=3), cut=st.integers(0, 200), junk=TEXT)
def test_damaged_messages(kind: str, fields: dict[str, Any], cut: int, junk: str) -> None:
    whole = json.dumps({"type": kind, **fields})
    check(whole[:cut] + junk + whole[cut + 1 :])
