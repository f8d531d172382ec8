"""A gateway whose operator has an app at the emulated Slack, and the owner's browser."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
from starlette.types import ASGIApp

from chamade_mcp.connectors.slack.emulated_world import App
from chamade_mcp.connectors.slack.emulator import SlackEmulator
from tests.support.hosted import Hosted, hosted
from tests.support.oauth import Person, fields_of
from tests.support.server import serve


@dataclass(frozen=True, slots=True)
class Shop:
    slack: SlackEmulator
    app: App
    gateway: Hosted
    browser: Person

    async def begin(self) -> str:
        """As the dashboard does: from the browser."""
        asked = await self.browser.http.post("/api/oauth/start/slack", headers={"origin": self.gateway.url})
        assert asked.status_code == 200, asked.text
        return asked.json()["auth_url"]

    async def agree(self, url: str, who: str, decision: str = "allow") -> str:
        """At Slack; where the browser is sent back to."""
        page = await self.browser.get(url)
        assert page.status_code == 200, page.text
        told = {**fields_of(page), "user": who, "decision": decision}
        back = await self.browser.post(url.partition("?")[0], told)
        assert back.status_code == 302, back.text
        return back.headers["location"]

    async def come_back(self, location: str) -> str:
        """Where on the dashboard the browser ends."""
        answer = await self.browser.get(location)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def install(self, who: str) -> dict[str, Any]:
        """The newest connection."""
        end = await self.come_back(await self.agree(await self.begin(), who))
        assert end == "/dashboard/platforms?connected=slack"
        connection = (await self.connections())[0]
        await self.gateway.state(connection["id"], "ok")
        return connection

    async def bring(self, name: str) -> tuple[str, str]:
        """An app of the owner's own, over Socket Mode; the connection and its token."""
        token = self.slack.new_app(name)
        app = self.slack.bot(token).app
        told = {"slack_signing_secret": app.signing_secret, "settings": {"app_token": app.app_token}}
        made = await self.gateway.post("/api/bot-tokens", platform="slack", bot_token=token, **told)
        await self.gateway.state(made["id"], "ok")
        return made["id"], token

    async def connections(self) -> list[dict[str, Any]]:
        listed = (await self.gateway.get("/api/platforms"))["connections"]
        return [one for one in listed if one["platform"] == "slack"]


def published() -> tuple[SlackEmulator, App]:
    slack = SlackEmulator()
    return slack, slack.publish("chamade")


def slack_at(slack: SlackEmulator) -> Callable[[str], AbstractAsyncContextManager[ASGIApp]]:
    @asynccontextmanager
    async def running(url: str) -> AsyncGenerator[ASGIApp]:
        del url
        async with slack.running():
            yield slack.app

    return running


@asynccontextmanager
async def opened(
    folder: Path,
    slack: SlackEmulator,
    app: App,
    url: str,
    beside: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> AsyncGenerator[Shop]:
    """`beside`: what who runs the gateway sets for other platforms. In the same folder it is the same gateway
    again."""
    secrets = {"client_secret": app.client_secret, "signing_secret": app.signing_secret}
    told = {"api_url": f"{url}/api", "client_id": app.client_id, **secrets}
    async with (
        hosted(folder / "data", {**beside, "slack": told}) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as http,
    ):
        app.redirect_urls = (f"{gateway.url}/connect/slack/callback",)
        assert await slack.listen(app, f"{gateway.url}/api/slack/webhook")
        browser = Person(http, gateway.url)
        await browser.sign_in()
        yield Shop(slack, app, gateway, browser)


@asynccontextmanager
async def shop(
    folder: Path, beside: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> AsyncGenerator[Shop]:
    slack, app = published()
    async with serve(slack_at(slack)) as url, opened(folder, slack, app, url, beside) as it:
        yield it
