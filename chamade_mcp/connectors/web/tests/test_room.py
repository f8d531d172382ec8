"""The room as people meet it: real sockets on a real server."""

import asyncio
import json
import logging
from contextlib import AsyncExitStack

import pytest

from chamade_mcp.connectors.web import place
from chamade_mcp.connectors.web.tests.harness import SCOPE, World, eventually
from chamade_mcp.model.ids import CallId

CALL = CallId("call_1")


async def test_the_welcome_describes_the_room(world: World) -> None:
    token = await world.room("Ada")
    async with world.page(token) as page:
        await page.enter("Ann")
        welcome = page.welcome
    assert welcome["kind"] == "room"
    assert welcome["title"] == "Room with Ada"
    assert welcome["agent_name"] == "Ada"
    assert welcome["participants"] == [
        {"id": welcome["you"], "name": "Ann", "kind": "person", "muted": False}
    ]
    assert welcome["messages"] == []
    assert (welcome["sample_rate"], welcome["frame_ms"]) == (48000, 20)
    assert welcome["limits"] == {"text": 10000, "file_bytes": world.files.max_bytes}


async def test_people_come_change_and_go(world: World) -> None:
    token = await world.room()
    async with world.page(token) as ann:
        await ann.enter("Ann")
        async with world.page(token) as ben:
            await ben.enter("Ben", muted=True)
            joined = await ann.expect("joined")
            assert joined["participant"] == {
                "id": ben.id, "name": "Ben", "kind": "person", "muted": True,
            }  # fmt: skip
            assert [p["name"] for p in ben.welcome["participants"]] == ["Ann", "Ben"]
            await ben.say("mute", muted=False)
            assert (await ann.expect("changed"))["participant"]["muted"] is False
            await ben.say("rename", name="Benjamin")
            assert (await ann.expect("changed"))["participant"]["name"] == "Benjamin"
            await ben.say("rename", name="Benjamin")
            await ben.say("typing")
            assert await ann.next() == {"type": "typing", "id": ben.id, "name": "Benjamin"}
            await ben.say("typing")
            assert await ben.until_ping("typing") == []
        assert await ann.next() == {"type": "left", "id": ben.id}


async def test_chat_goes_to_everybody_and_is_acknowledged(world: World) -> None:
    token = await world.room()
    async with world.page(token) as ann, world.page(token) as ben:
        await ann.enter("Ann")
        await ben.enter("Ben")
        await ann.say("chat", key="k1", text="hello\r\nworld\u202e")
        shown = (await ben.expect("chat"))["message"]
        assert shown == (await ann.expect("chat"))["message"]
        assert (shown["text"], shown["sender"], shown["sender_id"]) == ("hello\nworld", "Ann", ann.id)
        assert shown["at"] == "2026-11-20T12:00:00.000000Z"
        assert await ann.expect("ack") == {"type": "ack", "key": "k1", "id": shown["id"]}
        await ann.say("chat", key="k1", text="hello")
        assert (await ann.expect("ack"))["id"] == shown["id"]
        assert await ben.until_ping("chat") == []
        await ben.say("chat", key="k1", text="the same key of another person")
        assert (await ann.expect("chat"))["message"]["sender"] == "Ben"
        async with world.page(token) as cid:
            await cid.enter("Cid")
            assert [m["sender"] for m in cid.welcome["messages"]] == ["Ann", "Ben"]


async def test_a_room_remembers_200_messages_and_nothing_once_it_is_empty(world: World) -> None:
    token = await world.room()
    async with world.page(token) as ann:
        await ann.enter("Ann")
        for n in range(205):
            if n % 20 == 0:
                world.clock.advance(11)
            await ann.say("chat", key=str(n), text=f"message {n}")
            await ann.expect("ack")
        async with world.page(token) as ben:
            await ben.enter("Ben")
            assert [m["text"] for m in ben.welcome["messages"]] == [f"message {n}" for n in range(5, 205)]
        await ann.expect("left")
    async with world.page(token) as again:
        await eventually(lambda: world.invites.watchers == 1)  # for what no agent has been told
        await again.enter("Ann")
        assert again.welcome["messages"] == []


async def test_refusals_leave_the_socket_open(world: World) -> None:
    async with world.page(await world.room()) as page:
        await page.enter()
        for frame, code in [
            ("no json", "INVALID_MESSAGE"),
            ('{"type":"hello","name":"Ann"}', "INVALID_MESSAGE"),
            ('{"type":"call"}', "INVALID_MESSAGE"),
            ('{"type":"hang_up"}', "INVALID_MESSAGE"),
            (b"\0", "INVALID_MESSAGE"),
            (json.dumps({"type": "chat", "key": "1", "text": "x" * 10_001}), "TEXT_TOO_LONG"),
            ('{"type":"chat","key":"2","text":"","attachments":["f_none"]}', "UNKNOWN_FILE"),
        ]:
            await page.socket.send(frame)
            assert (await page.next())["code"] == code
        await page.say("ping", t=42.5)
        assert await page.next() == {"type": "pong", "t": 42.5}


async def test_too_many_messages_are_refused_for_a_while(world: World) -> None:
    async with world.page(await world.room()) as page:
        await page.enter()
        for n in range(21):
            await page.say("chat", key=str(n), text="again")
        refused = await page.expect("error")
        assert (refused["code"], refused["key"]) == ("RATE_LIMITED", "20")
        world.clock.advance(10)
        await page.say("chat", key="20", text="again")
        while (await page.expect("ack"))["key"] != "20":
            pass


