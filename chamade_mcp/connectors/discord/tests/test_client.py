"""Discord's answers, told as ours; where its files are had from, and which limits are kept."""

import asyncio
import json
from collections.abc import Coroutine
from importlib.resources import files
from typing import Any

import httpx2
import pytest

from chamade_mcp.connectors.discord.buckets import Buckets
from chamade_mcp.connectors.discord.client import RestApi
from chamade_mcp.connectors.discord.messages import batches, nonce
from chamade_mcp.connectors.discord.sign_in import PERMISSIONS
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.errors import Gone, PlatformRefused
from chamade_mcp.model.ids import FileId
from chamade_mcp.model.messages import Attachment

BASE = "https://discord.com/api/v10"
MESSAGES = "/channels/{}/messages"


class Discord:
    """Answers all with one thing; knows who was asked what."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        self.asked: list[httpx2.Request] = []
        self.clock = VirtualClock()
        self._answer = status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers

    def api(self) -> RestApi:
        http = httpx2.AsyncClient(base_url=BASE, transport=httpx2.MockTransport(self._say))
        return RestApi(http, "token", Buckets(self.clock))

    def _say(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        status, body, headers = self._answer
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.Response(status, content=body, headers=named)


FORM = {
    "code": 50035,
    "message": "Invalid Form Body",
    "errors": {"content": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Too long."}]}},
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, {"message": "401: Unauthorized", "code": 0}, AuthNeeded, "401: Unauthorized"),
        (403, {"message": "Missing Permissions", "code": 50013}, PlatformRefused, "permission"),
        (400, FORM, PlatformRefused, "Invalid Form Body; content: Too long."),
        (400, FORM | {"errors": 5}, PlatformRefused, "Invalid Form Body"),
        (404, {"message": "New words", "code": 99}, PlatformRefused, "New words"),
        (413, b"<html>", PlatformRefused, "no file this large"),
        (500, {"message": "500", "code": 0}, Unanswered, "status 500"),
        (502, b"<html>", Unanswered, "status 502"),
        (520, b"<html>", Unanswered, "status 520"),
        (503, b"<html>", PlatformUnavailable, "status 503"),
        (403, b"<html>", PlatformUnavailable, "status 403"),
        (200, b"<html>", PlatformUnavailable, "status 200"),
    ],
)
async def test_errors(status: int, body: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        await Discord(status, body).api().call("POST", MESSAGES, "7", json={})


async def test_what_is_asked() -> None:
    discord = Discord(204, b"")
    assert (
        await discord.api().call("PUT", "/channels/{}/messages/{}/reactions/{}/@me", "7", "8", "\U0001f44d/")
        == {}
    )
    (asked,) = discord.asked
    assert asked.url.raw_path == b"/api/v10/channels/7/messages/8/reactions/%F0%9F%91%8D%2F/@me"
    assert asked.headers["authorization"] == "Bot token"


async def test_another_server_is_told_as_such() -> None:
    for status, body in ((200, {"id": 5}), (404, {"message": "no"}), (200, {})):
        with pytest.raises(PlatformUnavailable, match="another"):
            await Discord(status, body).api().me()


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        ({"message": "You are being rate limited.", "retry_after": 64.57, "global": False}, {}, 64.57),
        ({"message": "You are being rate limited.", "retry_after": 5, "global": True}, {}, 5.0),
        (b"error code: 1015", {"retry_after": "700"}, 700.0),
        (b"error code: 1015", {}, 60.0),
    ],
)
async def test_who_is_too_fast_is_told_when_to_come_again(
    body: Any, headers: dict[str, str], wait: float
) -> None:
    discord = Discord(429, body, **headers)
    api = discord.api()
    for _ in range(3):  # and nobody asks again before
        with pytest.raises(PlatformUnavailable) as told:
            await api.call("POST", MESSAGES, "7", json={})
        assert told.value.retry_after == pytest.approx(wait)
    assert len(discord.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://cdn.discordapp.com/attachments/1",
        "https://cdn.discordapp.com.example.org/1",
        "file:///etc/passwd",
    ],
)
async def test_files_are_had_from_discord_alone(url: str) -> None:
    files = [{"id": "9", "filename": "a", "url": url}]
    discord = Discord(200, {"id": "8", "channel_id": "7", "author": {"id": "1"}, "attachments": files})
    with pytest.raises(Gone):
        async with discord.api().download("7/8/9"):
            pass
    assert len(discord.asked) == 1


async def waited(clock: VirtualClock, turn: Coroutine[Any, Any, None]) -> float:
    """Seconds until a turn comes."""
    start, waiting = clock.monotonic(), asyncio.create_task(turn)
    await clock.advance(0)
    while not waiting.done():
        await clock.advance(0.1)
    await waiting
    return round(clock.monotonic() - start, 2)


async def test_a_bucket_is_not_asked_of_more_than_it_has() -> None:
    clock = VirtualClock()
    buckets, route = Buckets(clock), f"POST {MESSAGES}"
    told = {"x-ratelimit-limit": "5", "x-ratelimit-bucket": "b", "x-ratelimit-reset-after": "2.5"}
    assert await waited(clock, buckets.turn(route, "7")) == 0
    buckets.told(route, "7", told | {"x-ratelimit-remaining": "1"})
    assert await waited(clock, buckets.turn(route, "7")) == 0
    # Another channel has limits of its own.
    buckets.told(route, "8", told | {"x-ratelimit-remaining": "0"})
    assert await waited(clock, buckets.turn(route, "9")) == 0
    assert await waited(clock, buckets.turn(route, "7")) == 2.5
    # Five fit into each of the times that follow, before any answer has said so.
    assert [await waited(clock, buckets.turn(route, "7")) for _ in range(5)] == [0, 0, 0, 0, 2.5]


async def test_routes_that_share_a_bucket() -> None:
    clock = VirtualClock()
    buckets = Buckets(clock)
    told = {"x-ratelimit-limit": "1", "x-ratelimit-bucket": "b", "x-ratelimit-reset-after": "1"}
    buckets.told("PATCH x", "7", told | {"x-ratelimit-remaining": "0"})
    buckets.told("DELETE x", "7", told | {"x-ratelimit-remaining": "0"})
    assert await waited(clock, buckets.turn("PATCH x", "7")) == 1
    assert await waited(clock, buckets.turn("DELETE x", "7")) == 1


async def test_what_is_no_limit_is_none() -> None:
    clock = VirtualClock()
    buckets = Buckets(clock)
    for headers in ({}, {"x-ratelimit-limit": "x", "x-ratelimit-remaining": "0"}):
        buckets.told("GET x", "7", headers)
    assert await waited(clock, buckets.turn("GET x", "7")) == 0


async def test_all_requests_of_a_bot_together() -> None:
    clock = VirtualClock()
    buckets = Buckets(clock)
    assert {await waited(clock, buckets.turn("GET x", str(number))) for number in range(50)} == {0}
    assert await waited(clock, buckets.turn("POST callback", "", counted=False)) == 0
    assert await waited(clock, buckets.turn("GET x", "50")) > 0


def file(size: int) -> Attachment:
    return Attachment("a", "text/plain", size, "https://gateway/a", FileId("f_1"))


def test_files_in_as_few_messages_as_discord_takes() -> None:
    mib = 1024 * 1024
    assert batches([]) == [[]]
    assert [len(batch) for batch in batches([file(1)] * 12)] == [10, 2]
    assert [len(batch) for batch in batches([file(9 * mib)] * 5)] == [2, 2, 1]
    assert [len(batch) for batch in batches([file(25 * mib)] * 2)] == [1, 1]


def test_nonces() -> None:
    assert nonce("msg_1", 0) == nonce("msg_1", 0)
    assert len({nonce("msg_1", 0), nonce("msg_1", 1), nonce("msg_10", 0)}) == 3
    assert len(nonce("msg_1", 0)) <= 25


def test_the_page_names_what_a_bot_asks_for() -> None:
    page = files("chamade_mcp.connectors.discord").joinpath("connect.md").read_text(encoding="utf-8")
    assert f"&permissions={sum(1 << bit for bit in PERMISSIONS.values())}\n" in page
    for name in PERMISSIONS:
        assert name in page
