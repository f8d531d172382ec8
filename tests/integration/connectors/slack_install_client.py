"""Run with an interpreter that has slack_sdk, bolt and aiohttp: installs an app in the emulated Slack.

Arguments: base URL, client id, client secret, signing secret, who installs it and their workspace, by their
ids, a folder to keep things in. First says its port, so that the emulator can be told where people come back
to; then waits for a line. Says what it saw as JSON, in its last line.
"""

# pyright: basic, reportMissingImports=false
import asyncio
import json
import re
import socket
import sys
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth.installation_store import FileInstallationStore
from slack_sdk.oauth.state_store import FileOAuthStateStore
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

SCOPES = ["chat:write", "users:read", "im:write"]


@dataclass
class Given:
    base: str
    client_id: str
    client_secret: str
    secret: str
    user: str
    team: str
    folder: str

    def client(self, token: str | None = None) -> AsyncWebClient:
        return AsyncWebClient(token, base_url=f"{self.base}/api/")


async def refusal(call: Any) -> str:
    try:
        await call
    except SlackApiError as error:
        return str(error.response["error"])
    return "nothing"


async def agree(http: aiohttp.ClientSession, start: str, user: str, decision: str) -> tuple[int, str]:
    """As a person in a browser, from bolt's page to bolt's page; the status and the address in the end."""
    async with http.get(start) as page:
        url = re.search(r'href="([^"]+authorize[^"]+)"', await page.text())
    assert url is not None, "bolt's page has Slack's address"
    where = url[1].replace("&amp;", "&")
    async with http.get(where) as page:
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)">', await page.text()))
    told = {**fields, "user": user, "decision": decision}
    async with http.post(where.partition("?")[0], data=told) as end:
        return end.status, str(end.url)


async def install(given: Given, port: int, store: FileInstallationStore) -> dict[str, Any]:
    told: dict[str, Any] = {}
    start = f"http://127.0.0.1:{port}/slack/install"
    # Bolt's cookie is for https only.
    jar = aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=URL(start).origin())
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        told["denied"] = (await agree(http, start, given.user, "deny"))[0]
        status, end = await agree(http, start, given.user, "allow")
        told["allowed"] = [status, "code=" in end]
    code = re.search(r"code=([^&]+)", end)
    assert code is not None, end
    found = await store.async_find_installation(enterprise_id=None, team_id=given.team)
    assert found is not None, f"bolt kept nothing: {told} {end}"
    told["kept"] = [found.team_name, found.user_id == given.user, sorted(found.bot_scopes or [])]
    bot = given.client(found.bot_token)
    told["me"] = (await bot.auth_test())["bot_id"] == found.bot_id
    client = {"client_id": given.client_id, "client_secret": given.client_secret}
    again = {**client, "redirect_uri": end.partition("?")[0]}
    told["refusals"] = [
        await refusal(given.client().oauth_v2_access(**again, code=code[1])),
        await refusal(given.client().oauth_v2_access(**again, code="guess")),
        await refusal(given.client().oauth_v2_access(**{**again, "client_id": "1.2"}, code=code[1])),
        await refusal(given.client().oauth_v2_access(**{**again, "client_secret": "x"}, code=code[1])),
    ]
    rotator = AsyncTokenRotator(**client, client=given.client())
    rotated = await rotator.perform_token_rotation(installation=found, minutes_before_expiration=1440)
    assert rotated is not None, "it ends within a day"
    told["renewed"] = (await given.client(rotated.bot_token).auth_test())["bot_id"] == found.bot_id
    refresh = {"grant_type": "refresh_token", "refresh_token": found.bot_refresh_token}
    told["twice"] = await refusal(given.client().oauth_v2_access(**client, **refresh))
    told["revoked"] = (await bot.auth_revoke())["revoked"]
    told["after"] = await refusal(bot.auth_test())
    return told


async def main(given: Given) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    kept: dict[str, Any] = {"base_dir": given.folder, "client_id": given.client_id}
    store = FileInstallationStore(**kept)
    settings = AsyncOAuthSettings(
        client_id=given.client_id,
        client_secret=given.client_secret,
        scopes=SCOPES,
        redirect_uri=f"http://127.0.0.1:{port}/slack/oauth_redirect",
        authorization_url=f"{given.base}/oauth/v2/authorize",
        installation_store=store,
        state_store=FileOAuthStateStore(expiration_seconds=600, **kept),
    )
    flow = AsyncOAuthFlow(client=given.client(), settings=settings)
    runner = web.AppRunner(
        AsyncApp(signing_secret=given.secret, client=given.client(), oauth_flow=flow).web_app()
    )
    await runner.setup()
    await web.SockSite(runner, listener).start()
    try:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(json.dumps(await install(given, port, store)))
    finally:
        await runner.cleanup()


asyncio.run(main(Given(*sys.argv[1:])))
