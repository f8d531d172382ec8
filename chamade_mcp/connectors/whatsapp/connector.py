"""The `connector` object: links of business numbers to the WhatsApp Cloud API."""

import hmac
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import Final

from chamade_mcp.connectors.whatsapp.client import CloudApi
from chamade_mcp.connectors.whatsapp.ears import Ears
from chamade_mcp.connectors.whatsapp.messages import WhatsAppMessages
from chamade_mcp.connectors.whatsapp.wire import Unreadable, read_webhook
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.connection import TAKEN, Hook, HookRefused, HookReply
from chamade_mcp.kit.connector import AuthNeeded, Context, Link
from chamade_mcp.kit.holding import Fate, holding
from chamade_mcp.kit.http import platform_client
from chamade_mcp.kit.manifest import read_manifest
from chamade_mcp.kit.rates import Rates
from chamade_mcp.kit.signature import hmac_sha256
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import PlatformRefused

log = logging.getLogger(__name__)

_SIGNED_BY: Final = "x-hub-signature-256"


class WhatsAppConnector:
    """With the facet `OwnBots`."""

    def __init__(self) -> None:
        self.manifest = read_manifest(files("chamade_mcp.connectors.whatsapp"))

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        self.manifest.check(settings)
        async with _api(settings, Rates(SystemClock())) as api:
            number = await _number(api)
        shown = f"{number.get('verified_name') or 'WhatsApp'} {number.get('display_phone_number', '')}"
        return Identity(settings["phone_number_id"], shown.strip())

    def open(self, ctx: Context) -> AbstractAsyncContextManager[Link]:
        return _open(ctx)


connector = WhatsAppConnector()


class WhatsAppLink:
    """`Link` with the facets `Hooked` and `Fetches`."""

    calls = None

    def __init__(self, ctx: Context, api: CloudApi, number: str, fate: Fate) -> None:
        self.messages = WhatsAppMessages(ctx, api, number, fate)
        self._ears = Ears(ctx, self.messages)
        self._settings = ctx.settings
        self._api = api

    async def receive(self, hook: Hook) -> HookReply:
        if hook.method == "GET":
            return self._subscribe(hook.query)
        signed = f"sha256={hmac_sha256(self._settings['app_secret'], hook.body)}"
        if not hmac.compare_digest(hook.headers.get(_SIGNED_BY, "").encode(), signed.encode()):
            raise HookRefused
        try:
            for told in read_webhook(hook.body, self._settings["phone_number_id"]):
                await self._ears.hear(told)
        except Unreadable:
            # Meta would bring it again for a week.
            log.warning("a webhook of WhatsApp's could not be read and is left out")
        return TAKEN

    def fetch(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._api.download(ref)

    def _subscribe(self, query: Mapping[str, str]) -> HookReply:
        told, mine = query.get("hub.verify_token", ""), self._settings["verify_token"]
        if query.get("hub.mode") != "subscribe" or not hmac.compare_digest(told.encode(), mine.encode()):
            raise HookRefused
        return HookReply(body=query.get("hub.challenge", "").encode())


@asynccontextmanager
async def _open(ctx: Context) -> AsyncGenerator[WhatsAppLink]:
    async with _api(ctx.settings, Rates(ctx.clock)) as api:
        number = re.sub(r"\D", "", str((await _number(api)).get("display_phone_number", "")))
        fate = Fate()
        async with holding(fate.sealed()):
            yield WhatsAppLink(ctx, api, number, fate)


@asynccontextmanager
async def _api(settings: Mapping[str, str], rates: Rates) -> AsyncGenerator[CloudApi]:
    token = settings["bot_token"]
    async with platform_client(settings["api_url"], {"authorization": f"Bearer {token}"}) as http:
        yield CloudApi(http, settings["phone_number_id"], rates)


async def _number(api: CloudApi) -> dict[str, object]:
    try:
        return await api.number()
    except PlatformRefused as error:
        # A number that the token may not see is answered as one that is not there.
        raise AuthNeeded(error.detail) from None
