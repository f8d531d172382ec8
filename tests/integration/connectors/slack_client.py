"""Run with an interpreter that has slack_sdk, bolt and aiohttp: drives the emulated Slack as apps do.

Arguments: what to do, base URL, bot token, app-level token, signing secret, a channel that the app is in, and
the ts of a message there. Says what it saw as JSON, in its last line.
"""

# pyright: basic, reportMissingImports=false
import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

BOUND_S = 30


@dataclass
class Given:
    base: str
    token: str
    app_token: str
    secret: str
    channel: str
    ts: str

    def client(self, token: str = "") -> AsyncWebClient:
        return AsyncWebClient(token or self.token, base_url=f"{self.base}/api/")


async def refusal(call: Any) -> str:
    try:
        await call
    except SlackApiError as error:
        return f"{error.response.status_code} {error.response['error']}"
    return "nothing"


async def drive(given: Given) -> dict[str, Any]:
    told: dict[str, Any] = {}
    client, channel, ts = given.client(), given.channel, given.ts
    me = await client.auth_test()
    told["me"] = [
        me["team"],
        me["user"],
        (await client.bots_info(bot=me["bot_id"]))["bot"]["user_id"] == me["user_id"],
    ]
    about = (await client.conversations_info(channel=channel))["channel"]
    told["channel"] = [about["id"], about["is_im"]]
    told["person"] = (await client.users_info(user=about["user"]))["user"]["real_name"]
    told["opened"] = (await client.conversations_open(users=about["user"]))["channel"]["id"]
    said = await client.chat_postMessage(channel=channel, text="plain &amp; simple", thread_ts=ts)
    told["said"] = [said["message"]["text"], said["message"]["thread_ts"]]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*b*"}}]
    changed = await client.chat_update(channel=channel, ts=said["ts"], text="changed", blocks=blocks)
    told["changed"] = [changed["text"], changed["message"]["blocks"] == blocks]
    await client.reactions_add(channel=channel, timestamp=ts, name="tada")
    sent = await client.files_upload_v2(
        channel=channel, initial_comment="two", file_uploads=[
            {"content": "body of it", "filename": "a.txt"}, {"content": "more", "filename": "b.txt"},
        ],
    )  # fmt: skip
    file = (await client.files_info(file=sent["files"][0]["id"]))["file"]
    told["files"] = [file["name"], file["size"], len(sent["files"])]
    headers = {"Authorization": f"Bearer {given.token}"}
    async with aiohttp.ClientSession() as http:
        async with http.get(file["url_private_download"], headers=headers) as answer:
            told["downloaded"] = await answer.text()
        async with http.get(file["url_private_download"]) as answer:
            told["without a token"] = answer.headers["content-type"].partition(";")[0]
    told["deleted"] = (await client.chat_delete(channel=channel, ts=said["ts"]))["ok"]
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    told["refusals"] = [
        await refusal(client.chat_postMessage(channel="C404", text="x")),
        await refusal(client.chat_postMessage(channel=channel, text="")),
        await refusal(client.chat_postMessage(channel=channel, text="x", blocks=[long])),
        await refusal(client.chat_update(channel=channel, ts="1.1", text="x")),
        await refusal(client.chat_update(channel=channel, ts=ts, text="not mine")),
        await refusal(client.reactions_add(channel=channel, timestamp=ts, name="tada")),
        await refusal(client.files_info(file="F404")),
        await refusal(client.conversations_open(users="U404")),
        await refusal(given.client("xoxb-wrong").auth_test()),
        await refusal(client.apps_connections_open(app_token="xapp-wrong")),
        await refusal(client.api_call("no.such")),
    ]
    return told


async def flood(given: Given) -> dict[str, Any]:
    try:
        await given.client().chat_postMessage(channel=given.channel, text="fast")
    except SlackApiError as error:
        return {
            "status": error.response.status_code,
            "retry_after": int(error.response.headers["Retry-After"]),
        }
    return {}


async def socket(given: Given) -> dict[str, Any]:
    """Socket Mode: hears one message, and answers it."""
    heard: asyncio.Queue[Any] = asyncio.Queue()
    client = SocketModeClient(app_token=given.app_token, web_client=given.client())

    async def listener(of: Any, request: Any) -> None:
        await of.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        if "bot_id" not in request.payload["event"]:
            heard.put_nowait([request.type, request.payload["event"]["text"]])

    client.socket_mode_request_listeners.append(listener)
    await client.connect()
    try:
        print("ready", flush=True)
        event = await asyncio.wait_for(heard.get(), BOUND_S)
        await given.client().chat_postMessage(channel=given.channel, text="heard over the socket")
    finally:
        await client.close()
    return {"heard": event}


async def bolt(given: Given) -> dict[str, Any]:
    """A request URL: bolt answers the challenge, checks the signature, hears one message and answers it."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    app = AsyncApp(token=given.token, signing_secret=given.secret, client=given.client())

    @app.message("hello")
    async def on_message(message: Any, say: Any) -> None:
        await say(f"bolt heard {message['text']}")
        heard.put_nowait(message["text"])

    runner = web.AppRunner(app.web_app(path="/slack/events"))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        print(runner.addresses[0][1], flush=True)
        return {"heard": await asyncio.wait_for(heard.get(), BOUND_S)}
    finally:
        await runner.cleanup()


async def main() -> None:
    what, *given = sys.argv[1:]
    doing = {"drive": drive, "flood": flood, "socket": socket, "bolt": bolt}[what]
    print(json.dumps(await doing(Given(*given))))


asyncio.run(main())
