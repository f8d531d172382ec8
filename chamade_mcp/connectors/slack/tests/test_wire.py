"""Slack's JSON, read: vectors as its documentation and its libraries show them."""

import json
from typing import Any

import pytest

from chamade_mcp.connectors.slack.wire import (
    Changed,
    Deleted,
    Event,
    Message,
    Reacted,
    Revoked,
    Unreadable,
    read_envelope,
    read_event,
    read_frame,
)

TS = "1700000000.000200"


def event(**fields: Any) -> Event | None:
    envelope = {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event": fields}
    return read_event(read_envelope(json.dumps(envelope).encode()))


def message(**fields: Any) -> Message:
    told: dict[str, Any] = {"type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "ts": TS}
    found = event(**{**told, "text": "hi", **fields})
    assert isinstance(found, Message)
    return found


def test_a_direct_message() -> None:
    found = message(client_msg_id="x", blocks=[{"type": "rich_text"}], team="T1", event_ts=TS)
    assert (found.words, found.author, found.author_name, found.thread) == ("hi", "U1", "", None)
    assert (found.direct, found.nameless, found.kept_files) == (True, False, [])
    assert found.sent_at.isoformat() == "2023-11-14T22:13:20+00:00"


def test_a_mention_has_no_kind_of_channel() -> None:
    found = event(type="app_mention", channel="C1", user="U1", text="<@UBOT> hi", ts=TS)
    assert isinstance(found, Message)
    assert not found.direct


def test_a_thread() -> None:
    assert message(thread_ts="1699999999.000100").thread == "1699999999.000100"
    assert message(thread_ts=TS).thread is None  # what opened it stands in the channel
    assert message(subtype="thread_broadcast", thread_ts="1.2").thread == "1.2"


def test_files() -> None:
    here = {"id": "F1", "name": "a.txt", "mimetype": "text/plain", "size": 3, "mode": "hosted"}
    gone = {"id": "F2", "mode": "tombstone"}
    there = {"id": "F3", "mode": "external", "url_private": "https://docs.example/1", "name": None}
    found = message(subtype="file_share", text="", files=[here, gone, there])
    assert [(file.id, file.shown_name) for file in found.kept_files] == [("F1", "a.txt")]
    assert found.words == "<https://docs.example/1>"


def test_an_app_that_says_something() -> None:
    found = message(
        subtype="bot_message",
        user=None,
        bot_id="B1",
        username="Alerts",
        text="",
        attachments=[{"fallback": "down"}, {"text": "since noon", "fallback": "x"}],
    )
    assert (found.author, found.author_name, found.words) == ("B1", "Alerts", "down\nsince noon")
    assert message(bot_id="B1", bot_profile={"name": "Helper"}).author_name == "Helper"


@pytest.mark.parametrize("subtype", ["channel_join", "channel_topic", "pinned_item", "huddle_thread"])
def test_what_nobody_says(subtype: str) -> None:
    assert event(type="message", subtype=subtype, channel="C1", user="U1", text="x", ts=TS) is None


def test_a_change_and_what_only_looks_like_one() -> None:
    told: dict[str, Any] = {"type": "message", "subtype": "message_changed", "channel": "C1", "ts": "2.1"}
    before = {"type": "message", "user": "U1", "text": "one", "ts": TS}
    found = event(**told, message={**before, "text": "two"}, previous_message=before)
    assert isinstance(found, Changed)
    assert (found.message.words, found.same, found.gone) == ("two", False, False)
    unfurled = event(**told, message={**before, "attachments": [{"text": "x"}]}, previous_message=before)
    assert isinstance(unfurled, Changed)
    assert unfurled.same
    stone = event(**told, message={**before, "subtype": "tombstone", "text": "This message was deleted."})
    assert isinstance(stone, Changed)
    assert stone.gone


def test_a_deletion() -> None:
    found = event(type="message", subtype="message_deleted", channel="C1", ts="2.1", deleted_ts=TS)
    assert isinstance(found, Deleted)
    assert found.deleted_ts == TS


def test_reactions() -> None:
    item = {"type": "message", "channel": "C1", "ts": TS}
    added = event(type="reaction_added", user="U1", reaction="+1", item=item, item_user="U2")
    assert isinstance(added, Reacted)
    assert (added.added, added.item.ts) == (True, TS)
    removed = event(type="reaction_removed", user="U1", reaction="+1", item=item)
    assert isinstance(removed, Reacted)
    assert not removed.added
    assert event(type="reaction_added", user="U1", reaction="+1", item={"type": "file", "file": "F1"}) is None


def test_an_app_that_is_no_longer_there() -> None:
    assert isinstance(event(type="app_uninstalled"), Revoked)
    assert isinstance(event(type="tokens_revoked", tokens={"oauth": ["U1"], "bot": ["UBOT"]}), Revoked)
    assert event(type="tokens_revoked", tokens={"oauth": ["U1"]}) is None  # a person's own


def test_the_workspace_it_is_installed_in_comes_first() -> None:
    shared = {"type": "event_callback", "team_id": "T2", "authorizations": [{"team_id": "T1"}]}
    assert read_envelope(json.dumps(shared).encode()).teams == ["T1", "T2"]
    alone = read_envelope(b'{"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1}')
    assert (alone.teams, read_event(alone)) == (["T1"], None)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"\xff", b"payload=%7B%7D", b'{"type": 1}', b"[" * 100_000,
        b'{"type": "event_callback", "event": []}',
    ],
)  # fmt: skip
def test_what_is_no_envelope(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_envelope(raw)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"type": "message", "channel": "D1"},
        {"type": "message", "channel": "D1", "user": "U1", "text": "x", "ts": 1.5},
        {"type": "message", "channel": "D1", "user": "U1", "text": "x", "ts": "1e9"},
        {"type": "message", "channel": "../x", "user": "U1", "text": "x", "ts": TS},
        {"type": "message", "channel": {"id": "D1"}, "ts": TS},
        {"type": "reaction_added", "user": "U1", "reaction": "+1"},
        {"type": "message", "subtype": "message_changed", "channel": "C1", "message": "x"},
    ],
)
def test_what_is_no_event(fields: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        event(**fields)


def test_frames_of_socket_mode() -> None:
    frame = read_frame('{"type": "events_api", "envelope_id": "e1", "payload": {"type": "x"}, "new": 1}')
    assert (frame.type, frame.envelope_id, frame.payload) == ("events_api", "e1", {"type": "x"})
    assert read_frame('{"type": "disconnect", "reason": "warning"}').reason == "warning"
    for wrong in ("", "[]", "{}", '{"type": null}'):
        with pytest.raises(Unreadable):
            read_frame(wrong)
