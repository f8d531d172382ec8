"""The `connector` object: links of bots to the Bot Connector of Microsoft Teams."""

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import Final

import httpx2

from chamade_mcp.connectors.teams import sign_in
from chamade_mcp.connectors.teams.app_package import package_of
from chamade_mcp.connectors.teams.client import BotConnector
from chamade_mcp.connectors.teams.ears import TAKEN, Ears
from chamade_mcp.connectors.teams.login import Login
from chamade_mcp.connectors.teams.messages import TeamsMessages
from chamade_mcp.connectors.teams.offers import Offers
from chamade_mcp.connectors.teams.places import Places
from chamade_mcp.connectors.teams.signing import METADATA_PATH, Guard, Keys, audience
from chamade_mcp.connectors.teams.wire import TEAMS, Unreadable, read_activity
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.connection import Hook, HookRefused, HookReply, Package
from chamade_mcp.kit.connector import Context, Link
from chamade_mcp.kit.guarded import guarded_client
from chamade_mcp.kit.holding import Fate, holding
from chamade_mcp.kit.http import platform_client
from chamade_mcp.kit.manifest import read_manifest
from chamade_mcp.kit.oauth import Agreed, Asking
from chamade_mcp.kit.rates import Rates
from chamade_mcp.model.connections import Identity

log = logging.getLogger(__name__)

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MICROSOFT_LOGIN: Final = "https://login.microsoftonline.com"
_MICROSOFT_KEYS: Final = "https://login.botframework.com"


class TeamsConnector:
    """With the facets `OwnBots`, `HookAddress`, `SignsIn` and `Packs`."""

    packs = "teams-app"

    def __init__(self) -> None:
        self.manifest = read_manifest(files("chamade_mcp.connectors.teams"))

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        self.manifest.check(settings)
        async with platform_client(settings["login_url"]) as http:
            await Login(http, settings, SystemClock()).token()
        app_id = settings["app_id"].lower()
        return Identity(f"28:{app_id}", settings["bot_name"], hook_ref=app_id)

    def open(self, ctx: Context) -> AbstractAsyncContextManager[Link]:
        return _open(ctx)

    def addressee(self, hook: Hook) -> str:
        return audience(hook.headers.get("authorization", ""))

    def authorize_url(self, settings: Mapping[str, str], asking: Asking) -> str:
        return sign_in.authorize_url(settings, asking)

    async def exchange(self, settings: Mapping[str, str], asking: Asking, code: str) -> Agreed:
        async with platform_client(settings["login_url"]) as http:
            return await sign_in.exchange(http, settings, asking, code, _tenants(settings, shared=True))

    def pack(self, settings: Mapping[str, str], bot: Identity | None, public_url: str) -> Package:
        app_id = bot.hook_ref if bot else settings["app_id"].lower()
        name = bot.name if bot else settings["bot_name"]
        body = package_of(app_id, name, public_url, has_files=bool(settings["files_enable"]))
        return Package("teams-app.zip", "application/zip", body)


connector = TeamsConnector()


class TeamsLink:
    """`Link` with the facets `Hooked` and `Fetches`."""

    calls = None

    def __init__(self, ctx: Context, api: BotConnector, places: Places, guard: Guard, fate: Fate) -> None:
        self.offers = Offers(ctx, api, places)
        self.messages = TeamsMessages(ctx, api, self.offers, fate)
        has_files = bool(ctx.settings["files_enable"])
        self._ears = Ears(ctx, api, self.messages, self.offers, files=has_files)
        self._api = api
        self._places = places
        self._guard = guard
        self._tenants = _tenants(ctx.settings, shared=ctx.connection is None)

    async def receive(self, hook: Hook) -> HookReply:
        vouched = await self._guard.admit(hook.headers.get("authorization", ""))
        try:
            activity = read_activity(hook.body)
        except Unreadable:
            # Teams would bring it again.
            log.warning("an activity of Teams's could not be read and is left out")
            return TAKEN
        if activity.channel_id != TEAMS or TEAMS not in vouched.channels:
            raise HookRefused
        if activity.service_url.rstrip("/") != vouched.service_url:
            raise HookRefused
        tenant = activity.tenant
        if self._tenants and tenant.lower() not in self._tenants:
            log.warning("an activity of an organisation that the bot is not for is refused")
            raise HookRefused
        self._places.note(activity.place, vouched.service_url, tenant)
        return await self._ears.hear(activity)

    def fetch(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._api.download(ref)


@asynccontextmanager
async def _open(ctx: Context) -> AsyncGenerator[TeamsLink]:
    settings = ctx.settings
    places = Places(settings["api_url"], settings["tenant_id"])
    app_id = settings["app_id"].lower()
    async with (
        platform_client(settings["login_url"]) as microsoft,
        guarded_client("", places.trusted) as http,
    ):
        login = Login(microsoft, settings, ctx.clock)
        await login.token()
        api = BotConnector(http, login, places, Rates(ctx.clock), app_id)
        guard = Guard(_keys(microsoft, ctx), app_id, settings["issuer"], ctx.clock)
        fate = Fate()
        link = TeamsLink(ctx, api, places, guard, fate)
        async with holding(fate.sealed(), link.offers.work()):
            yield link


def _keys(http: httpx2.AsyncClient, ctx: Context) -> Keys:
    """Who speaks to another login than Microsoft's has its keys there, too, unless the settings say where."""
    settings = ctx.settings
    login = settings["login_url"].rstrip("/")
    base = _MICROSOFT_KEYS if login == _MICROSOFT_LOGIN else login
    return Keys(http, settings["openid_url"] or base + METADATA_PATH, ctx.clock)


def _tenants(settings: Mapping[str, str], *, shared: bool) -> frozenset[str]:
    """Whose people may write; empty: everybody's. A bot of one organisation hears that one alone."""
    named = settings["tenants"] if shared else ""
    if not named and _GUID.fullmatch(settings["tenant_id"]):
        named = settings["tenant_id"]
    return frozenset(one.strip().lower() for one in named.split(",") if one.strip())
