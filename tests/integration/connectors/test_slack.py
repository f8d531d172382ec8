"""Slack: people write, the agent answers, over the emulated Web API, webhooks and Socket Mode."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import ASGIApp

from chamade_mcp.connectors.slack.emulator import SlackEmulator
from chamade_mcp.connectors.slack.signing import SIGNATURE, TIMESTAMP, signature
from tests.support.hosted import Hosted, corrected_and_reacted, eventually, hosted
from tests.support.requirement import requirement
from tests.support.server import serve
from tests.support.waiting import until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
WEBHOOK = "/api/slack/webhook"
SOCKET = "socket"


@dataclass(frozen=True, slots=True)
class Office:
    """A gateway, and the workspace its app is in."""

    slack: SlackEmulator
    gateway: Hosted
    way: str
    """Where events go: a path of the gateway's, or `SOCKET`."""

    async def connect(self, token: str, expect: int = 200, **more: Any) -> str:
        """The connection's id, once its link is up and events come."""
        made = await self.register(token, expect, **more)
        connection: str = made["id"]
        await self.gateway.state(connection, "ok")
        if self.way != SOCKET:
            assert await self.slack.subscribe(token, self.gateway.url + self.way)
        return connection

    async def register(self, token: str, expect: int = 200, **more: Any) -> dict[str, Any]:
        app = self.slack.bot(token).app
        bot = {
            "platform": "slack",
            "bot_token": token,
            "slack_signing_secret": app.signing_secret,
            "access": "open",
        }
        settings = {"settings": {"app_token": app.app_token}} if self.way == SOCKET else {}
        return await self.gateway.post("/api/bot-tokens", expect, **{**bot, **settings, **more})


@asynccontextmanager
async def office(folder: Path, way: str) -> AsyncGenerator[Office]:
    slack = SlackEmulator()

    @asynccontextmanager
    async def app(url: str) -> AsyncGenerator[ASGIApp]:
        async with slack.running():
            yield slack.app

    async with (
        serve(app) as url,
        hosted(folder / "data", {"slack": {"api_url": f"{url}/api"}}) as gateway,
    ):
        yield Office(slack, gateway, way)


@pytest.fixture(params=[WEBHOOK, SOCKET])
async def anyway(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path, request.param) as it:
        yield it


@pytest.fixture
async def hooked(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path, WEBHOOK) as it:
        yield it


@pytest.fixture
async def socketed(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path, SOCKET) as it:
        yield it


@requirement("R-281", "R-282", "R-283")
async def test_a_stranger_asks_and_is_let_in(anyway: Office) -> None:
    slack, gateway = anyway.slack, anyway.gateway
    token = slack.new_app("helper")
    connection = await anyway.connect(token, access="pairing")
    ann = slack.person("Ann Lee")
    direct = slack.direct(token, ann)
    slack.say(token, ann, "hello?")
    await until(lambda: slack.said(token, direct))
    assert await gateway.conversations() == []
    (asking,) = (await gateway.get("/api/pairings"))["pairings"]
    assert asking["code"] in slack.said(token, direct)[0]["text"]
    await gateway.post(f"/api/pairings/{asking['id']}/approve")
    slack.say(token, ann, "see &lt;this&gt; &amp; <https://example.org/?a=1&amp;b=2|that>")
    (message,) = await gateway.heard()
    assert message["text"] == "see <this> & [that](https://example.org/?a=1&b=2)"
    assert (message["sender"], message["attachments"]) == ("Ann Lee", [])
    await gateway.answer(message, "**Hi** <Ann> & co: [docs](https://example.org/)")
    said = slack.said(token, direct)[-1]
    assert said["text"] == "*Hi* &lt;Ann&gt; &amp; co: <https://example.org/|docs>"
    assert "thread_ts" not in said
    assert (await gateway.post(f"/api/connections/{connection}/test"))["name"] == "@helper (Acme)"


