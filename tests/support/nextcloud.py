"""An emulated Nextcloud with its addon, and a real gateway that is tied to it."""

import hashlib
import hmac
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
from starlette.types import ASGIApp

from chamade_mcp.connectors.nctalk.emulated_world import RoomState
from chamade_mcp.connectors.nctalk.emulator import TalkEmulator
from tests.support.hosted import Hosted, hosted
from tests.support.server import serve

CALLBACK = "/api/nctalk/callback"
ADDON = "/index.php/apps/chamade_talk"


@asynccontextmanager
async def emulated() -> AsyncGenerator[TalkEmulator]:
    cloud = TalkEmulator()

    @asynccontextmanager
    async def app(url: str) -> AsyncGenerator[ASGIApp]:
        cloud.serve_at(url)
        async with cloud.running():
            yield cloud.app

    async with serve(app):
        yield cloud


@asynccontextmanager
async def house(cloud: TalkEmulator, folder: Path, **settings: str) -> AsyncGenerator[Hosted]:
    """A gateway; another one in the same folder goes on where it ended."""
    told = {"hosts": urlsplit(cloud.addon.url).netloc, **settings}
    async with hosted(folder / "data", {"nctalk": told}) as gateway:
        cloud.addon.gateway_url = gateway.url
        yield gateway


async def begin(cloud: TalkEmulator, gateway: Hosted) -> str:
    """The state of a new handover."""
    began = await gateway.post("/api/platforms/nctalk/connect", url=cloud.addon.url)
    return parse_qs(urlsplit(str(began["url"])).query)["state"][0]


async def connect(cloud: TalkEmulator, gateway: Hosted, owner: str = "ann") -> tuple[str, str, RoomState]:
    """As a script of an administrator's would; the connection, the bot's login, the room with its owner."""
    cloud.user(owner)
    state = await begin(cloud, gateway)
    body = {"state": state, "callback_url": f"{gateway.url}{CALLBACK}", "nc_username": owner}
    async with httpx2.AsyncClient(base_url=cloud.addon.url) as script:
        made = await script.post(f"{ADDON}/api/v1/authorize", json=body, headers=signed(cloud))
    assert made.status_code == 200, made.text
    connection = await connected(gateway)
    bot = cloud.bot_of(owner)
    assert made.json()["bot_login"] == bot
    return connection, bot, cloud.alone(owner, bot)


async def connected(gateway: Hosted) -> str:
    """The one connection, once its link is up."""
    listed = (await gateway.get("/api/platforms"))["connections"]
    (connection,) = [one["id"] for one in listed if one["platform"] == "nctalk"]
    await gateway.state(connection, "ok")
    return connection


def signed(cloud: TalkEmulator, random: str = "0123456789abcdef" * 2) -> dict[str, str]:
    secret = cloud.world.addon.api_secret
    signature = hmac.new(secret.encode(), random.encode(), hashlib.sha256).hexdigest()
    return {"X-Maquisard-Random": random, "X-Maquisard-Signature": signature}
