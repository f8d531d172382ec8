"""Nextcloud Talk: what the addon tells, and what it is asked for, beside messages."""

import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from chamade_mcp.connectors.nctalk.connector import connector
from chamade_mcp.connectors.nctalk.emulator import TalkEmulator
from chamade_mcp.kit.connection import Hook, Hooked, StoredConnection
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.ids import ConnectionId, Platform
from chamade_mcp.store.migrate import migrate
from tests.support.hosted import Hosted, eventually
from tests.support.house import open_house
from tests.support.nextcloud import ADDON, CALLBACK, begin, connect, connected, emulated, house, signed
from tests.support.requirement import requirement
from tests.support.server import serve
from tests.support.waiting import until


@pytest.fixture
async def cloud() -> AsyncGenerator[TalkEmulator]:
    async with emulated() as it:
        yield it


@pytest.fixture
async def gateway(cloud: TalkEmulator, tmp_path: Path) -> AsyncGenerator[Hosted]:
    async with house(cloud, tmp_path) as it:
        yield it


async def tell(
    cloud: TalkEmulator, gateway: Hosted, event: str, random: str, body: object = None
) -> httpx2.Response:
    """A webhook of the addon's."""
    path = event if event.startswith("/") else f"/api/nctalk/{event}"
    async with httpx2.AsyncClient(base_url=gateway.url) as addon:
        return await addon.post(path, json=body, headers=signed(cloud, random))


async def listening(cloud: TalkEmulator, gateway: Hosted) -> None:
    """Until the link is up: what is stored of its state is from before the restart."""

    async def answered() -> bool:
        random = secrets.token_hex(16)
        return (await tell(cloud, gateway, "/api/e2ee/heartbeat", random)).status_code == 200

    await eventually(answered)


@requirement("R-321")
async def test_the_bot_has_a_face(cloud: TalkEmulator, gateway: Hosted) -> None:
    _, bot, _ = await connect(cloud, gateway)
    await until(lambda: cloud.world.users[bot].avatar)
    assert cloud.world.users[bot].avatar.startswith(b"\x89PNG")
    async with httpx2.AsyncClient(base_url=cloud.addon.url) as anybody:
        path = f"{ADDON}/api/v1/bot-users/{bot}/avatar"
        for field, headers, status in (("picture", signed(cloud), 400), ("avatar", {}, 403)):
            answer = await anybody.post(path, files={field: ("a.png", b"\x89PNG\r\n")}, headers=headers)
            assert answer.status_code == status, answer.text


async def test_a_bot_without_a_face_works(cloud: TalkEmulator, gateway: Hosted) -> None:
    """As one that another version of the addon made, which has no such route."""
    told = dict(cloud.settings("ann"))
    bot = told["bot_login"]
    del cloud.world.addon.owners[bot]
    await gateway.connect("nctalk", told.pop("bot_token"), **told)
    room = cloud.alone("ann", bot)
    await until(lambda: len(cloud.told(room, bot)) == 2)
    assert cloud.world.users[bot].avatar == b""


@requirement("R-327")
async def test_the_heartbeat_of_encryption_is_answered(cloud: TalkEmulator, gateway: Hosted) -> None:
    await connect(cloud, gateway)
    for number, body in enumerate(({}, [], None, {"e2ee_schemes": ["x"], "unknown": {"deep": [1]}})):
        answer = await tell(cloud, gateway, "/api/e2ee/heartbeat", f"heartbeat {number}", body)
        assert (answer.status_code, answer.json()) == (200, {})


@requirement("R-325")
async def test_what_is_encrypted_is_passed_on_unread(cloud: TalkEmulator, tmp_path: Path) -> None:
    secret = "nobody between Ann and her agent reads this"
    async with house(cloud, tmp_path) as gateway:
        _, _, room = await connect(cloud, gateway)
        cloud.say("ann", room, "before she has paired a device")
        await gateway.heard()
        cloud.world.addon.devices.add("ann")
        cloud.say("ann", room, secret)
        cloud.send_file("ann", room, "a.txt", b"files stay as they are")
        heard = await gateway.heard(3)
        assert {m["sender"] for m in heard} == {"Ann"}
        assert sorted(m["text"] for m in heard) == ["", "", "before she has paired a device"]
        files = {file["name"]: file for m in heard for file in m["attachments"]}
        assert set(files) == {"a.txt", "encrypted.json"}
        block = files["encrypted.json"]
        async with httpx2.AsyncClient() as anybody:
            content = (await anybody.get(block["url"])).content
        told = [body["encrypted"] for _, body, _ in cloud.addon.sent if "encrypted" in body]
        assert [json.loads(content)] == told
        cloud.world.addon.devices.clear()
        cloud.say("ann", room, "now without a device")
        assert "now without a device" in {m["text"] for m in await gateway.heard(4)}
        cloud.world.addon.devices.add("ann")
        cloud.say("ann", room, secret)
        await gateway.heard(5)
    async with house(cloud, tmp_path) as gateway:
        cloud.world.addon.backend_url = gateway.url
        await listening(cloud, gateway)
        cloud.say("ann", room, secret)
        heard = await gateway.heard(6)
        assert not any(secret in message["text"] for message in heard)
        assert len(heard) == 6