@requirement("R-106")
async def test_a_message_is_answered_changed_and_taken_back(anyway: Office) -> None:
    slack, gateway = anyway.slack, anyway.gateway
    token = slack.new_app("helper")
    await anyway.connect(token)
    ann = slack.person("Ann")
    direct = slack.direct(token, ann)
    ts = slack.say(token, ann, "first")
    (message,) = await gateway.heard()
    typing = {name: message[name] for name in ("platform", "conversation_id")}
    assert await gateway.post("/api/dm/typing", **typing) == {"status": "ok"}
    sent = await gateway.answer(message, "answer", reply_to=message["id"])
    (said,) = slack.said(token, direct)
    assert said["thread_ts"] == ts
    path = f"/api/messages/{sent['message_id']}"
    for _ in range(2):  # the same again is harmless
        changed = await gateway.api.patch(path, json={"text": "a *better* answer"})
        assert changed.status_code == 200, changed.text
    assert slack.said(token, direct)[0]["text"] == "a _better_ answer"
    for _ in range(2):
        await gateway.post(f"/api/messages/{message['id']}/react", emoji="\U0001f44d")
    assert slack.reactions(direct, ts) == ["+1"]
    await gateway.post(f"/api/messages/{message['id']}/react", emoji="\U0001f44d", remove=True)
    assert slack.reactions(direct, ts) == []
    slack.edit(direct, ts, "first, corrected")
    slack.react(ann, direct, said["ts"], "tada")
    _, answer = await gateway.shows(corrected_and_reacted)
    assert answer["reactions"] == [{"emoji": "\U0001f389", "sender": "Ann"}]
    slack.delete(direct, ts)
    assert (await gateway.api.delete(path)).status_code == 200
    assert slack.said(token, direct) == []
    # What the app said came back to it as events, and was nobody's message.
    assert len(await gateway.heard(1)) <= 1


@requirement("R-153")
async def test_files_go_both_ways(anyway: Office) -> None:
    slack, gateway = anyway.slack, anyway.gateway
    token = slack.new_app("helper")
    await anyway.connect(token)
    ann = slack.person("Ann")
    direct = slack.direct(token, ann)
    slack.send_file(token, ann, "cat.png", PNG, "image/png", text="look")
    lost = slack.send_file(token, ann, "t.csv", b"a,b\n", "text/csv")
    slack.lose(direct, lost)
    heard = await gateway.heard(2)
    assert [m["text"] for m in heard] == ["look", ""]
    files = [m["attachments"][0] for m in heard]
    assert [(f["name"], f["mime"]) for f in files] == [("cat.png", "image/png"), ("t.csv", "text/csv")]
    async with httpx2.AsyncClient() as anybody:
        assert (await anybody.get(files[0]["url"])).content == PNG
        gone = await anybody.get(files[1]["url"])
    assert (gone.status_code, gone.json()["code"]) == (410, "FILE_GONE")
    assert token not in json.dumps(heard)
    hello = {"bytes_b64": "aGVsbG8=", "name": 'h\u00e9 "llo".txt', "mime": "text/plain"}
    sent = await gateway.answer(heard[0], "yours", attachments=[{"url": files[0]["url"]}, hello])
    await until(lambda: slack.said(token, direct))
    (said,) = slack.said(token, direct)
    assert (said["text"], slack.content(said)) == ("yours", [PNG, b"hello"])
    assert [file["name"] for file in said["files"]] == ["cat.png", 'h\u00e9 "llo".txt']
    path = f"/api/messages/{sent['message_id']}"
    await gateway.newest_is("delivered")
    assert (await gateway.api.delete(path)).status_code == 200
    assert slack.said(token, direct) == []


@requirement("R-282", "R-283")
async def test_channels_threads_and_mentions(anyway: Office) -> None:
    slack, gateway = anyway.slack, anyway.gateway
    token = slack.new_app("helper")
    await anyway.connect(token)
    ann, bob = slack.person("Ann"), slack.person("Bob")
    general = slack.new_channel(token, "general", ann, bob)
    me = slack.bot(token).user
    first = slack.say(token, ann, "for everybody", channel=general)
    heard = await gateway.heard()
    slack.say(token, bob, f"<@{me}> ask <@{ann.id}>", channel=general, thread=first)
    heard = await gateway.heard(2)
    assert [(m["text"], m.get("mentions_me", False), m.get("thread")) for m in heard] == [
        ("for everybody", False, None),
        ("@helper ask @Ann", True, first),  # and told once, though Slack tells of it twice
    ]
    assert heard[1]["sender"] == "Bob"
    (conversation,) = await gateway.conversations()
    assert conversation["remote_name"] == "#general"
    await gateway.answer(heard[0], "in the channel")
    await gateway.answer(heard[1], "in the thread", reply_to=heard[1]["id"])
    assert [(m["text"], m.get("thread_ts")) for m in slack.said(token, general)] == [
        ("in the channel", None),
        ("in the thread", first),
    ]
    slack.archive(general)
    refused = await gateway.answer(heard[0], "still there?", 502)
    assert "archived" in refused["detail"]


async def test_a_token_that_is_revoked_waits_for_another(anyway: Office) -> None:
    slack, gateway = anyway.slack, anyway.gateway
    token = slack.new_app("helper")
    connection = await anyway.connect(token)
    ann = slack.person("Ann")
    direct = slack.direct(token, ann)
    slack.say(token, ann, "hello")
    (message,) = await gateway.heard()
    slack.flood(direct, 1)
    await gateway.answer(message, "waits", 202)
    new = slack.reinstall(token)
    await gateway.state(connection, "auth_needed")
    refused = await gateway.answer(message, "at once", 503)
    assert refused["code"] == "RECONNECT_NEEDED"
    wrong = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": token})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "CREDENTIALS_REFUSED")
    right = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": new})
    assert right.status_code == 200, right.text
    await until(lambda: slack.said(new, direct))
    assert slack.said(new, direct)[0]["text"] == "waits"


