"""WhatsApp: people write to a business number, the agent answers, over the emulated Cloud API."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from chamade_mcp.connectors.whatsapp.emulated_world import Person, Refusal
from chamade_mcp.connectors.whatsapp.emulator import WhatsAppEmulator
from tests.support.hosted import Hosted, eventually, hosted
from tests.support.push_client import headers
from tests.support.requirement import requirement
from tests.support.waiting import until

WhatsApp = tuple[WhatsAppEmulator, str]
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(200)
OGG = b"OggS" + bytes(100)


@pytest.fixture
async def gateway(whatsapp: WhatsApp, tmp_path: Path) -> AsyncGenerator[Hosted]:
    async with hosted(tmp_path / "data", {"whatsapp": {"api_url": whatsapp[1]}}) as it:
        yield it


async def connect(gateway: Hosted, emulator: WhatsAppEmulator, access: str = "open") -> tuple[str, str]:
    """The business number and the connection, webhooks subscribed."""
    number = emulator.new_number()
    connection = await gateway.connect(
        "whatsapp",
        "EAAG-token",
        access=access,
        phone_number_id=number,
        app_secret="app-secret",
        verify_token="chosen",
    )
    hook = f"{gateway.url}/api/hooks/whatsapp/{connection}"
    assert not await emulator.subscribe(number, hook, "wrong")
    assert await emulator.subscribe(number, hook, "chosen")
    return number, connection


def texts(emulator: WhatsAppEmulator, number: str, person: Person) -> list[str]:
    return [one["text"]["body"] for one in emulator.said(number, person) if one["type"] == "text"]


@pytest.mark.parametrize("known", [True, False], ids=["with a number", "with a user name"])
async def test_a_stranger_asks_and_is_let_in(whatsapp: WhatsApp, gateway: Hosted, known: bool) -> None:
    emulator, _ = whatsapp
    number, connection = await connect(gateway, emulator, access="pairing")
    ann = emulator.person("Ann", number=known)
    emulator.write(number, ann, "hello?")
    await until(lambda: emulator.said(number, ann))
    (asking,) = (await gateway.get("/api/pairings"))["pairings"]
    assert asking["code"] in texts(emulator, number, ann)[0]
    await gateway.post(f"/api/pairings/{asking['id']}/approve")
    quoted = emulator.write(number, ann, "h\u00e9llo again \U0001f600")
    (message,) = await gateway.heard()
    assert (message["text"], message["sender"]) == ("h\u00e9llo again \U0001f600", "Ann")
    await gateway.answer(message, "**Hi** Ann, *see* `code`", reply_to=message["id"])
    said = emulator.said(number, ann)[-1]
    assert said["text"]["body"] == "*Hi* Ann, _see_ `code`"
    assert said["context"] == {"message_id": quoted}
    assert "Example Ltd" in (await gateway.post(f"/api/connections/{connection}/test"))["name"]


async def test_what_becomes_of_a_message_is_told(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, _ = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    emulator.write(number, ann, "hello")
    (message,) = await gateway.heard()
    await gateway.answer(message, "answer")
    (said,) = emulator.said(number, ann)

    for status in ("read", "delivered", "sent"):  # in any order, and never back
        emulator.status(number, ann, said["id"], status)
    await gateway.newest_is("read")


async def test_what_is_told_before_the_answer_is_heard(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, _ = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    emulator.write(number, ann, "hello")
    (message,) = await gateway.heard()
    emulator.hasty = True
    await gateway.answer(message, "answer")
    await gateway.newest_is("read")


async def test_reactions_edits_and_deletions(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, _ = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    first = emulator.write(number, ann, "first")
    second = emulator.write(number, ann, "second")
    message, _ = await gateway.heard(2)
    await gateway.post(f"/api/messages/{message['id']}/react", emoji="\U0001f44d")
    assert emulator.said(number, ann)[-1]["reaction"] == {"message_id": first, "emoji": "\U0001f44d"}
    emulator.react(number, ann, second, "\u2764")
    emulator.edit(number, ann, first, "first, corrected")
    emulator.delete(number, ann, second)

    async def told() -> bool:
        (one,) = await gateway.conversations()
        seen = [m for m in one["messages"] if m["direction"] == "inbound"]
        return seen[0]["text"] == "first, corrected" and seen[1]["status"] == "deleted"

    await eventually(told)


@requirement("R-154", "R-155")
async def test_files_go_both_ways(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, _ = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    emulator.send_file(number, ann, "image", JPEG, "image/jpeg", caption="look")
    emulator.send_file(number, ann, "audio", OGG, "audio/ogg; codecs=opus", voice=True)
    emulator.send_file(number, ann, "document", b"a,b\n", "text/csv", filename="t.csv")
    heard = await gateway.heard(3)
    files = [m["attachments"][0] for m in heard]
    assert [(f["name"], f["mime"]) for f in files] == [
        ("photo.jpg", "image/jpeg"),
        ("voice.ogg", "audio/ogg"),
        ("t.csv", "text/csv"),
    ]
    async with httpx2.AsyncClient() as anybody:
        assert [(await anybody.get(f["url"])).content for f in files] == [JPEG, OGG, b"a,b\n"]
    assert "EAAG" not in json.dumps(heard)
    await gateway.answer(heard[0], "listen", attachments=[{"url": files[1]["url"]}])
    await gateway.answer(heard[0], "see", attachments=[{"url": files[0]["url"]}, {"url": files[2]["url"]}])
    await until(lambda: len(emulator.said(number, ann)) == 4)
    words, sound, picture, document = emulator.said(number, ann)
    assert (words["text"]["body"], sound["type"], set(sound["audio"])) == ("listen", "audio", {"id"})
    assert (picture["image"]["caption"], emulator.content(picture)) == ("see", JPEG)
    assert (document["document"]["filename"], emulator.content(document)) == ("t.csv", b"a,b\n")


async def test_outside_the_window_a_template_asks_once(whatsapp: WhatsApp, gateway: Hosted) -> None:
    """Meta's clock and ours disagree: the refusal is what counts."""
    emulator, _ = whatsapp
    number, _ = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    emulator.write(number, ann, "hello")
    (message,) = await gateway.heard()
    emulator.close_window(number, ann)
    for text in ("one", "two"):
        await gateway.answer(message, text, 202)
    await until(lambda: emulator.said(number, ann))
    templates = [m["template"]["name"] for m in emulator.said(number, ann)]
    assert templates == ["agent_followup"]
    emulator.write(number, ann, "I am here")
    await until(lambda: texts(emulator, number, ann) == ["one", "two"])