@requirement("R-311")
async def test_rooms_are_read_again_after_a_restart(cloud: TalkEmulator, tmp_path: Path) -> None:
    cloud.user("bob")
    async with house(cloud, tmp_path) as gateway:
        _, bot, _ = await connect(cloud, gateway)
        left, joined = cloud.group("Left", "ann", "bob", bot), cloud.group("Joined", "ann", "bob", bot)
        cloud.say("ann", left, "/activate")
        await until(lambda: cloud.world.addon.authorized == {left.token: "ann"})
    # While the gateway is away, an administrator sees to it.
    cloud.world.addon.authorized = {joined.token: "ann"}
    async with house(cloud, tmp_path) as gateway:
        cloud.world.addon.backend_url = gateway.url
        await listening(cloud, gateway)
        cloud.say("bob", left, "for nobody")
        cloud.say("bob", joined, "for the agent")
        (message,) = await gateway.heard()
        assert (message["text"], message["remote_name"]) == ("for the agent", "Joined")


@requirement("R-316")
async def test_the_addon_tells_where_the_bot_is(cloud: TalkEmulator, gateway: Hosted) -> None:
    """Nothing else does here: Talk tells the addon of no message, and rooms are looked at once a minute."""
    _, bot, _ = await connect(cloud, gateway)
    await until(lambda: any(path == "/api/nctalk/probe" for path, _, _ in cloud.addon.sent))
    cloud.addon.events = False
    room = cloud.group("Garden", "ann", bot)
    await until(lambda: cloud.addon.sent[-1][0] == "/api/nctalk/attendee-added")
    cloud.say("ann", room, "/activate")
    told = {"room_token": room.token, "bot_user_id": bot}
    await tell(cloud, gateway, "attendee-added", "again", told)
    await until(lambda: room.token in cloud.world.addon.authorized)
    cloud.remove(room, bot)
    await until(lambda: cloud.addon.sent[-1][0] == "/api/nctalk/attendee-removed")
    cloud.say("ann", room, "said while it was not there")
    cloud.add(room, "ann", bot)
    await until(lambda: cloud.addon.sent[-1][0] == "/api/nctalk/attendee-added")
    cloud.say("ann", room, "said to it")
    await tell(cloud, gateway, "attendee-added", "once more", told)
    assert [m["text"] for m in await gateway.heard()] == ["said to it"]


async def test_what_one_bot_was_told_is_not_told_to_another(cloud: TalkEmulator, gateway: Hosted) -> None:
    """All bots of a Nextcloud share a secret, and what is signed does not say whom it is for."""
    connection, ann, _ = await connect(cloud, gateway)
    told = {"room_token": "abc", "bot_user_id": ann}
    assert (await tell(cloud, gateway, "attendee-added", "once", told)).status_code == 200
    settings = dict(cloud.settings("bob"))
    async with gateway.neighbour() as other:
        others = await other.connect("nctalk", settings.pop("bot_token"), **settings)
        told["bot_user_id"] = settings["bot_login"]
        for random, status in (("once", 403), ("twice", 200)):
            assert (await tell(cloud, gateway, "attendee-added", random, told)).status_code == status
        disabled = await tell(cloud, gateway, "addon-disabled", "for both", {"nc_url": cloud.addon.url})
        assert disabled.status_code == 200
        await gateway.state(connection, "auth_needed")
        await other.state(others, "auth_needed")


@requirement("R-288", "R-324")
async def test_a_room_has_a_url_and_no_voice(cloud: TalkEmulator, gateway: Hosted) -> None:
    _, _, room = await connect(cloud, gateway)
    made = await gateway.post("/api/invite-link", platform="nctalk")
    assert made["url"] == f"{cloud.addon.url}/call/{room.token}"
    refused = await gateway.post("/api/call", 501, platform="nctalk", meeting_url=made["url"])
    assert refused["code"] == "NOT_AVAILABLE"
    cloud.say("ann", room, "but we can write")
    (message,) = await gateway.heard()
    await gateway.answer(message, "so we can")