async def test_what_cannot_be_right_is_told_on_saving(socketed: Office) -> None:
    slack = socketed.slack
    token = slack.new_app("helper")
    told = await socketed.register(token, 422, bot_token="xoxp-1")
    assert told["errors"][0]["field"] == "bot_token"
    told = await socketed.register(token, 422, settings={"app_token": token})
    assert told["errors"][0]["field"] == "app_token"
    assert slack.calls == {}
    told = await socketed.register(token, 400, settings={"app_token": "xapp-1"})
    assert told["detail"] == "Slack refuses these credentials: invalid_auth"
    slack.narrow(token, "users:read")
    told = await socketed.register(token, 400)
    assert "scope users:read" in told["detail"]


@requirement("R-281")
async def test_one_address_for_many_apps(hooked: Office) -> None:
    slack, gateway = hooked.slack, hooked.gateway
    token = slack.new_app("helper")
    tokens = [token, slack.install(token, "Beta"), slack.new_app("other")]
    for one in tokens:
        await hooked.connect(one)
    for one, name in zip(tokens, ("Ann", "Bob", "Cyd"), strict=True):
        slack.say(one, slack.person(name), f"hello from {name}")
    heard = await gateway.heard(3)
    assert sorted(m["text"] for m in heard) == [f"hello from {name}" for name in ("Ann", "Bob", "Cyd")]
    assert len({m["conversation_id"] for m in heard}) == 3
    for message in heard:
        await gateway.answer(message, f"hi {message['sender']}")
    assert [len(slack.said(one, place)) for one in tokens for place in slack.directs(one)] == [1, 1, 1]


