"""Webhooks of WhatsApp, read: vectors as Meta's documents and its libraries show them."""

import json
from typing import Any

import pytest

from chamade_mcp.connectors.whatsapp.wire import Heard, Status, Unreadable, file_name, read_webhook

NUMBER = "106540352242922"
ADA = {"profile": {"name": "Ada"}, "wa_id": "16315551234", "user_id": "US.13491208655302741918"}


def read(**value: Any) -> list[Heard | Status]:
    metadata = {"display_phone_number": "16505551234", "phone_number_id": NUMBER}
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    return list(read_webhook(json.dumps(body).encode(), NUMBER))


def heard(**fields: Any) -> Heard:
    message = {"from": "16315551234", "id": "wamid.1", "timestamp": "1700000000", **fields}
    (found,) = read(contacts=[ADA], messages=[message])
    assert isinstance(found, Heard)
    return found


def test_a_text() -> None:
    found = heard(type="text", text={"body": "hello"}, context={"from": "1", "id": "wamid.0"})
    assert found.message.said == "hello"
    assert found.message.context is not None
    assert found.message.context.id == "wamid.0"
    assert found.message.sent_at is not None
    assert found.message.sent_at.isoformat() == "2023-11-14T22:13:20+00:00"
    author = found.author
    assert (author.ref, author.wa_id, author.name) == (ADA["user_id"], "16315551234", "Ada")


def test_somebody_without_a_number() -> None:
    contact = {"profile": {"name": "", "username": "ada"}, "user_id": "US.1"}
    (found,) = read(contacts=[contact], messages=[{"id": "wamid.1", "type": "text", "text": {"body": "x"}}])
    assert isinstance(found, Heard)
    assert (found.author.ref, found.author.wa_id, found.author.name) == ("US.1", "", "ada")


def test_somebody_from_before_the_ids() -> None:
    (found,) = read(contacts=[{"wa_id": "4917"}], messages=[{"id": "w", "from": "4917", "type": "text"}])
    assert isinstance(found, Heard)
    assert (found.author.ref, found.author.name) == ("4917", "4917")


@pytest.mark.parametrize(
    ("kind", "media", "named"),
    [
        ("image", {"mime_type": "image/jpeg", "caption": "look"}, ("image", "photo.jpg", "look")),
        ("document", {"filename": "a.pdf"}, ("document", "a.pdf", "")),
        ("audio", {"mime_type": "audio/ogg; codecs=opus", "voice": True}, ("voice", "voice.ogg", "")),
        ("audio", {"mime_type": "audio/mpeg"}, ("audio", "audio.ogg", "")),
        ("sticker", {"animated": False}, ("sticker", "sticker.webp", "")),
    ],
)
def test_files(kind: str, media: dict[str, Any], named: tuple[str, str, str]) -> None:
    message = heard(type=kind, **{kind: {"id": "65463453", "sha256": "x", **media}}).message
    assert message.media is not None
    assert (message.media[0], file_name(*message.media), message.said) == named


def test_what_stands_for_words() -> None:
    where = {"latitude": 52.5, "longitude": 13.25, "name": "Caf\u00e9"}
    assert heard(type="location", location=where).message.said == "Location: 52.500000, 13.250000, Caf\u00e9"
    chosen = {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}
    assert heard(type="interactive", interactive=chosen).message.said == "Yes"
    assert heard(type="button", button={"payload": "p", "text": "Go"}).message.said == "Go"
    contact = {"name": {"formatted_name": "Bob Ray"}, "phones": [{"phone": "+49 1"}]}
    assert heard(type="contacts", contacts=[contact]).message.said == "Contact: Bob Ray +49 1"
    assert heard(type="unsupported", errors=[{"code": 131051}]).message.said == ""


def test_changes() -> None:
    edit = {"original_message_id": "wamid.0", "message": {"type": "text", "text": {"body": "new"}}}
    found = heard(type="edit", edit=edit).message.edit
    assert found is not None
    assert (found.original_message_id, found.message.said) == ("wamid.0", "new")
    assert heard(type="revoke", revoke={"original_message_id": "wamid.0"}).message.revoke is not None
    for emoji in ("\U0001f44d", ""):
        reaction = {"message_id": "wamid.0"} | ({"emoji": emoji} if emoji else {})
        told = heard(type="reaction", reaction=reaction).message.reaction
        assert told is not None
        assert told.emoji == emoji


def test_a_status() -> None:
    problem = {"code": 131047, "title": "Re-engagement message", "error_data": {"details": "24 hours"}}
    status = {"id": "wamid.1", "status": "failed", "recipient_id": "16315551234", "errors": [problem]}
    (told,) = read(contacts=[ADA], statuses=[status])
    assert isinstance(told, Status)
    assert told.recipient_user_id == ADA["user_id"]
    assert (told.errors[0].code, told.errors[0].words) == (131047, "24 hours")
    assert told.key == ""
    (told,) = read(contacts=[ADA], statuses=[status | {"biz_opaque_callback_data": "msg_1"}])
    assert isinstance(told, Status)
    assert told.key == "msg_1"


def test_another_number_is_not_ours() -> None:
    assert read(metadata={"phone_number_id": "other"}, messages=[{"id": "w", "from": "1"}]) == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"object": "page"}', b'{"object": 1}', b"\xff"])
def test_what_is_no_webhook(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        list(read_webhook(raw, NUMBER))
