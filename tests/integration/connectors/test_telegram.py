"""Telegram: people write, the agent answers, over the emulated Bot API."""

import json
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.connectors.telegram.emulator import TelegramEmulator
from tests.support.hosted import Hosted, corrected_and_reacted, hosted
from tests.support.requirement import requirement
from tests.support.waiting import until

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200)


@pytest.fixture(params=["polling", "webhook"])
def way(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_a_stranger_asks_and_is_let_in(
    telegram: tuple[TelegramEmulator, str], gateway: Hosted, way: str
) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    connection = await gateway.connect("telegram", token, access="pairing", updates=way)
    ann = emulator.person("Ann")
    emulator.say(token, ann, "hello?")
    await until(lambda: emulator.said(token, ann.id))
    assert await gateway.conversations() == []
    (asking,) = (await gateway.get("/api/pairings"))["pairings"]
    assert asking["code"] in emulator.said(token, ann.id)[0]["text"]
    await gateway.post(f"/api/pairings/{asking['id']}/approve")
    emulator.say(token, ann, "hello again")
    (message,) = await gateway.heard()
    assert (message["text"], message["sender"], message["attachments"]) == ("hello again", "Ann", [])
    await gateway.answer(
        message,
        text="**Hi** <Ann> & co: [docs](https://example.org/?a=1&b=2)",
    )
    await until(lambda: len(emulator.said(token, ann.id)) == 3)
    assert emulator.said(token, ann.id)[-1]["text"] == "Hi <Ann> & co: docs"
    assert (await gateway.post(f"/api/connections/{connection}/test"))["name"] == "@helper_bot"


async def test_a_message_is_answered_changed_and_taken_back(
    telegram: tuple[TelegramEmulator, str], gateway: Hosted
) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    await gateway.connect("telegram", token)
    ann = emulator.person("Ann")
    number = emulator.say(token, ann, "first")
    (message,) = await gateway.heard()
    sent = await gateway.answer(
        message,
        text="answer",
        reply_to=message["id"],
    )
    (said,) = emulator.said(token, ann.id)
    assert said["reply_to_message"]["message_id"] == number
    path = f"/api/messages/{sent['message_id']}"
    for _ in range(2):  # the same again is harmless
        changed = await gateway.api.patch(path, json={"text": "a *better* answer"})
        assert changed.status_code == 200, changed.text
    assert emulator.said(token, ann.id)[0]["text"] == "a better answer"
    await gateway.post(f"/api/messages/{message['id']}/react", emoji="\U0001f44d")
    assert emulator.reactions(token, ann.id, number) == ["\U0001f44d"]
    emulator.edit(token, ann, number, "first, corrected")
    emulator.react(token, ann, said["message_id"], "\u2764")
    await gateway.shows(corrected_and_reacted)
    assert (await gateway.api.delete(path)).status_code == 200
    assert emulator.said(token, ann.id) == []


@requirement("R-152")
async def test_files_go_both_ways(telegram: tuple[TelegramEmulator, str], gateway: Hosted) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    await gateway.connect("telegram", token)
    ann = emulator.person("Ann")
    emulator.send_file(token, ann, "photo", JPEG, caption="look")
    emulator.send_file(token, ann, "voice", b"OggS" + bytes(100), mime_type="audio/ogg", duration=2)
    emulator.send_file(token, ann, "document", b"a,b\n", file_name="t.csv", mime_type="text/csv")
    emulator.send_file(token, ann, "sticker", b"RIFF", emoji="\U0001f600")
    heard = await gateway.heard(4)
    assert [m["text"] for m in heard] == ["look", "", "", "\U0001f600"]
    files = [m["attachments"][0] for m in heard]
    assert [(f["name"], f["mime"]) for f in files[:3]] == [
        ("photo.jpg", "image/jpeg"),
        ("voice.ogg", "audio/ogg"),
        ("t.csv", "text/csv"),
    ]
    async with httpx2.AsyncClient() as anybody:
        assert (await anybody.get(files[0]["url"])).content == JPEG
        assert (await anybody.get(files[2]["url"])).content == b"a,b\n"
    assert token not in json.dumps(heard)
    await gateway.answer(
        heard[0],
        text="yours",
        attachments=[
            {"url": files[0]["url"]},
            {"bytes_b64": "aGVsbG8=", "name": 'h\u00e9 "llo".txt', "mime": "text/plain"},
        ],
    )
    await until(lambda: len(emulator.said(token, ann.id)) == 2)
    photo, document = emulator.said(token, ann.id)
    assert (photo["caption"], "photo" in photo) == ("yours", True)
    assert emulator.content(photo) == JPEG
    assert emulator.content(document) == b"hello"
    assert document["document"]["mime_type"] == "text/plain"


async def test_a_picture_that_is_none_goes_as_a_file(
    telegram: tuple[TelegramEmulator, str], gateway: Hosted
) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    await gateway.connect("telegram", token)
    ann = emulator.person("Ann")
    emulator.send_file(token, ann, "document", b"not a picture", file_name="x.png", mime_type="image/png")
    (message,) = await gateway.heard()
    attachment = message["attachments"][0]
    await gateway.answer(
        message,
        attachments=[{"url": attachment["url"]}],
    )
    await until(lambda: emulator.said(token, ann.id))
    (said,) = emulator.said(token, ann.id)
    assert emulator.content(said) == b"not a picture"


async def test_more_than_bots_are_given_is_said_to_be_gone(
    telegram: tuple[TelegramEmulator, str], gateway: Hosted
) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    await gateway.connect("telegram", token)
    ann = emulator.person("Ann")
    emulator.send_file(token, ann, "video", bytes(20 * 1024 * 1024 + 1), mime_type="video/mp4")
    (message,) = await gateway.heard()
    answer = await gateway.api.get(message["attachments"][0]["url"])
    assert (answer.status_code, answer.json()["code"]) == (410, "FILE_GONE")
    assert "too big" in answer.json()["detail"]


async def test_groups_topics_and_mentions(telegram: tuple[TelegramEmulator, str], gateway: Hosted) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    await gateway.connect("telegram", token)
    ann, group = emulator.person("Ann"), emulator.new_group(token, "Friends", forum=True)
    mention = {"entities": [{"type": "mention", "offset": 3, "length": 11}]}
    emulator.say(token, ann, "\U0001f600 @helper_bot hi", group=group, thread=7, more=mention)
    (message,) = await gateway.heard()
    assert message["mentions_me"] is True
    await gateway.answer(
        message,
        text="in the topic",
        reply_to=message["id"],
    )
    (said,) = emulator.said(token, group)
    assert said["message_thread_id"] == 7
    moved = emulator.upgrade(token, group)
    await gateway.answer(message, expect=202, text="follows")
    await until(lambda: emulator.said(token, moved))
    assert emulator.said(token, moved)[0]["text"] == "follows"


async def test_a_token_that_is_revoked_waits_for_another(
    telegram: tuple[TelegramEmulator, str], gateway: Hosted, way: str
) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    connection = await gateway.connect("telegram", token, updates=way)
    ann = emulator.person("Ann")
    emulator.say(token, ann, "hello")
    (message,) = await gateway.heard()
    emulator.flood(token, ann.id, 1)
    await gateway.answer(message, "waits", 202)
    new = emulator.revoke(token)
    await gateway.state(connection, "auth_needed")
    assert (await gateway.get(f"/api/connections/{connection}"))["detail"] == "Unauthorized"
    refused = await gateway.answer(message, "at once", 503)
    assert refused["code"] == "RECONNECT_NEEDED"
    wrong = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": token})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "CREDENTIALS_REFUSED")
    right = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": new})
    assert right.status_code == 200, right.text
    await until(lambda: emulator.said(new, ann.id))
    assert emulator.said(new, ann.id)[0]["text"] == "waits"


async def test_what_is_no_token_is_not_even_asked_about(
    telegram: tuple[TelegramEmulator, str], gateway: Hosted
) -> None:
    for settings in ({"bot_token": "hello"}, {"bot_token": "1:A", "settings": {"updates": "pigeon"}}):
        answer = await gateway.api.post("/api/bot-tokens", json={"platform": "telegram", **settings})
        assert answer.status_code == 422, answer.text
    assert telegram[0].calls == {}


async def test_webhooks_that_are_not_telegrams(
    telegram: tuple[TelegramEmulator, str], gateway: Hosted
) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    connection = await gateway.connect("telegram", token, updates="webhook")
    path = f"/api/hooks/telegram/{connection}"
    update = {"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 5, "type": "private"}}}
    async with httpx2.AsyncClient(base_url=gateway.url) as anybody:
        for headers in ({}, {"x-telegram-bot-api-secret-token": "guess"}):
            answer = await anybody.post(path, json=update, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "HOOK_REFUSED")
    assert await gateway.conversations() == []


@requirement("R-266")
async def test_the_platforms_limits_are_kept(telegram: tuple[TelegramEmulator, str], gateway: Hosted) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    await gateway.connect("telegram", token)
    ann = emulator.person("Ann")
    emulator.say(token, ann, "hello")
    (message,) = await gateway.heard()
    to = {"platform": "telegram", "conversation_id": message["conversation_id"]}
    long = await gateway.api.post("/api/dm/chat", json={**to, "text": "\U0001f600" * 2049})
    assert long.status_code == 502, long.text
    assert long.json()["errors"][0]["message"] == "has 4098 UTF-16 units; telegram takes 4096"
    await gateway.post("/api/dm/chat", **to, text="\U0001f600" * 2048)
    emulator.flood(token, ann.id, 1)
    answer = await gateway.post("/api/dm/chat", 202, **to, text="later")
    assert answer["status"] == "pending"
    await until(lambda: len(emulator.said(token, ann.id)) == 2)
    emulator.block(token, ann)
    refused = await gateway.api.post("/api/dm/chat", json={**to, "text": "anybody?"})
    assert refused.status_code == 502
    assert "blocked" in refused.text


@requirement("R-169", "R-179")
@requirement("R-180")
async def test_the_shared_bot_is_found_by_its_link(
    telegram: tuple[TelegramEmulator, str], tmp_path: Path
) -> None:
    emulator, url = telegram
    token = emulator.new_bot("shared_bot")
    settings = {"api_url": url, "bot_token": token}
    async with hosted(tmp_path / "shared", {"telegram": settings}) as gateway:
        ann, bob = emulator.person("Ann"), emulator.person("Bob")
        states = (await gateway.get("/api/account"))["platforms"]["telegram"]
        assert states["status"] == "available (shared bot, user account not connected)"
        emulator.say(token, bob, "anybody there?")
        await until(lambda: emulator.said(token, bob.id))
        link = (await gateway.post("/api/telegram/connect"))["deeplink"]
        assert link.startswith("https://t.me/shared_bot?start=TGLINK_")
        start = "/start " + link.partition("start=")[2]
        emulator.say(token, ann, "before the link")
        await until(lambda: emulator.said(token, ann.id))
        emulator.say(token, ann, start)
        await until(lambda: len(emulator.said(token, ann.id)) == 2)
        assert (await gateway.get("/api/account"))["platforms"]["telegram"]["status"] == "ok"
        emulator.say(token, bob, start)  # it is used
        emulator.say(token, ann, "hello")
        (message,) = await gateway.heard()
        assert (message["text"], message["sender"]) == ("hello", "Ann")
        await gateway.answer(message, text="hi")
        await until(lambda: len(emulator.said(token, ann.id)) == 3)
        await until(lambda: len(emulator.said(token, bob.id)) == 2)


async def test_an_outage_is_over_some_day(telegram: tuple[TelegramEmulator, str], gateway: Hosted) -> None:
    emulator, _ = telegram
    token = emulator.new_bot("helper_bot")
    connection = await gateway.connect("telegram", token)
    ann = emulator.person("Ann")
    emulator.say(token, ann, "hello")
    (message,) = await gateway.heard()
    emulator.down = True
    emulator.say(token, ann, "while it is down")
    await gateway.state(connection, "unavailable")
    answer = await gateway.answer(message, expect=202, text="waits")
    assert answer["status"] == "pending"
    emulator.down = False
    await gateway.heard(2)
    await until(lambda: emulator.said(token, ann.id))
    assert [m["text"] for m in emulator.said(token, ann.id)] == ["waits"]