async def test_webhooks_that_are_not_slacks(hooked: Office) -> None:
    slack, gateway = hooked.slack, hooked.gateway
    token = slack.new_app("helper")
    connection = await hooked.connect(token)
    bot = slack.bot(token)
    event = {"type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "text": "x", "ts": "1.1"}
    body = {"type": "event_callback", "api_app_id": bot.app.id, "team_id": bot.team, "event": event}
    raw = json.dumps(body).encode()
    # A stale one is refused, however well it is signed.
    old = "1700000000"
    stale = {SIGNATURE: signature(bot.app.signing_secret, old, raw), TIMESTAMP: old}
    async with httpx2.AsyncClient(base_url=gateway.url) as anybody:
        for path in (WEBHOOK, f"/api/hooks/slack/{connection}"):
            for headers in ({}, {"x-slack-signature": "v0=00", "x-slack-request-timestamp": "now"}, stale):
                answer = await anybody.post(path, content=raw, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "HOOK_REFUSED")
            assert (await anybody.post(path, content=b"{")).status_code == 403
        challenge = {"type": "url_verification", "challenge": "<b>x"}
        asked = await anybody.post(WEBHOOK, json=challenge)
        assert (asked.status_code, asked.text) == (200, "<b>x")
        assert asked.headers["content-type"].startswith("text/plain")
    # Signed rubbish is taken, and does no harm: Slack would bring it again.
    own = replace(bot.app, request_url=f"{gateway.url}/api/hooks/slack/{connection}")
    for rubbish in (b"{}", b"[1]", b"\xff", raw.replace(b'"1.1"', b"11"), raw.replace(b'"event"', b'"evil"')):
        answer = await slack.delivery.post_once(own, rubbish)
        assert answer.status_code == 200, answer.text
    elsewhere = await slack.delivery.post_once(own, raw.replace(bot.team.encode(), b"T0"))
    assert elsewhere.status_code == 403
    assert await gateway.conversations() == []
    assert (await slack.delivery.post_once(own, raw)).status_code == 200
    assert [m["text"] for m in await gateway.heard()] == ["x"]


async def test_an_event_that_comes_again_is_one(hooked: Office) -> None:
    slack, gateway = hooked.slack, hooked.gateway
    token = slack.new_app("helper")
    await hooked.connect(token)
    bot = slack.bot(token)
    event = {"type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "text": "x", "ts": "1.1"}
    body = {"type": "event_callback", "api_app_id": bot.app.id, "team_id": bot.team, "event": event}
    for number in ("1", "2"):
        told = {"x-slack-retry-num": number, "x-slack-retry-reason": "http_timeout"}
        answer = await slack.delivery.post_once(bot.app, json.dumps(body).encode(), told)
        assert answer.status_code == 200
    (message,) = await gateway.heard()
    assert message["sender"] == "U1"  # nobody knows the name


@requirement("R-269")
async def test_the_platforms_limits_are_kept(hooked: Office) -> None:
    slack, gateway = hooked.slack, hooked.gateway
    token = slack.new_app("helper")
    await hooked.connect(token)
    ann = slack.person("Ann")
    direct = slack.direct(token, ann)
    slack.say(token, ann, "hello")
    (message,) = await gateway.heard()
    await gateway.answer(message, "x" * 3000)
    words = "Some words of a paragraph. " * 50
    sent = await gateway.answer(message, "\n\n".join([words] * 7))
    short, long = slack.said(token, direct)
    assert "blocks" not in short
    texts = [block["text"]["text"] for block in long["blocks"]]
    assert len(texts) == 4
    assert all(len(text) <= 3000 for text in texts)
    assert "\n\n".join(texts).split() == (words * 7).split()
    path = f"/api/messages/{sent['message_id']}"
    assert (await gateway.api.patch(path, json={"text": "short again"})).status_code == 200
    changed = slack.said(token, direct)[-1]
    assert (changed["text"], "blocks" in changed) == ("short again", False)
    await gateway.answer(message, "&" * 8000)  # 40,000 characters, escaped
    refused = await gateway.answer(message, "&" * 8001, 502)
    assert refused["errors"][0]["message"] == "has 40005 characters; slack takes 40000"
    slack.flood(direct, 1)
    assert (await gateway.answer(message, "later", 202))["status"] == "pending"
    await until(lambda: slack.said(token, direct)[-1]["text"] == "later")


async def test_what_slack_may_have_done_is_unknown(hooked: Office) -> None:
    slack, gateway = hooked.slack, hooked.gateway
    token = slack.new_app("helper")
    await hooked.connect(token)
    slack.say(token, slack.person("Ann"), "hello")
    (message,) = await gateway.heard()
    slack.silent.add("chat.postMessage")
    told = await gateway.answer(message, "did it arrive?", 502)
    assert told["outcome"] == "unknown"
    slack.silent = {"files.completeUploadExternal"}
    hello = {"bytes_b64": "aGVsbG8=", "name": "a.txt", "mime": "text/plain"}
    await gateway.answer(message, "with a file", attachments=[hello])

    async def unknown() -> bool:
        (one,) = await gateway.conversations()
        return [m["status"] for m in one["messages"][1:]] == ["unknown", "unknown"]

    await eventually(unknown)
    assert slack.calls["files.completeUploadExternal"] == 1
    slack.silent = set()
    slack.narrow(token, "chat:write")
    told = await gateway.answer(message, "may I?", 502)
    assert told["detail"] == "The app has not the scope chat:write: add it and install it anew"


async def test_an_outage_is_over_some_day(socketed: Office) -> None:
    slack, gateway = socketed.slack, socketed.gateway
    token = slack.new_app("helper")
    connection = await socketed.connect(token)
    app, ann = slack.bot(token).app, slack.person("Ann")
    direct = slack.direct(token, ann)
    slack.say(token, ann, "hello")
    (message,) = await gateway.heard()
    slack.down = True
    await slack.delivery.cut(app)
    await gateway.state(connection, "unavailable")
    slack.say(token, ann, "while it is down")
    answer = await gateway.answer(message, "waits", 202)
    assert answer["status"] == "pending"
    slack.down = False
    await gateway.heard(2)
    await until(lambda: slack.said(token, direct))
    assert [m["text"] for m in slack.said(token, direct)] == ["waits"]


async def test_a_socket_that_ends_is_followed_by_another(socketed: Office) -> None:
    slack, gateway = socketed.slack, socketed.gateway
    token = slack.new_app("helper")
    connection = await socketed.connect(token)
    app, ann = slack.bot(token).app, slack.person("Ann")
    await until(lambda: slack.delivery.open_sockets(app) == 1)
    for number in range(3):
        await slack.delivery.refresh(app, "warning")
        slack.say(token, ann, f"over the seam {number}")
        heard = await gateway.heard(number + 1)
        assert heard[-1]["text"] == f"over the seam {number}"
    for rubbish in ("{", "[]", '{"type": "new"}', '{"type": "events_api", "envelope_id": "e", "payload": 1}'):
        await slack.delivery.scribble(app, rubbish)
    slack.say(token, ann, "after rubbish")
    assert (await gateway.heard(4))[-1]["text"] == "after rubbish"
    assert slack.calls["auth.test"] == 2  # on saving and on opening: the link stayed
    await slack.delivery.refresh(app, "link_disabled")
    await gateway.state(connection, "auth_needed")