@requirement("R-225", "R-226")
async def test_an_agent_sees_the_window_over_mcp(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, _ = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    emulator.write(number, ann, "hello")
    (message,) = await gateway.heard()

    async def call(tool: str, **arguments: object) -> dict[str, Any]:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        answer = await gateway.api.post(
            "/mcp/",
            json={**asked, "params": {"name": tool, "arguments": arguments}},
            headers=headers(gateway.api.headers["x-api-key"]),
        )
        return answer.json()["result"]["structuredContent"]

    (seen,) = (await call("chamade_inbox", platform="whatsapp"))["conversations"]
    assert seen["whatsapp_window"]["open"] is True
    cursor = (await call("chamade_inbox"))["last_message_cursor"]
    emulator.close_window(number, ann)
    for text, template in (("one", True), ("two", False)):
        told = await call("chamade_dm_chat", platform="whatsapp", text=text)
        assert (told["status"], told["reason"]) == ("queued", "outside_24h_window")
        assert told["template_sent"] is template
    (seen,) = (await call("chamade_inbox", platform="whatsapp"))["conversations"]
    assert seen["whatsapp_window"]["pending_count"] == 2
    whole = await call("chamade_inbox", conversation_id=message["conversation_id"])
    assert [m["text"] for m in whole["messages"]][:1] == ["hello"]
    waiting = asyncio.create_task(call("chamade_inbox", last_message_cursor=cursor, wait=20))
    emulator.write(number, ann, "I am here")
    (fresh,) = (await waiting)["conversations"]
    assert "I am here" in json.dumps(fresh)


async def test_the_shared_number_is_found_by_a_link(whatsapp: WhatsApp, tmp_path: Path) -> None:
    emulator, url = whatsapp
    number = emulator.new_number()
    settings = {"api_url": url, "bot_token": "EAAG-token", "phone_number_id": number}
    settings |= {"app_secret": "app-secret", "verify_token": "chosen"}
    async with hosted(tmp_path / "shared", {"whatsapp": settings}) as gateway:
        assert await emulator.subscribe(number, f"{gateway.url}/api/hooks/whatsapp", "chosen")
        ann, bob = emulator.person("Ann"), emulator.person("Bob")
        link = (await gateway.post("/api/invite-link", platform="whatsapp"))["url"]
        assert link.startswith("https://wa.me/1555")
        token = link.partition("text=")[2]
        emulator.write(number, bob, "anybody there?")
        await until(lambda: texts(emulator, number, bob))
        emulator.write(number, ann, token)
        await until(lambda: texts(emulator, number, ann))
        emulator.write(number, bob, token)  # it is used
        emulator.write(number, ann, "hello")
        (message,) = await gateway.heard()
        assert (message["text"], message["sender"]) == ("hello", "Ann")
        await gateway.answer(message, "hi")
        assert texts(emulator, number, ann)[-1] == "hi"
        await until(lambda: len(texts(emulator, number, bob)) == 2)


async def test_a_token_that_is_revoked_waits_for_another(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, connection = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    emulator.write(number, ann, "hello")
    (message,) = await gateway.heard()
    emulator.revoke(number, "EAAG-another")
    await gateway.answer(message, "waits", 202)
    await gateway.state(connection, "auth_needed")
    right = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": "EAAG-another"})
    assert right.status_code == 200, right.text
    await until(lambda: texts(emulator, number, ann) == ["waits"])


async def test_webhooks_that_are_not_whatsapps(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, connection = await connect(gateway, emulator)
    path = f"/api/hooks/whatsapp/{connection}"
    body = b'{"object": "whatsapp_business_account", "entry": []}'
    signed = emulator.signed(number, body)
    async with httpx2.AsyncClient(base_url=gateway.url) as anybody:

        async def status(content: bytes, headers: dict[str, str]) -> int:
            return (await anybody.post(path, content=content, headers=headers)).status_code

        assert await status(body, signed) == 200
        assert await status(body + b" ", signed) == 403
        assert await status(body, {}) == 403
        for odd in (b"", b"{", b"[]", b'{"object": "page"}', b'{"object": 1, "entry": {}}'):
            assert await status(odd, emulator.signed(number, odd)) == 200
        assert (await anybody.get(path)).status_code == 403
    assert await gateway.conversations() == []


async def test_a_bad_message_does_not_hide_a_good_one(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, connection = await connect(gateway, emulator)
    good = {"id": "wamid.1", "from": "49170", "timestamp": "x", "type": "text", "text": {"body": "good"}}
    value: dict[str, Any] = {"metadata": {"phone_number_id": number}, "contacts": [{"wa_id": "49170"}]}
    value["messages"] = [3, {"id": 5}, {**good, "id": "", "text": []}, good, good]
    value["statuses"] = [None, {"id": "x"}, {"id": "y", "status": "odd"}]
    changes = [None, {"field": "x"}, {"field": "messages", "value": 7}, {"field": "messages", "value": value}]
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": changes[1:]}]}).encode()
    async with httpx2.AsyncClient(base_url=gateway.url) as meta:
        for _ in range(5):  # Meta repeats itself
            path = f"/api/hooks/whatsapp/{connection}"
            answer = await meta.post(path, content=body, headers=emulator.signed(number, body))
            assert answer.status_code == 200
    assert [m["text"] for m in await gateway.heard()] == ["good"]


async def test_too_many_messages_to_one_person_have_to_wait(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, url = whatsapp
    number, _ = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    emulator.write(number, ann, "hello")
    (message,) = await gateway.heard()
    body = {"messaging_product": "whatsapp", "to": ann.wa_id, "type": "text", "text": {"body": "fast"}}
    async with httpx2.AsyncClient(headers={"authorization": "Bearer EAAG-token"}) as hasty:
        said = [await hasty.post(f"{url}/{number}/messages", json=body) for _ in range(60)]
    refused = next(answer for answer in said if answer.status_code != 200)
    assert (said.index(refused) >= 45, refused.json()["error"]["code"]) == (True, 131056)
    assert (await gateway.answer(message, "too fast for Meta", 202))["status"] == "pending"


@requirement("R-268")
async def test_limits_and_refusals(whatsapp: WhatsApp, gateway: Hosted) -> None:
    emulator, _ = whatsapp
    number, _ = await connect(gateway, emulator)
    ann = emulator.person("Ann")
    emulator.write(number, ann, "hello")
    (message,) = await gateway.heard()
    to = {"platform": "whatsapp", "conversation_id": message["conversation_id"]}
    long = await gateway.api.post("/api/dm/chat", json={**to, "text": "x" * 1601})
    assert (long.status_code, long.json()["code"]) == (502, "SEND_FAILED")
    emulator.next_errors.append(Refusal(400, 131026, "Message undeliverable"))
    refused = await gateway.answer(message, "anybody?", 502)
    assert "undeliverable" in json.dumps(refused)
    emulator.next_errors.append(Refusal(500, 131016, "Service overloaded"))
    assert (await gateway.answer(message, "later", 202))["status"] == "pending"
    await until(lambda: texts(emulator, number, ann) == ["later"])


@requirement("R-279", "R-280")
async def test_one_person_and_two_accounts_on_the_shared_number(whatsapp: WhatsApp, tmp_path: Path) -> None:
    emulator, url = whatsapp
    number = emulator.new_number()
    settings = {"api_url": url, "bot_token": "EAAG-token", "phone_number_id": number}
    settings |= {"app_secret": "app-secret", "verify_token": "chosen"}
    async with hosted(tmp_path / "shared", {"whatsapp": settings}) as first, first.neighbour() as second:
        assert await emulator.subscribe(number, f"{first.url}/api/hooks/whatsapp", "chosen")
        ann = emulator.person("Ann")

        async def tie(account: Hosted) -> None:
            link = (await account.post("/api/invite-link", platform="whatsapp"))["url"]
            before = len(texts(emulator, number, ann))
            emulator.write(number, ann, link.partition("text=")[2])
            await until(lambda: len(texts(emulator, number, ann)) > before)

        async def read(account: Hosted) -> list[str]:
            return [m["text"] for one in await account.conversations() for m in one["messages"]]

        await tie(first)
        emulator.write(number, ann, "to the first")
        (to_first,) = await first.heard()
        await tie(second)  # whose link was opened last is who she writes to now
        emulator.write(number, ann, "to the second")
        (to_second,) = await second.heard()
        await first.answer(to_first, "from the first")
        emulator.write(number, ann, "the first again")
        await first.heard(2)
        await second.answer(to_second, "from the second")
        emulator.write(number, ann, "the second again")
        await second.heard(2)
        assert await read(first) == ["to the first", "from the first", "the first again"]
        assert await read(second) == ["to the second", "from the second", "the second again"]