@requirement("R-326")
@pytest.mark.parametrize("capabilities", [{}, {"capabilities": ["unified_send"], "e2ee_schemes": ["x"]}])
async def test_messages_go_by_talks_own_api_either_way(
    cloud: TalkEmulator, gateway: Hosted, capabilities: dict[str, Any]
) -> None:
    settings = cloud.settings("ann")
    handed = {
        "state": await begin(cloud, gateway),
        "nc_url": settings["nc_url"],
        "bot_login": settings["bot_login"],
        "bot_password": settings["bot_token"],
        "api_secret": settings["api_secret"],
        "app_id": "chamade_talk",
        "nc_username": "ann",
        **capabilities,
    }
    async with httpx2.AsyncClient(base_url=gateway.url) as addon:
        assert (await addon.post(CALLBACK, json=handed)).status_code == 200
    await connected(gateway)
    room = cloud.alone("ann", settings["bot_login"])
    cloud.say("ann", room, "hello")
    (message,) = await gateway.heard()
    await gateway.answer(message, "hello, Ann")
    assert [m["message"] for m in cloud.said(room, settings["bot_login"])] == ["hello, Ann"]


@requirement("R-303")
async def test_what_a_gateway_answers_at_once_is_said_by_talks_own_bot(
    cloud: TalkEmulator, tmp_path: Path
) -> None:
    """Ours leaves that, and answers as the bot user: an agent takes longer than a person's browser waits."""
    answers: dict[str, object] = {"a": {"message": "at once"}, "b": {}, "c": {"message": ""}}

    async def chat(request: Request) -> JSONResponse:
        return JSONResponse(answers[(await request.json())["message"]])

    @asynccontextmanager
    async def another(url: str) -> AsyncGenerator[ASGIApp]:
        cloud.world.addon.backend_url = url
        yield Starlette(routes=[Route("/api/nctalk/chat", chat, methods=["POST"])])

    cloud.user("ann")
    room = cloud.alone("ann", cloud.settings("ann")["bot_login"])
    async with serve(another):
        for number, text in enumerate(answers, 1):
            cloud.say("ann", room, text)
            await until(lambda count=number: len(cloud.addon.sent) == count)
    assert [m["message"] for m in room.messages if m["actorType"] == "bots"] == ["at once"]
    async with house(cloud, tmp_path) as gateway:
        _, _, room = await connect(cloud, gateway)
        cloud.say("ann", room, "hello")
        (message,) = await gateway.heard()
        await gateway.answer(message, "hello, Ann")
        assert not [m for m in room.messages if m["actorType"] == "bots"]


@requirement("R-312")
async def test_a_probe_that_comes_back_ends_the_frequent_looking(cloud: TalkEmulator, tmp_path: Path) -> None:
    database, settings = tmp_path / "chamade.db", cloud.settings("ann")
    migrate(database)
    async with open_house(database) as house:
        owner, idle = await house.owner(), house.clock.sleeping
        stored = StoredConnection(ConnectionId("conn_1"), owner.scope, Identity("bot", "Chamade"), "")
        told = {**settings, "hosts": urlsplit(cloud.addon.url).netloc}
        context = replace(house.context(Platform("nctalk"), stored, settings), settings=told)

        async def looks_within(seconds: float, nonce: str = "") -> int:
            """How often it looks into its rooms; `nonce` comes back at the beginning."""
            assert isinstance(link, Hooked)
            await until(lambda: house.clock.sleeping == idle + 1)
            before = cloud.ocs.listings
            if nonce:
                body = {"nonce": nonce, "bot_login": settings["bot_login"], "room_token": room.token}
                headers = {k.lower(): v for k, v in signed(cloud, secrets.token_hex(16)).items()}
                hook = Hook("POST", "/api/nctalk/probe", {}, headers, json.dumps(body).encode())
                assert (await link.receive(hook)).status == 200
            await house.clock.advance(seconds)
            await until(lambda: house.clock.sleeping == idle + 1)
            return cloud.ocs.listings - before

        async with connector.open(context) as link:
            room = cloud.alone("ann", settings["bot_login"])
            await until(lambda: len(cloud.told(room, settings["bot_login"])) == 2)
            assert await looks_within(2) == 1
            nonce = cloud.told(room, settings["bot_login"])[1].removeprefix("__chamade_probe:")[:-2]
            assert await looks_within(2, "0" * 32) == 1
            assert await looks_within(2, nonce) == 1
            assert await looks_within(55) == 0
            assert await looks_within(5) == 1
