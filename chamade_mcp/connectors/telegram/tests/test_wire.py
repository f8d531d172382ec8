"""Telegram's JSON, read: vectors as its documentation and its libraries show them."""

import json
from typing import Any

import pytest

from chamade_mcp.connectors.telegram.wire import Message, Unreadable, User, read_listed, read_update

ME = User(id=7, is_bot=True, first_name="Helper", username="Helper_Bot")
PRIVATE = {"id": 5, "type": "private", "first_name": "Ann"}
GROUP = {"id": -1001234567890, "type": "supergroup", "title": "Friends"}
ANN = {"id": 5, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "username": "ann"}


def message(**fields: Any) -> Message:
    body = {"message_id": 1, "date": 1_700_000_000, "chat": PRIVATE, "from": ANN, **fields}
    found = read_update(json.dumps({"update_id": 9, "message": body}).encode()).message
    assert found is not None
    return found


def test_a_text() -> None:
    found = message(text="hello")
    assert (found.said, found.files, found.author) == ("hello", [], ("5", "Ann Lee"))
    assert (found.chat.group, found.thread) == (None, None)
    assert found.sent_at.isoformat() == "2023-11-14T22:13:20+00:00"


def test_a_group_speaks_for_itself() -> None:
    found = message(chat=GROUP, sender_chat=GROUP, **{"from": {"id": 1087968824, "is_bot": True}}, text="x")
    assert (found.author, found.chat.group) == (("-1001234567890", "Friends"), "Friends")


def test_the_largest_of_a_photos_sizes_is_the_photo() -> None:
    sizes = [{"file_id": "small", "file_size": 10}, {"file_id": "large", "file_size": 99}]
    found = message(photo=sizes, caption="look")
    (file,) = found.files
    assert found.said == "look"
    assert (file.file_id, file.file_name, file.mime_type, file.file_size) == (
        "large", "photo.jpg", "image/jpeg", 99,
    )  # fmt: skip


def test_an_animation_is_one_file() -> None:
    gif = {"file_id": "a", "file_name": "cat.gif.mp4", "mime_type": "video/mp4"}
    (file,) = message(animation=gif, document=gif).files
    assert (file.file_id, file.file_name) == ("a", "cat.gif.mp4")


@pytest.mark.parametrize(
    ("kind", "about", "name", "mime"),
    [
        ("voice", {"mime_type": "audio/ogg", "duration": 3}, "voice.ogg", "audio/ogg"),
        ("audio", {"file_name": "song.m4a", "mime_type": "audio/mp4"}, "song.m4a", "audio/mp4"),
        ("video_note", {"length": 240}, "video.mp4", "video/mp4"),
        ("sticker", {"emoji": "😀"}, "sticker.webp", "image/webp"),
        ("sticker", {"is_video": True}, "sticker.webm", "video/webm"),
        ("sticker", {"is_animated": True}, "sticker.tgs", "application/gzip"),
        ("document", {}, "file", "application/octet-stream"),
    ],
)
def test_each_kind_of_file_has_a_name_and_a_type(
    kind: str, about: dict[str, Any], name: str, mime: str
) -> None:
    (file,) = message(**{kind: {"file_id": "f", **about}}).files
    assert (file.file_name, file.mime_type) == (name, mime)


def test_what_stands_for_words() -> None:
    assert message(sticker={"file_id": "f", "emoji": "😀"}).said == "😀"
    assert message(location={"latitude": 52.5, "longitude": 13.25}).said == "Location: 52.500000, 13.250000"
    contact = {"phone_number": "+49123", "first_name": "Bob", "last_name": "Ray"}
    assert message(contact=contact).said == "Contact: Bob Ray +49123"
    assert message(new_chat_title="New").said == ""


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("/start TGLINK_abc-_1", "TGLINK_abc-_1"),
        ("/start   x ", "x"),
        ("/start", None),
        ("/start ", None),
        ("/started x", None),
        ("please /start x", None),
    ],
)
def test_the_token_of_a_deep_link(text: str, token: str | None) -> None:
    assert message(text=text).start_token() == token
    assert message(text=text, chat=GROUP).start_token() is None


@pytest.mark.parametrize(
    ("text", "entity", "called"),
    [
        ("😀 @helper_bot", {"type": "mention", "offset": 3, "length": 11}, True),
        ("😀 @helper_bots", {"type": "mention", "offset": 3, "length": 12}, False),
        ("/ask@HELPER_BOT", {"type": "bot_command", "offset": 0, "length": 15}, True),
        ("/ask", {"type": "bot_command", "offset": 0, "length": 4}, False),
        ("Helper", {"type": "text_mention", "offset": 0, "length": 6, "user": {"id": 7}}, True),
        ("Other", {"type": "text_mention", "offset": 0, "length": 5, "user": {"id": 8}}, False),
        ("x", {"type": "mention", "offset": 99, "length": -3}, False),
    ],
)
def test_whether_the_bot_is_called(text: str, entity: dict[str, Any], called: bool) -> None:
    assert message(text=text, entities=[entity]).mentions(ME) is called
    assert message(caption=text, caption_entities=[entity]).mentions(ME) is called


def test_an_answer_to_the_bot_calls_it() -> None:
    quoted = {"message_id": 3, "date": 1, "chat": GROUP}
    assert message(reply_to_message={**quoted, "from": {"id": 7}}).mentions(ME)
    assert not message(reply_to_message={**quoted, "from": {"id": 5}}).mentions(ME)


def test_reactions() -> None:
    told = {
        "chat": PRIVATE, "message_id": 4, "user": ANN, "date": 1,
        "old_reaction": [],
        "new_reaction": [{"type": "emoji", "emoji": "👍"}, {"type": "custom_emoji", "custom_emoji_id": "1"}],
    }  # fmt: skip
    found = read_update(json.dumps({"update_id": 1, "message_reaction": told}).encode()).message_reaction
    assert found is not None
    assert (found.author, found.emoji) == (("5", "Ann Lee"), ("👍",))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"null", b'{"update_id": "1"}', b'{"update_id": 1.5}',
        b'{"update_id": 1, "message": 3}',
        b'{"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": "x", "type": "private"}}}',
        b'{"update_id": 1e400}', b"\xff\xfe", b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_update(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_update(raw)


def test_one_that_cannot_be_read_still_has_its_number() -> None:
    assert read_listed({"update_id": 3, "message": "?"}) == (3, None)
    number, update = read_listed({"update_id": 4, "poll": {}})
    assert number == 4
    assert update is not None
    nothings: list[object] = [{}, {"update_id": None}, [], None, {"update_id": 1 << 60}]
    for nothing in nothings:
        with pytest.raises(Unreadable):
            read_listed(nothing)
