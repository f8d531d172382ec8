"""The emulated Slack, driven by slack_sdk and bolt: what apps in the wild take for Slack."""

from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from chamade_mcp.connectors.slack.emulated_world import Person
from chamade_mcp.connectors.slack.emulator import SlackEmulator
from tests.support.pip import pip_installed
from tests.support.script import line, result, script
from tests.support.server import serve
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("slack_client.py")
INSTALL = Path(__file__).with_name("slack_install_client.py")
PACKAGES = ("slack-sdk==3.47.0", "slack-bolt==1.30.0", "aiohttp==3.14.3")


@dataclass(frozen=True, slots=True)
class Driven:
    slack: SlackEmulator
    url: str
    python: Path
    token: str
    ann: Person
    direct: str
    ts: str
    """Of the first message there, by Ann."""

    def script(self, what: str) -> AbstractAsyncContextManager[Process]:
        app = self.slack.bot(self.token).app
        given = (self.url, self.token, app.app_token, app.signing_secret, self.direct, self.ts)
        return script(self.python, SCRIPT, what, *given)

    async def run(self, what: str) -> dict[str, Any]:
        async with self.script(what) as process:
            return await result(process)


@pytest.fixture(scope="session")
def python() -> Path:
    return pip_installed(ROOT / "build" / "slack_sdk", PACKAGES)


@pytest.fixture
async def driven(python: Path) -> AsyncGenerator[Driven]:
    slack = SlackEmulator()

    @asynccontextmanager
    async def app(url: str) -> AsyncGenerator[ASGIApp]:
        async with slack.running():
            yield slack.app

    async with serve(app) as url:
        token, ann = slack.new_app("helper"), slack.person("Ann")
        ts = slack.say(token, ann, "first")
        yield Driven(slack, url, python, token, ann, slack.direct(token, ann), ts)


async def test_slack_sdk_finds_what_it_knows(driven: Driven) -> None:
    told = await driven.run("drive")
    assert told == {
        "me": ["Acme", "helper", True],
        "channel": [driven.direct, True],
        "person": "Ann",
        "opened": driven.direct,
        "said": ["plain &amp; simple", driven.ts],
        "changed": ["changed", True],
        "files": ["a.txt", 10, 2],
        "downloaded": "body of it",
        "without a token": "text/html",
        "deleted": True,
        "refusals": [
            "200 channel_not_found",
            "200 no_text",
            "200 invalid_blocks",
            "200 message_not_found",
            "200 cant_update_message",
            "200 already_reacted",
            "200 file_not_found",
            "200 user_not_found",
            "200 invalid_auth",
            "200 invalid_auth",
            "200 unknown_method",
        ],
    }
    await until(lambda: driven.slack.said(driven.token, driven.direct))
    (said,) = driven.slack.said(driven.token, driven.direct)
    assert (said["text"], driven.slack.content(said)) == ("two", [b"body of it", b"more"])
    assert driven.slack.reactions(driven.direct, driven.ts) == ["tada"]


async def test_slack_sdk_is_told_when_it_is_too_fast(driven: Driven) -> None:
    driven.slack.flood(driven.direct, 29)
    told = await driven.run("flood")
    assert told["status"] == 429
    assert 0 < told["retry_after"] <= 30


async def test_slack_sdk_hears_over_socket_mode(driven: Driven) -> None:
    async with driven.script("socket") as process:
        assert await line(process) == "ready"
        assert await result(process) == {"heard": ["events_api", "first"]}
    (said,) = driven.slack.said(driven.token, driven.direct)
    assert said["text"] == "heard over the socket"


async def test_bolt_takes_the_webhooks_for_slacks(driven: Driven) -> None:
    async with driven.script("bolt") as process:
        port = await line(process)
        assert await driven.slack.subscribe(driven.token, f"http://127.0.0.1:{port}/slack/events")
        driven.slack.say(driven.token, driven.ann, "hello there")
        assert await result(process) == {"heard": "hello there"}
    (said,) = driven.slack.said(driven.token, driven.direct)
    assert said["text"] == "bolt heard hello there"


async def test_bolt_installs_an_app(driven: Driven, tmp_path: Path) -> None:
    app = driven.slack.publish("bolted")
    who = (driven.ann.id, driven.ann.team)
    given = (driven.url, app.client_id, app.client_secret, app.signing_secret, *who)
    async with script(driven.python, INSTALL, *given, tmp_path) as process:
        app.redirect_urls = (f"http://127.0.0.1:{await line(process)}/slack/oauth_redirect",)
        app.token_life_s = 43_200.0
        assert process.stdin is not None, "piped"
        process.stdin.write(b"go\n")
        told = await result(process)
    assert told == {
        "denied": 200,
        "allowed": [200, True],
        "kept": ["Acme", True, ["chat:write", "im:write", "users:read"]],
        "me": True,
        "refusals": ["code_already_used", "invalid_code", "invalid_client_id", "bad_client_secret"],
        "renewed": True,
        "twice": "invalid_refresh_token",
        "revoked": True,
        "after": "token_revoked",
    }
    assert driven.slack.installed(app) == []