async def test_the_same_guest_returns_in_place_of_the_older_socket(world: World) -> None:
    token = await world.room()
    async with world.page(token) as watcher, world.page(token) as older:
        await watcher.enter("Wes")
        await older.enter("Ann")
        await watcher.expect("joined")
        async with world.page(token) as newer:
            await newer.enter("Ann", older.secret)
            assert newer.id == older.id
            assert await older.closed() == (4409, "replaced")
            assert await watcher.until_ping("joined") == await watcher.until_ping("left") == []
            await newer.say("chat", key="k", text="still me")
            assert (await watcher.expect("chat"))["message"]["sender_id"] == older.id
        assert (await watcher.expect("left"))["id"] == older.id


async def test_a_secret_is_worth_nothing_elsewhere(world: World) -> None:
    token, other = await world.room(), await world.room()
    async with world.page(token) as ann:
        await ann.enter()
        forged = ann.secret[:-1] + ("A" if ann.secret[-1] != "A" else "B")
        for link, secret in ((other, ann.secret), (token, forged), (token, "guest_x.y")):
            async with world.page(link) as page:
                await page.enter("Eve", secret)
                assert page.id != ann.id


@pytest.mark.parametrize(("end", "reason"), [("revoke", "revoked"), ("expire", "expired")])
async def test_a_link_that_goes_disconnects_everybody(world: World, end: str, reason: str) -> None:
    token = await world.room()
    async with world.page(token) as ann, world.page(token) as ben:
        await ann.enter("Ann")
        await ben.enter("Ben")
        (world.invites.revoke if end == "revoke" else world.invites.expire)(token)
        assert await ann.closed() == (4404, reason)
        assert await ben.closed() == (4404, reason)
    async with world.page(token) as late:
        assert await late.closed() == (4404, None)
    async with world.page("never-issued") as unknown:
        assert await unknown.closed() == (4404, None)
    await eventually(lambda: world.invites.watchers == 0)


async def test_a_link_revoked_before_hello_shows_nothing(world: World) -> None:
    token = await world.room()
    async with world.page(token) as page:
        await page.say("ping", t=1)
        assert (await page.next())["code"] == "INVALID_MESSAGE"
        world.invites.revoke(token)
        await page.say("hello", name="Ann")
        assert await page.closed() == (4404, None)


async def test_who_says_no_hello_is_sent_away(world: World) -> None:
    async with world.page(await world.room()) as page:
        await page.socket.send(b"\0\0")
        assert (await page.next())["code"] == "INVALID_MESSAGE"
        world.clock.advance(10)
        assert await page.closed() == (4408, None)


async def test_frames_over_a_mebibyte_end_the_socket(world: World) -> None:
    token = await world.room()
    async with world.page(token) as page:
        await page.socket.send("x" * ((1 << 20) + 1))
        assert await page.closed() == (1009, None)
    async with world.page(token) as page:
        await page.enter()
        await page.socket.send(bytes((1 << 20) + 2))
        assert await page.closed() == (1009, None)


async def test_foreign_pages_are_kept_out(world: World) -> None:
    token = await world.room()
    for origin in ("https://evil.example", "null", "https://talk.example.org.evil.example", "https://[::"):
        async with world.page(token, Origin=origin) as page:
            assert await page.closed() == (1008, None)
    for origin in ("https://talk.example.org", f"http://{world.netloc}"):
        async with world.page(token, Origin=origin) as page:
            await page.enter()


async def test_a_full_room_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "MAX_GUESTS", 2)
    token = await world.room()
    async with AsyncExitStack() as stack:
        first, second, third, back = [await stack.enter_async_context(world.page(token)) for _ in range(4)]
        await first.enter("1")
        await second.enter("2")
        await third.say("hello", name="3")
        assert await third.closed() == (4429, "full")
        await back.enter("1", first.secret)
        assert len(back.welcome["participants"]) == 2


async def test_a_reader_who_is_lost_is_cut_off_and_holds_up_nobody(world: World) -> None:
    token = await world.room()
    async with world.page(token) as ann, world.page(token) as writer:
        await ann.enter("Ann")
        await writer.enter("Will")
        stalled = await asyncio.open_connection(*world.netloc.split(":"), limit=1 << 10)
        await _enter_and_stop_reading(*stalled, token)
        await writer.expect("joined")
        text = "x" * 10_000
        seen = 0
        for n in range(3000):  # socket buffers hold a few megabytes before anything is stuck
            if n % 20 == 0:
                world.clock.advance(11)
            await writer.say("chat", key=str(n), text=text)
            await writer.expect("ack")
            seen = n + 1
            assert len((await ann.expect("chat"))["message"]["text"]) == 10_000
            if stalled_guests(world) == 2:
                break
        else:
            pytest.fail("the stalled reader was never cut off")
        assert seen > 100
        stalled[1].transport.abort()


def stalled_guests(world: World) -> int:
    world.clock.advance(3)
    return world.invites.watchers


async def _enter_and_stop_reading(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str
) -> None:
    """A client that shakes hands, says hello and never reads again."""
    writer.write(
        f"GET /live/web/{token} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    hello = b'{"type":"hello","name":"Slow"}'
    writer.write(bytes([0x81, 0x80 | len(hello)]) + bytes(4) + hello)
    await writer.drain()
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()


async def test_no_token_reaches_a_log_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "chamade_mcp")
    token = await world.room()
    async with world.page(token) as page:
        await page.enter()
        world.core.refused = RuntimeError("disk full")
        async with world.link.calls.join(
            SCOPE, await world.link.calls.locate(f"https://talk.example.org/r/{token}"), CALL, "Ada"
        ):
            await page.say("chat", key="k", text="hi")
            assert (await page.expect("error"))["code"] == "STORE_FAILED"
        world.invites.revoke(token)
        await page.closed()
        assert caplog.records
        assert not [r for r in caplog.records if token in r.getMessage() or page.secret in r.getMessage()]
