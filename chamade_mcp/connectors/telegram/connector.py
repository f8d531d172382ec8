"""The `connector` object: links of bots to Telegram, told by webhook or by long polling."""

import hmac
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from chamade_mcp.connectors.telegram.client import TITLE, BotApi
from chamade_mcp.connectors.telegram.ears import Ears
from chamade_mcp.connectors.telegram.messages import TelegramMessages
from chamade_mcp.connectors.telegram.wire import UPDATES, Unreadable, Update, User, read_listed, read_update
from chamade_mcp.kit.addresses import is_called_by_platforms
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.connection import TAKEN, Hook, HookRefused, HookReply
from chamade_mcp.kit.connector import Context, Link, PlatformUnavailable
from chamade_mcp.kit.holding import Fate, holding
from chamade_mcp.kit.http import Unanswered, platform_client, repeatable
from chamade_mcp.kit.manifest import read_manifest
from chamade_mcp.kit.rates import Rates
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import GatewayError, PlatformRefused

log = logging.getLogger(__name__)

SIGNED_BY: Final = "x-telegram-bot-api-secret-token"
_HOOK_PORTS: Final = (443, 80, 88, 8443)
"""Those that Telegram calls."""
_AGAIN_S: Final = 2.0


class TelegramConnector:
    """With the facet `OwnBots`."""

    def __init__(self) -> None:
        self.manifest = read_manifest(files("chamade_mcp.connectors.telegram"))

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        self.manifest.check(settings)
        async with platform_client(settings["api_url"]) as http:
            me = await BotApi(http, settings["bot_token"], Rates(SystemClock())).me()
        return Identity(str(me.id), f"@{me.username}")

    def open(self, ctx: Context) -> AbstractAsyncContextManager[Link]:
        return _open(ctx)


connector = TelegramConnector()


class TelegramLink:
    """`Link` with the facets `Hooked` and `Fetches`."""

    calls = None

    def __init__(self, ctx: Context, api: BotApi, me: User, fate: Fate) -> None:
        self.messages = TelegramMessages(ctx, api, me, fate)
        self._ears = Ears(ctx, me, self.messages)
        self._ctx = ctx
        self._api = api
        # The same for every life of the gateway: what Telegram still delivers after a restart is let in.
        self._secret = ctx.secret(f"telegram webhook {me.id}").hex()

    async def receive(self, hook: Hook) -> HookReply:
        if not hmac.compare_digest(hook.headers.get(SIGNED_BY, "").encode(), self._secret.encode()):
            raise HookRefused
        try:
            update = read_update(hook.body)
        except Unreadable:
            # Telegram would bring it again for a day, and all that follows it only then.
            log.warning("an update of Telegram's could not be read and is left out")
        else:
            await self._ears.hear(update)
        return TAKEN

    def fetch(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._api.download(ref)

    async def call_me(self, url: str) -> None:
        """Has updates sent to `url`."""
        asked = {"url": url, "secret_token": self._secret, "allowed_updates": UPDATES}
        try:
            await self._api.call("setWebhook", asked)
        except PlatformRefused as error:
            raise PlatformUnavailable(
                f"{TITLE} does not take this gateway's address: {error.detail}"
            ) from None
        except Unanswered as error:
            raise PlatformUnavailable(str(error)) from None

    async def poll(self) -> None:
        """Asks for updates, one request after another. An update is done with once it is committed."""
        with repeatable():
            await self._api.call("deleteWebhook")
        offset = 0
        while True:
            for raw in await self._api.updates(offset):
                try:
                    number, update = read_listed(raw)
                except Unreadable as error:
                    raise PlatformUnavailable(f"{TITLE} sends what cannot be read: {error}") from None
                if update is None:
                    log.warning("an update of Telegram's could not be read and is left out")
                else:
                    await self._hear(update)
                offset = number + 1

    async def _hear(self, update: Update) -> None:
        """Until it is committed: what is asked for next tells Telegram to forget it."""
        while True:
            try:
                await self._ears.hear(update)
                return
            except GatewayError as error:
                log.warning("an update waits for the gateway: %s", error.code)
                await self._ctx.clock.sleep(error.retry_after or _AGAIN_S)


@asynccontextmanager
async def _open(ctx: Context) -> AsyncGenerator[TelegramLink]:
    settings = ctx.settings
    async with platform_client(settings["api_url"]) as http:
        api = BotApi(http, settings["bot_token"], Rates(ctx.clock))
        me, fate = await api.me(), Fate()
        link = TelegramLink(ctx, api, me, fate)
        hook_url = ctx.connection.hook_url if ctx.connection else f"{ctx.public_url}/api/hooks/telegram"
        if by_webhook(settings.get("updates", "auto"), hook_url):
            await link.call_me(hook_url)
            keepers = (fate.sealed(),)
        else:
            keepers = (fate.sealed(), link.poll())
        async with holding(*keepers):
            yield link


def by_webhook(way: str, hook_url: str) -> bool:
    """Whether Telegram calls the gateway. Left to itself, it does where it can."""
    if way != "auto":
        return way == "webhook"
    return is_called_by_platforms(hook_url) and (urlsplit(hook_url).port or 443) in _HOOK_PORTS
