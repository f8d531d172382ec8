"""Nextcloud Talk: owners and rooms, over the emulated Nextcloud and its addon."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chamade_mcp.connectors.nctalk.emulator import TalkEmulator
from tests.support.hosted import Hosted, corrected_and_reacted
from tests.support.nextcloud import CALLBACK, begin, connect, emulated, house, signed
from tests.support.requirement import requirement
from tests.support.waiting import until


@pytest.fixture
async def cloud() -> AsyncGenerator[TalkEmulator]:
    async with emulated() as it:
        yield it


@pytest.fixture
async def gateway(cloud: TalkEmulator, tmp_path: Path) -> AsyncGenerator[Hosted]:
    async with house(cloud, tmp_path) as it:
        yield it


@pytest.fixture(params=["webhook", "polling"])
def way(request: pytest.FixtureRequest, cloud: TalkEmulator) -> str:
    cloud.addon.events = request.param == "webhook"
    return request.param


@requirement("R-296", "R-302", "R-313", "R-314", "R-322")
async def test_the_owner_writes_and_is_answered(cloud: TalkEmulator, gateway: Hosted, way: str) -> None:
    _, bot, room = await connect(cloud, gateway)
    await until(lambda: len(cloud.told(room, bot)) == 2)
    welcome, probe = cloud.told(room, bot)
    assert welcome.startswith("You are connected")
    assert probe.startswith("__chamade_probe:")
    number = cloud.say("ann", room, "hello")
    (message,) = await gateway.heard()
    assert (message["text"], message["sender"], message["attachments"]) == ("hello", "Ann", [])
    sent = await gateway.answer(message, "**Hi**, Ann", reply_to=message["id"])
    assert sent["status"] == "delivered"
    (said,) = cloud.said(room, bot)
    assert (said["message"], said["parent"]["id"]) == ("**Hi**, Ann", number)
    paths = {path for path, _, _ in cloud.addon.sent}
    assert ("/api/nctalk/probe" in paths) is (way == "webhook")
    assert {status for _, _, status in cloud.addon.sent} <= {200}


async def test_a_message_is_changed_and_taken_back(cloud: TalkEmulator, gateway: Hosted) -> None:
    _, bot, room = await connect(cloud, gateway)
    number = cloud.say("ann", room, "first")
    (message,) = await gateway.heard()
    sent = await gateway.answer(message, "answer")
    path = f"/api/messages/{sent['message_id']}"
    for _ in range(2):
        changed = await gateway.api.patch(path, json={"text": "better"})
        assert changed.status_code == 200, changed.text
    assert [m["message"] for m in cloud.said(room, bot)] == ["better"]
    await gateway.post(f"/api/messages/{message['id']}/react", emoji="\U0001f44d")
    assert room.find(number)["reactions"] == {"\U0001f44d": 1}
    cloud.edit("ann", room, number, "first, corrected")
    cloud.react("ann", room, cloud.said(room, bot)[0]["id"], "\u2764\ufe0f")
    cloud.say("ann", room, "second")  # of edits and reactions the addon does not tell
    await gateway.shows(corrected_and_reacted)
    assert (await gateway.api.delete(path)).status_code == 200
    assert cloud.said(room, bot) == []


@requirement("R-284")
async def test_nobody_but_the_owner_is_heard(cloud: TalkEmulator, gateway: Hosted, way: str) -> None:
    assert way
    _, bot, room = await connect(cloud, gateway)
    cloud.user("bob")
    cloud.say("bob", cloud.alone("bob", bot), "let me in")
    cloud.say("ann", room, "hello")
    (message,) = await gateway.heard()
    assert message["sender"] == "Ann"
    assert len(await gateway.conversations()) == 1
    assert cloud.said(cloud.alone("bob", bot), bot) == []


@requirement("R-285", "R-286", "R-304", "R-307", "R-308", "R-309", "R-310")
async def test_a_room_is_activated_by_the_owner(cloud: TalkEmulator, gateway: Hosted, way: str) -> None:
    assert way
    _, bot, _ = await connect(cloud, gateway)
    cloud.user("bob")
    addon = cloud.world.addon
    other = cloud.group("Elsewhere", "bob")
    addon.authorized[other.token] = "bob"
    room = cloud.group("Garden", "ann", "bob", bot)
    cloud.say("bob", room, "/activate")
    cloud.say("bob", room, "not for the agent")
    cloud.say("ann", room, "/activate")
    await until(lambda: len(cloud.told(room, bot)) == 1)
    assert addon.authorized == {other.token: "bob", room.token: "ann"}
    cloud.say("bob", room, "{mention-user1}: what grows?", mentions={"mention-user1": bot})
    (message,) = await gateway.heard()
    assert (message["text"], message["sender"]) == ("@Chamade (ann): what grows?", "Bob")
    assert message["mentions_me"] is True
    await gateway.answer(message, "Beans.")
    assert [m["message"] for m in cloud.said(room, bot)] == ["Beans."]
    cloud.say("ann", room, "/deactivate")
    await until(lambda: len(cloud.told(room, bot)) == 2)
    assert addon.authorized == {other.token: "bob"}
    cloud.say("bob", room, "still there?")
    cloud.say("ann", cloud.alone("ann", bot), "last")
    heard = await gateway.heard(2)
    assert [m["text"] for m in heard] == ["@Chamade (ann): what grows?", "last"]


async def test_a_room_of_somebody_elses_agent_stays_theirs(cloud: TalkEmulator, gateway: Hosted) -> None:
    _, bot, _ = await connect(cloud, gateway)
    cloud.user("bob")
    room = cloud.group("Garden", "ann", "bob", bot)
    cloud.world.addon.authorized[room.token] = "bob"
    for command in ("/activate", "/deactivate"):
        cloud.say("ann", room, command)
    await until(lambda: len(cloud.told(room, bot)) == 2)
    assert cloud.world.addon.authorized == {room.token: "bob"}


@requirement("R-156", "R-305", "R-306")
async def test_files_go_both_ways(cloud: TalkEmulator, gateway: Hosted, way: str) -> None:
    assert way
    _, bot, room = await connect(cloud, gateway)
    cloud.send_file("ann", room, "h\u00e9 llo.txt", b"what Ann wrote")
    cloud.send_file("ann", room, "x.png", b"\x89PNG\r\n\x1a\n", "{file} look at this")
    first, second = await gateway.heard(2)
    assert (first["text"], second["text"]) == ("", "look at this")
    (file,) = first["attachments"]
    assert (file["name"], file["mime"], file["size"]) == ("h\u00e9 llo.txt", "text/plain", 14)
    async with httpx2.AsyncClient() as anybody:
        assert (await anybody.get(file["url"])).content == b"what Ann wrote"
    attachments = [{"bytes_b64": "aGVsbG8=", "name": 'a/"b".txt', "mime": "text/plain"}, {"url": file["url"]}]
    await gateway.answer(first, "yours", attachments=attachments)
    await until(lambda: len(cloud.said(room, bot)) == 3)
    text, one, two = cloud.said(room, bot)
    assert text["message"] == "yours"
    assert [m["messageParameters"]["file"]["name"] for m in (one, two)] == ["_b_.txt", "h\u00e9 llo.txt"]
    ann = cloud.world.users["ann"].files
    assert (ann["Talk/_b_.txt"], ann["Talk/h\u00e9 llo.txt"]) == (b"hello", b"what Ann wrote")


@requirement("R-291", "R-292", "R-317")
async def test_webhooks_that_are_not_the_addons(cloud: TalkEmulator, gateway: Hosted) -> None:
    _, bot, room = await connect(cloud, gateway)
    cloud.say("ann", room, "hello")
    await gateway.heard()
    chat = {"type": "Create", "room_token": room.token, "sender_id": "users/ann", "bot_user": bot}
    bodies: dict[str, dict[str, Any]] = {
        "chat": chat,
        "probe": {"nonce": "12345678", "bot_login": bot},
        "attendee-added": {"room_token": room.token, "bot_user_id": bot},
        "call-started": {"room_token": room.token},
        "call-ended": {"room_token": "unknown"},
        "addon-disabled": {"nc_url": cloud.addon.url, "app_id": "chamade_talk"},
    }
    async with httpx2.AsyncClient(base_url=gateway.url) as anybody:
        for event, body in bodies.items():
            for headers in ({}, {**signed(cloud), "X-Maquisard-Signature": "0" * 64}):
                answer = await anybody.post(f"/api/nctalk/{event}", json=body, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "HOOK_REFUSED"), event
        for number, event in enumerate(("chat", "call-started", "call-ended", "chat")):
            headers = signed(cloud, f"random {number}")
            for status in (200, 403):  # a second time it is a replay
                answer = await anybody.post(f"/api/nctalk/{event}", json=bodies[event], headers=headers)
                assert answer.status_code == status, event
        for number, raw in enumerate(
            (b"", b"{", b"[]", b'{"bot_user": 3}', b'{"room_token": "../x"}', b"\xff")
        ):
            body = raw.replace(b"}", b', "bot_user": "%s"}' % bot.encode()) if b"room" in raw else raw
            headers = signed(cloud, f"garbage {number}")
            answer = await anybody.post("/api/nctalk/chat", content=body, headers=headers)
            assert answer.status_code in (200, 403), raw
    (one,) = await gateway.conversations()
    assert [m["text"] for m in one["messages"]] == ["hello"]


@requirement("R-297")
async def test_a_state_is_good_once(cloud: TalkEmulator, gateway: Hosted) -> None:
    state = await begin(cloud, gateway)
    told = cloud.settings("ann")
    body = {
        "nc_url": cloud.addon.url,
        "bot_login": told["bot_login"],
        "bot_password": told["bot_token"],
        "api_secret": told["api_secret"],
        "app_id": "chamade_talk",
        "nc_username": "ann",
        "capabilities": ["unified_send"],
        "e2ee_schemes": [],
    }
    async with httpx2.AsyncClient(base_url=gateway.url) as anybody:
        for wrong in ({}, {"state": "guess"}, {"state": state, "nc_url": "https://other.example.org"}):
            answer = await anybody.post(CALLBACK, json={**body, **wrong})
            assert answer.status_code == 403, answer.text
        # Who tried with another Nextcloud has used it up.
        assert (await anybody.post(CALLBACK, json={**body, "state": state})).status_code == 403
        state = await begin(cloud, gateway)
        for status in (200, 403):
            assert (await anybody.post(CALLBACK, json={**body, "state": state})).status_code == status


@requirement("R-287", "R-318", "R-320", "R-328")
async def test_another_bot_takes_the_place_of_one_that_is_gone(cloud: TalkEmulator, gateway: Hosted) -> None:
    connection, old, room = await connect(cloud, gateway)
    cloud.say("ann", room, "hello")
    (message,) = await gateway.heard()
    await cloud.addon.disable()
    await gateway.state(connection, "auth_needed")
    assert (await gateway.answer(message, "at once", 503))["code"] == "RECONNECT_NEEDED"
    cloud.world.addon.enabled = True
    again, new, _ = await connect(cloud, gateway)
    assert again == connection
    assert old != new
    third, newest, _ = await connect(cloud, gateway)
    assert third == connection
    await until(lambda: new not in cloud.world.users)
    assert (await gateway.api.delete(f"/api/connections/{connection}")).status_code == 200
    await until(lambda: newest not in cloud.world.users)


async def test_credentials_are_tried_before_they_are_kept(cloud: TalkEmulator, gateway: Hosted) -> None:
    told = dict(cloud.settings("ann"))
    token = told.pop("bot_token")
    body = {"platform": "nctalk", "bot_token": token, "settings": told, "access": "open"}
    for wrong, status in (
        ({"bot_token": "guess"}, 400),
        ({"settings": {**told, "api_secret": "0" * 64}}, 400),
        ({"settings": {**told, "updates": "pigeon"}}, 422),
        ({"settings": {**told, "nc_url": "http://127.0.0.1:1"}}, 422),
        ({"settings": {**told, "nc_url": "file:///etc/passwd"}}, 422),
        ({"settings": {**told, "bot_login": "a/../b"}}, 422),
    ):
        answer = await gateway.api.post("/api/bot-tokens", json={**body, **wrong})
        assert answer.status_code == status, answer.text
    connection = await gateway.connect("nctalk", token, **told)
    room = cloud.alone("ann", told["bot_login"])
    cloud.say("ann", room, "hello")
    (message,) = await gateway.heard()
    tried = await gateway.post(f"/api/connections/{connection}/test")
    assert tried["name"] == "Chamade (ann)"
    assert token not in json.dumps([message, tried])


@requirement("R-270")
async def test_limits_and_floods(cloud: TalkEmulator, gateway: Hosted) -> None:
    _, bot, room = await connect(cloud, gateway)
    cloud.say("ann", room, "hello")
    (message,) = await gateway.heard()
    # Written once, it stands at each place in what is sent.
    link = f"\n\n[a]: https://example.org/{'b' * 280}"
    await gateway.answer(message, "[a] " * 103 + link)
    (long,) = cloud.said(room, bot)
    assert 31_000 < len(long["message"]) <= 32_000
    (why,) = (await gateway.answer(message, "[a] " * 120 + link, 502))["errors"]
    assert why["message"].endswith("nctalk takes 32000")
    cloud.flood(1)
    assert (await gateway.answer(message, "later", 202))["status"] == "pending"
    await until(lambda: [m["message"] for m in cloud.said(room, bot)][1:] == ["later"])
    room.members.remove(bot)
    refused = await gateway.answer(message, "anybody?", 502)
    assert "404" in refused["detail"]


async def test_what_was_said_during_an_outage_is_heard(cloud: TalkEmulator, gateway: Hosted) -> None:
    _, _, room = await connect(cloud, gateway)
    cloud.say("ann", room, "hello")
    await gateway.heard()
    cloud.ocs.down = True
    cloud.say("ann", room, "during an outage")
    await until(lambda: cloud.addon.sent[-1][1].get("message") == "during an outage")
    cloud.ocs.down = False
    cloud.say("ann", room, "after it")
    assert [m["text"] for m in await gateway.heard(3)] == ["hello", "during an outage", "after it"]


@requirement("R-315")
async def test_what_is_told_twice_is_heard_once(cloud: TalkEmulator, tmp_path: Path) -> None:
    async with house(cloud, tmp_path, updates="polling") as gateway:
        _, _, room = await connect(cloud, gateway)
        for number in range(5):
            cloud.say("ann", room, f"message {number}")
            await gateway.heard(number + 1)
        asked = len(cloud.addon.sent)
        assert asked >= 5
        assert [m["text"] for m in await gateway.heard()] == [f"message {number}" for number in range(5)]


@requirement("R-319")
async def test_a_bot_user_that_is_gone_is_noticed(cloud: TalkEmulator, gateway: Hosted) -> None:
    connection, bot, room = await connect(cloud, gateway)
    cloud.say("ann", room, "hello")
    (message,) = await gateway.heard()
    del cloud.world.users[bot]
    answer = await gateway.api.post(
        "/api/dm/chat",
        json={"platform": "nctalk", "conversation_id": message["conversation_id"], "text": "anybody?"},
    )
    assert answer.status_code in (202, 503), answer.text
    await gateway.state(connection, "auth_needed")
