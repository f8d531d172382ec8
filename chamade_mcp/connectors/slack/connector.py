"""The `connector` object: links of apps to Slack, told by webhook or over Socket Mode."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib.resources import files
from typing import Final

from chamade_mcp.connectors.slack import install, rotation
from chamade_mcp.connectors.slack.client import Me, WebApi
from chamade_mcp.connectors.slack.ears import Ears
from chamade_mcp.connectors.slack.event_socket import EventSocket
from chamade_mcp.connectors.slack.messages import SlackMessages
from chamade_mcp.connectors.slack.signing import is_signed
from chamade_mcp.connectors.slack.wire import Envelope, Event, Unreadable, read_envelope, read_event
from chamade_mcp.kit.clock import Clock, SystemClock
from chamade_mcp.kit.connection import TAKEN, Hook, HookRefused, HookReply
from chamade_mcp.kit.connector import Context, Link, PlatformUnavailable
from chamade_mcp.kit.holding import Fate, holding
from chamade_mcp.kit.http import platform_client, repeatable
from chamade_mcp.kit.manifest import read_manifest
from chamade_mcp.kit.oauth import BY_OAUTH, Agreed, Asking
from chamade_mcp.kit.rates import Rates
from chamade_mcp.model.access import Scope
from chamade_mcp.model.connections import Identity

log = logging.getLogger(__name__)

_ANEW_S: Final = 60.0
"""The gateway itself opens the link with the new token long before."""


class SlackConnector:
    """With the facets `OwnBots`, `HookAddress`, `SignsIn` and `TakesLeave`."""

    def __init__(self) -> None:
        self.manifest = read_manifest(files("chamade_mcp.connectors.slack"))

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        if BY_OAUTH not in settings:  # what Slack has given may be of a kind that nobody is to paste
            self.manifest.check(settings)
        async with _api(settings, "bot_token", SystemClock()) as api:
            me = await api.me()
        if settings.get("app_token"):
            async with _api(settings, "app_token", SystemClock()) as app:
                await app.socket_url()
        return Identity(me.user, me.name, hook_ref=me.address)

    def authorize_url(self, settings: Mapping[str, str], asking: Asking) -> str:
        return install.authorize_url(settings, asking)

    async def exchange(self, settings: Mapping[str, str], asking: Asking, code: str) -> Agreed:
        async with platform_client(settings["api_url"]) as http:
            told = await install.token_of(http, settings, asking, code)
            with repeatable():
                api = WebApi(http, told["access_token"], Rates(SystemClock()))
                return await install.agreed(api, told, SystemClock().now())

    async def leave(self, settings: Mapping[str, str]) -> None:
        """Takes back what was agreed to. The token of an app of somebody's own is not ours to revoke."""
        if BY_OAUTH in settings:
            async with _api(settings, "bot_token", SystemClock()) as api:
                await api.call("auth.revoke")

    def open(self, ctx: Context) -> AbstractAsyncContextManager[Link]:
        return _open(ctx)

    def addressee(self, hook: Hook) -> str | HookReply:
        try:
            envelope = hook.once(read_envelope)
        except Unreadable:
            return ""
        if envelope.type == "url_verification":
            # It names no app, so nobody's secret could check it; and it says nothing but that we are here.
            return HookReply(body=envelope.challenge.encode())
        return f"{envelope.api_app_id}/{envelope.teams[0]}" if envelope.teams else ""


connector = SlackConnector()


class SlackLink:
    """`Link` with the facets `Hooked` and `Fetches`."""

    calls = None

    def __init__(self, ctx: Context, scope: Scope, api: WebApi, me: Me, fate: Fate) -> None:
        self.messages = SlackMessages(ctx, api, fate)
        self._ears = Ears(ctx, scope, api, me, fate)
        self._ctx = ctx
        self._api = api
        self._me = me

    async def receive(self, hook: Hook) -> HookReply:
        settings = self._ctx.settings
        secret = settings["signing_secret" if BY_OAUTH in settings else "slack_signing_secret"]
        if not is_signed(secret, hook.headers, hook.body, self._ctx.clock.now()):
            raise HookRefused
        try:
            envelope = hook.once(read_envelope)
            if envelope.type == "url_verification":
                return HookReply(body=envelope.challenge.encode())
            if not self._concerns_me(envelope):
                raise HookRefused  # the same app in another workspace has the same secret
            event = self._event_of(envelope)
            if event is not None:
                await self._ears.hear(event)
        except Unreadable:
            # Slack would bring it again, and in the end bring nothing any more.
            log.warning("an event of Slack's could not be read and is left out")
        return TAKEN

    def fetch(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._api.download(ref)

    async def hear(self, envelope: Envelope) -> None:
        """Raises `Unreadable`."""
        event = self._event_of(envelope)
        if event is not None:
            await self._ears.hear(event)

    def _event_of(self, envelope: Envelope) -> Event | None:
        if envelope.type == "app_rate_limited":
            log.warning("Slack leaves out events: there are more than 30,000 an hour")
        if not self._concerns_me(envelope):
            log.warning("an event of another workspace is left out: Socket Mode serves one")
            return None
        return read_event(envelope)

    def _concerns_me(self, envelope: Envelope) -> bool:
        return envelope.api_app_id == self._me.app and self._me.team in envelope.teams


@asynccontextmanager
async def _open(ctx: Context) -> AsyncGenerator[SlackLink]:
    assert ctx.connection is not None, "the manifest has no shared bot"
    if rotation.due_s(ctx) == 0:
        await rotation.renew(ctx)
        raise PlatformUnavailable("Its token was renewed", retry_after=_ANEW_S)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(_api(ctx.settings, "bot_token", ctx.clock))
        me, fate = await api.me(), Fate()
        link = SlackLink(ctx, ctx.connection.scope, api, me, fate)
        keepers = [fate.sealed(), rotation.in_time(ctx)]
        if ctx.settings.get("app_token"):
            app = await stack.enter_async_context(_api(ctx.settings, "app_token", ctx.clock))
            keepers.append(EventSocket(app, link.hear).listen())
        await stack.enter_async_context(holding(*keepers))
        yield link


@asynccontextmanager
async def _api(settings: Mapping[str, str], token: str, clock: Clock) -> AsyncGenerator[WebApi]:
    async with platform_client(settings["api_url"]) as http:
        yield WebApi(http, settings[token], Rates(clock))
