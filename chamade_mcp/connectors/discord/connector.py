"""The `connector` object: links of bots to Discord, told over the Gateway."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import Final

from chamade_mcp.connectors.discord import sign_in
from chamade_mcp.connectors.discord.buckets import Buckets
from chamade_mcp.connectors.discord.client import USER_AGENT, RestApi
from chamade_mcp.connectors.discord.ears import COMMAND, OPTION, Ears
from chamade_mcp.connectors.discord.event_socket import (
    CONTENT_IS_OFF,
    INTENTS,
    MESSAGE_CONTENT,
    EventSocket,
    Session,
)
from chamade_mcp.connectors.discord.messages import DiscordMessages
from chamade_mcp.connectors.discord.places import Places
from chamade_mcp.connectors.discord.wire import Application, User
from chamade_mcp.kit.clock import Clock, SystemClock
from chamade_mcp.kit.connector import Context, Link, PlatformUnavailable
from chamade_mcp.kit.holding import Fate, holding
from chamade_mcp.kit.http import Unanswered, platform_client
from chamade_mcp.kit.manifest import read_manifest
from chamade_mcp.kit.oauth import Agreed, Asking
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import FieldError, PlatformRefused, ValidationFailed
from chamade_mcp.model.ids import ConversationRef
from chamade_mcp.model.messages import Sender

log = logging.getLogger(__name__)

_CONTENT_FLAGS: Final = 1 << 18 | 1 << 19
"""GATEWAY_MESSAGE_CONTENT, and its like for bots on fewer than a hundred servers."""
_SESSIONS: Final = 10_000
_HELLO: Final = "You have connected me with an agent: what you write here goes to it."
_COMMAND: Final = {
    "name": COMMAND,
    "description": "Connect with an agent by the link that you were given",
    "contexts": [0, 1],  # on servers, and in direct messages with the bot
    "integration_types": [0, 1],  # also where people have added it for themselves
    "options": [{"name": OPTION, "description": "The link", "type": 3, "required": True, "max_length": 200}],
}


class DiscordConnector:
    """With the facets `OwnBots`, `AddsToServers` and `SignsIn`.

    It remembers the sessions of links that are down for a while: Discord then sends what they missed.
    """

    def __init__(self) -> None:
        self.manifest = read_manifest(files("chamade_mcp.connectors.discord"))
        self._sessions: Recent[str, Session] = Recent(_SESSIONS)

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        self.manifest.check(settings)
        async with _api(settings, SystemClock()) as api:
            me, application = await api.me(), await api.application()
        if application.id != settings["discord_app_id"]:
            words = f"is not the application of this bot, which is {application.id}"
            raise ValidationFailed([FieldError("discord_app_id", words)])
        if not application.flags & _CONTENT_FLAGS:
            raise ValidationFailed([FieldError("bot_token", CONTENT_IS_OFF)])
        return Identity(me.id, f"@{me.username}")

    def server_link(self, settings: Mapping[str, str]) -> str:
        return sign_in.server_link(settings)

    def authorize_url(self, settings: Mapping[str, str], asking: Asking) -> str:
        return sign_in.authorize_url(settings, asking)

    async def exchange(self, settings: Mapping[str, str], asking: Asking, code: str) -> Agreed:
        async with platform_client(settings["api_url"], {"user-agent": USER_AGENT}) as http:
            person = await sign_in.person_of(http, settings, asking, code)
            api = RestApi(http, settings["bot_token"], Buckets(SystemClock()))
            return Agreed(Sender(person.id, person.name), await _greet(api, person))

    def open(self, ctx: Context) -> AbstractAsyncContextManager[Link]:
        return self._open(ctx)

    @asynccontextmanager
    async def _open(self, ctx: Context) -> AsyncGenerator["DiscordLink"]:
        token = ctx.settings["bot_token"]
        session = self._sessions.pop(token, None) or Session()
        try:
            async with _api(ctx.settings, ctx.clock) as api:
                me, application, fate = await api.me(), await api.application(), Fate()
                link = DiscordLink(ctx, api, me, fate)
                # The shared bot hears what is said to it alone, for which Discord asks no leave.
                intents = sum(INTENTS.values()) | (MESSAGE_CONTENT if ctx.connection else 0)
                socket = EventSocket(api, ctx.clock, session, (token, intents), link.ears.hear)
                async with holding(fate.sealed(), socket.listen()):
                    await socket.ready.wait()
                    await _offer_command(api, application)
                    yield link
        except PlatformUnavailable:
            self._sessions[token] = session
            raise


connector = DiscordConnector()


class DiscordLink:
    """`Link` with the facet `Fetches`."""

    calls = None

    def __init__(self, ctx: Context, api: RestApi, me: User, fate: Fate) -> None:
        self.messages = DiscordMessages(ctx, api, me, fate)
        self.ears = Ears(ctx, me, Places(api, ctx.clock), self.messages)
        self._api = api

    def fetch(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._api.download(ref)


@asynccontextmanager
async def _api(settings: Mapping[str, str], clock: Clock) -> AsyncGenerator[RestApi]:
    async with platform_client(settings["api_url"], {"user-agent": USER_AGENT}) as http:
        yield RestApi(http, settings["bot_token"], Buckets(clock))


async def _offer_command(api: RestApi, application: Application) -> None:
    """The one of this name is made anew; others that the bot has stay as they are."""
    try:
        await api.call("POST", "/applications/{}/commands", application.id, json=_COMMAND)
    except (PlatformRefused, PlatformUnavailable, Unanswered) as error:
        log.warning("Discord does not take the command /%s: %s", COMMAND, error)


async def _greet(api: RestApi, person: User) -> ConversationRef | None:
    """Where the person finds the bot from now on; None where it may not write to them."""
    try:
        place = await api.direct(person.id)
        said = {"content": _HELLO, "allowed_mentions": {"parse": list[str]()}}
        await api.call("POST", "/channels/{}/messages", place, json=said)
    except (PlatformRefused, PlatformUnavailable, Unanswered) as error:
        log.warning("Discord lets the bot not write to who has signed in: %s", error)
        return None
    return ConversationRef(place)
