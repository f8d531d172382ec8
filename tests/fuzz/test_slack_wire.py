"""Whatever comes to Slack's webhook or over its socket: an event that can be used, or `Unreadable`."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.connectors.slack.emoji import emoji_of, name_of
from chamade_mcp.connectors.slack.text import mentioned, plain
from chamade_mcp.connectors.slack.wire import (
    Changed,
    Deleted,
    Message,
    Reacted,
    Said,
    Unreadable,
    read_envelope,
    read_event,
    read_frame,
    read_payload,
)

NAMES = st.sampled_from(
    [
        "type", "subtype", "channel", "channel_type", "user", "bot_id", "username", "bot_profile", "name",
        "text", "ts", "thread_ts", "files", "id", "mimetype", "size", "mode", "url_private", "attachments",
        "fallback", "message", "previous_message", "deleted_ts", "reaction", "item", "tokens", "bot",
        "team_id", "api_app_id", "authorizations", "event", "challenge", "envelope_id", "payload", "reason",
    ]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "message", "app_mention", "message_changed", "message_deleted", "reaction_added", "tokens_revoked",
        "event_callback", "url_verification", "im", "D1", "U1", "1.2", "99999999999.999999999", "file_share",
    ]
)  # fmt: skip
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=8)),
    max_leaves=30,
)
TS = st.from_regex(r"[0-9]{1,11}\.[0-9]{1,9}", fullmatch=True)
SAID: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=30),
    "user": st.sampled_from(["U1", "W2", "u", ""]),
    "thread_ts": TS,
    "files": st.lists(st.dictionaries(NAMES, st.one_of(st.text(max_size=5), WORDS), max_size=4), max_size=2),
    "attachments": st.lists(st.dictionaries(NAMES, st.text(max_size=9), max_size=3), max_size=2),
}
EVENTS = st.fixed_dictionaries(
    {"type": st.just("message"), "channel": st.sampled_from(["D1", "C1"]), "ts": TS},
    optional={
        **SAID,
        "subtype": WORDS,
        "deleted_ts": TS,
        "message": st.fixed_dictionaries({"ts": TS}, optional=SAID),
        "previous_message": st.fixed_dictionaries({"ts": TS}, optional=SAID),
    },
)


def use(raw: bytes) -> None:
    with suppress(Unreadable):
        envelope = read_envelope(raw)
        assert all(envelope.teams)
        event = read_event(envelope)
        if isinstance(event, Message):
            use_said(event)
            assert event.channel
            assert event.direct in (True, False)
        elif isinstance(event, Changed):
            use_said(event.message)
            assert event.same in (True, False)
        elif isinstance(event, Deleted):
            assert event.deleted_ts
        elif isinstance(event, Reacted):
            assert emoji_of(event.reaction)


def use_said(said: Said) -> None:
    assert plain(said.words, {}) is not None
    assert all(mentioned(said.words))
    assert all(file.id and file.shown_name for file in said.kept_files)
    assert said.sent_at.tzinfo is not None
    assert said.thread != said.ts


@given(JSON)
def test_any_json(told: Any) -> None:
    raw = json.dumps(told)
    use(raw.encode())
    with suppress(Unreadable):
        read_frame(raw)
    with suppress(Unreadable):
        read_payload(told)


@given(EVENTS)
def test_any_message(event: dict[str, Any]) -> None:
    use(json.dumps({"type": "event_callback", "team_id": "T1", "event": event}).encode())


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    use(raw)
    with suppress(Unreadable):
        read_frame(raw)


@given(st.text(min_size=1, max_size=20))
def test_any_emoji(text: str) -> None:
    assert isinstance(name_of(text), str)
    assert emoji_of(text)
