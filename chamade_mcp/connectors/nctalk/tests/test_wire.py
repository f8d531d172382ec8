"""What Nextcloud Talk and its addon send, read; the addon's signature."""

import json
from typing import Any

import pytest

from chamade_mcp.connectors.nctalk import consent
from chamade_mcp.connectors.nctalk.client import cloud_of, sign
from chamade_mcp.connectors.nctalk.wire import (
    Callback,
    ChatHook,
    Room,
    Said,
    Unreadable,
    field_of,
    members,
    read,
    read_rooms_map,
)
from chamade_mcp.kit.connection import HookRefused
from chamade_mcp.model.errors import ValidationFailed
from tests.support.requirement import requirement

CALLBACK = {
    "state": "s",
    "nc_url": "https://cloud.example.org",
    "bot_login": "chamade-bot-ab12cd34",
    "bot_password": "Secret-1",
    "api_secret": "a" * 64,
    "app_id": "chamade_talk",
    "nc_username": "ann",
}


@requirement("R-289", "R-290")
def test_the_signature_of_the_contract() -> None:
    signature = sign("a" * 64, "00112233445566778899aabbccddeeff")
    assert signature == "e4cb473eeca8e297f112eca56e348c74706c6dc31a8520b7af0dd65c67363869"


def said(**fields: Any) -> Said:
    body: dict[str, Any] = {"id": 7, "actorType": "users", "actorId": "ann", "messageParameters": []}
    return read(Said, json.dumps({**body, "timestamp": 1_700_000_000, **fields}).encode())


def test_a_text() -> None:
    found = said(message=" hello ", actorDisplayName="Ann", parent=[])
    assert (found.text, found.sender_id, found.files, found.parent) == ("hello", "users/ann", [], None)
    assert found.sent_at.isoformat() == "2023-11-14T22:13:20+00:00"


def test_placeholders() -> None:
    parameters = {
        "mention-user1": {"type": "user", "id": "bot", "name": "Chamade"},
        "file": {
            "type": "file", "id": 3, "name": "a.txt", "size": "12",
            "path": "Talk/a.txt", "mimetype": "text/plain",
        },
        "object": {"type": "highlight", "id": "1", "name": "Berlin"},
    }  # fmt: skip
    found = said(message="{file} {mention-user1} in {object} {unknown}", messageParameters=parameters)
    assert found.text == "@Chamade in Berlin {unknown}"
    assert found.mentions("bot")
    assert not found.mentions("ann")
    (file,) = found.files
    assert (file.name, file.size, file.path, file.mime) == ("a.txt", 12, "Talk/a.txt", "text/plain")


@requirement("R-325")
@pytest.mark.parametrize(
    ("told", "block"),
    [('"c2VhbGVk"', b"c2VhbGVk"), ('{"v": 3, "x": "\u00e9"}', b'{"v": 3, "x": "\\u00e9"}'), ("null", b"")],
)
def test_a_block_of_encryption_stays_as_it_is(told: str, block: bytes) -> None:
    hook = read(
        ChatHook, f'{{"type":"Create","room_token":"a","sender_id":"users/a","encrypted":{told}}}'.encode()
    )
    assert (hook.message, hook.block) == ("", block)


def test_a_room_without_messages() -> None:
    found = read(Room, {"token": "abc1", "type": 2, "displayName": "Garden", "lastMessage": []})
    assert (found.last, found.name) == (0, "Garden")


@requirement("R-310")
def test_a_map_of_php_that_is_empty_is_a_list() -> None:
    assert read_rooms_map([]) == {}
    assert read_rooms_map({"abc": "ann"}) == {"abc": "ann"}
    with pytest.raises(Unreadable):
        read_rooms_map(None)


@requirement("R-298")
@pytest.mark.parametrize("prefix", ["", "addon_"])
def test_a_callback_of_a_later_addon(prefix: str) -> None:
    more = {f"{prefix}capabilities": ["unified_send"], f"{prefix}e2ee_schemes": []}
    assert read(Callback, json.dumps(CALLBACK | more).encode()).bot_login == CALLBACK["bot_login"]


@requirement("R-294", "R-295", "R-301")
def test_where_a_browser_is_sent() -> None:
    asked = {"nc_url": "https://cloud.example.org", "nc_state": "ab", "origin": "elsewhere"}
    url = consent.send_to(asked, "s", "https://gw.example.org")
    assert url == (
        "https://cloud.example.org/index.php/apps/chamade_talk/authorize/finish?state=s"
        "&callback_url=https%3A%2F%2Fgw.example.org%2Fapi%2Fnctalk%2Fcallback"
        "&backend_url=https%3A%2F%2Fgw.example.org&nc_state=ab&origin=nc_admin"
    )
    legacy = consent.send_to({"url": "https://cloud.example.org/nc/"}, "s", "https://gw.example.org")
    assert legacy.startswith("https://cloud.example.org/nc/index.php/apps/chamade_talk/authorize?state=s&")
    assert legacy.endswith("agent_name=Chamade")


def test_only_the_cloud_that_was_asked_hands_over() -> None:
    body = json.dumps(CALLBACK).encode()
    asked = {"url": "https://cloud.example.org/nc"}
    assert consent.settings_of(body, asked)["nc_url"] == "https://cloud.example.org/nc"
    for other in ("https://cloud.example.com", "http://cloud.example.org", "https://cloud.example.org:444"):
        with pytest.raises(HookRefused):
            consent.settings_of(body, {"url": other})
    with pytest.raises(HookRefused):
        consent.settings_of(b"{}", asked)


@pytest.mark.parametrize(
    "url", ["", "cloud", "ftp://x", "https://a@b", "https://x/?y", "https://x/#y", "https://x:99999", "https://[x"]
)  # fmt: skip
def test_what_is_no_nextcloud(url: str) -> None:
    with pytest.raises(ValidationFailed):
        consent.host({"url": url})


def test_one_cloud_is_told_from_another() -> None:
    assert cloud_of("https://Cloud.Example.org:8443/nc/") == "cloud.example.org:8443/nc"


def test_a_webhook_with_half_of_a_character_is_one() -> None:
    raw = b'{"type": "Create", "room_token": "a", "sender_id": "users/a", "message": "\\ud83d"}'
    assert read(ChatHook, members(raw)).message == "\ud83d"


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b'{"a":' * 100_000, b'{"bot_user": 3}',
        b'{"room_token": "../x", "type": "Create", "sender_id": "users/ann"}',
        b'{"room_token": "abc\\n", "type": "Create", "sender_id": "users/ann"}',
    ],
)  # fmt: skip
def test_what_is_no_webhook(raw: bytes) -> None:
    assert field_of(members(raw), "bot_user") == ""
    with pytest.raises(Unreadable):
        read(ChatHook, raw)
