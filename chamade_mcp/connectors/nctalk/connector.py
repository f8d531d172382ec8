"""The `connector` object: bot users of the addon, told by its webhooks or by looking."""

import asyncio
import hmac
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.resources import files
from typing import Final, Literal

from chamade_mcp.connectors.nctalk import consent
from chamade_mcp.connectors.nctalk.client import RANDOM, SIGNATURE, Cloud, cloud_of, sign
from chamade_mcp.connectors.nctalk.ears import Ears
from chamade_mcp.connectors.nctalk.messages import TalkMessages
from chamade_mcp.connectors.nctalk.replays import randoms_of
from chamade_mcp.connectors.nctalk.rooms import Rooms
from chamade_mcp.connectors.nctalk.wire import (
    AttendeeHook,
    ChatHook,
    ProbeHook,
    Unreadable,
    field_of,
    members,
    read,
)
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.connection import EVERYBODY, HandedOver, Hook, HookRefused, HookReply, Whom
from chamade_mcp.kit.connector import AuthNeeded, Context, Link, PlatformUnavailable
from chamade_mcp.kit.guarded import guarded_client
from chamade_mcp.kit.holding import Fate, holding
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.kit.manifest import read_manifest
from chamade_mcp.kit.rates import Rates
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import ConversationRef

log = logging.getLogger(__name__)

_NAMED_BY: Final = {
    "chat": "bot_user",
    "probe": "bot_login",
    "attendee-added": "bot_user_id",
    "attendee-removed": "bot_user_id",
}
"""Webhooks that name the bot they are for, and where; the others are for all of an instance."""
_WELCOME: Final = (
    "You are connected: what you write here goes to the agent. In other rooms I listen"
    " after you have written `/activate` there."
)
_POLL_S: Final = 2.0
_REASSURE_S: Final = 60.0
"""While webhooks come, the rooms are looked at so rarely: the addon repeats none that got lost."""
_AVATAR: Final = files("chamade_mcp.connectors.nctalk").joinpath("avatar.png").read_bytes()
_JSON: Final = "application/json"
_TAKEN: Final = HookReply(body=b"{}", media_type=_JSON)


class TalkConnector:
    """With the facets `OwnBots`, `HookAddress`, `HandsOver` and `TakesLeave`."""

    def __init__(self) -> None:
        self.manifest = read_manifest(files("chamade_mcp.connectors.nctalk"))

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        self.manifest.check(settings)
        await consent.check_place(settings["nc_url"], _trusted(settings))
        async with _cloud(settings, Rates(SystemClock())) as cloud:
            try:
                me = await cloud.me()
                await cloud.check_secret()
            except (Unanswered, PlatformRefused) as error:
                raise PlatformUnavailable(str(error)) from None
        if me.id != settings["bot_login"]:
            raise AuthNeeded("Nextcloud knows this login by another name")
        return _identity(settings, me.name or me.id)

    def addressee(self, hook: Hook) -> str | Literal[Whom.EVERYBODY] | HookReply:
        named = _NAMED_BY.get(_event(hook))
        return EVERYBODY if named is None else field_of(hook.once(members), named)

    def host(self, asked: Mapping[str, str]) -> str:
        return consent.host(asked)

    def send_to(self, asked: Mapping[str, str], state: str, public_url: str) -> str:
        return consent.send_to(asked, state, public_url)

    def state_of(self, hook: Hook) -> str | None:
        return field_of(hook.once(members), "state") if _event(hook) == "callback" else None

    def handed_over(self, hook: Hook, asked: Mapping[str, str]) -> HandedOver:
        settings = consent.settings_of(hook.body, asked)
        return HandedOver(settings, _identity(settings, f"Chamade ({settings['owner']})"))

    def refusal(self, code: str) -> str:
        return consent.REFUSALS.get(code, "")

    async def leave(self, settings: Mapping[str, str]) -> None:
        async with _cloud(settings, Rates(SystemClock())) as cloud:
            await cloud.remove_bot()

    def open(self, ctx: Context) -> AbstractAsyncContextManager[Link]:
        return _open(ctx)


connector = TalkConnector()


class TalkLink:
    """`Link` with the facets `Hooked` and `Fetches`."""

    calls = None

    def __init__(self, ctx: Context, cloud: Cloud, fate: Fate) -> None:
        assert ctx.connection is not None, "there is no shared bot"
        settings = ctx.settings
        place = cloud_of(settings["nc_url"])
        self._ctx = ctx
        self._cloud = cloud
        self._fate = fate
        self._scope = ctx.connection.scope
        self._owner = settings["owner"]
        self._secret = settings["api_secret"]
        self._way = settings.get("updates", "auto")
        self._rooms = Rooms(cloud, place, self._owner)
        self.messages = TalkMessages(ctx, cloud, settings["nc_url"], fate)
        self._ears = Ears(ctx, self._scope, cloud, place, self._rooms, self.messages)
        self._randoms = randoms_of(place)
        self._nonce = ""
        self._told = asyncio.Event()
        """Set once a webhook has arrived."""

    async def receive(self, hook: Hook) -> HookReply:
        self._verify(hook)
        try:
            await self._take(_event(hook), hook)
        except Unreadable:
            log.warning("a webhook of Nextcloud's could not be read and is left out")
        return _TAKEN

    def fetch(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._cloud.download(ref)

    async def begin(self) -> bool:
        """Finds out where the bot is; whether its owner sees it for the first time."""
        alone = await self._cloud.room_with(self._owner)
        self.messages.alone = alone.token
        owner = self._ears.sender(f"users/{self._owner}", self._owner)
        people = self._ctx.people
        await people.redeem(await people.issue(self._scope), owner, ConversationRef(alone.token))
        await self._rooms.authorize()
        for room in await self._rooms.refresh():
            await self._ears.begin(room)
        if alone.token not in {room.token for room in await self._rooms.refresh()}:
            self._rooms.add(alone)
            await self._ears.begin(alone)
        newest = await self._cloud.newest(alone.token)
        return not any(said.actor_id == self._cloud.login and not said.system for said in newest)

    async def watch(self, new: bool) -> None:
        """Looks into the rooms: often while no webhook comes."""
        if new:
            await self._greet()
        while True:
            often = self._way == "polling" or not (self._way == "webhook" or self._told.is_set())
            sleep = self._ctx.clock.sleep(_POLL_S if often else _REASSURE_S)
            if often and self._way == "auto":
                await race(sleep, self._told.wait())
            else:
                await sleep
            try:
                await self._ears.look()
            except (Unanswered, PlatformRefused) as error:
                raise PlatformUnavailable(str(error)) from None

    async def read(self) -> None:
        await self._ears.read()

    async def _greet(self) -> None:
        """Says hello, shows a face, and asks the addon whether its webhooks arrive."""
        place = ConversationRef(self.messages.alone)
        await self.messages.tell(place, _WELCOME)
        try:
            await self._cloud.set_avatar(_AVATAR)
        except (AuthNeeded, PlatformUnavailable, PlatformRefused, Unanswered) as error:
            log.warning("a bot of Nextcloud Talk's goes without a picture: %s", error)
        if self._way == "auto":
            self._nonce = secrets.token_hex(16)
            await self.messages.tell(place, f"__chamade_probe:{self._nonce}__")

    def _verify(self, hook: Hook) -> None:
        random = hook.headers.get(RANDOM, "")
        signature = hook.headers.get(SIGNATURE, "")
        wanted = sign(self._secret, random)
        if not 0 < len(random) <= 200 or not hmac.compare_digest(signature.encode(), wanted.encode()):
            raise HookRefused
        if not self._randoms.take(random, hook, self._ctx.clock.monotonic()):
            log.warning("a webhook of Nextcloud's came twice and is refused")
            raise HookRefused

    async def _take(self, event: str, hook: Hook) -> None:
        match event:
            case "chat":
                told = read(ChatHook, hook.once(members))
                self._told.set()
                await self._ears.notice(told, hook.headers[RANDOM])
            case "probe":
                nonce = read(ProbeHook, hook.once(members)).nonce
                if self._nonce and hmac.compare_digest(nonce, self._nonce):
                    self._told.set()
            case "attendee-added":
                self._ears.wake(read(AttendeeHook, hook.once(members)).room_token)
            case "attendee-removed":
                self._ears.leave(read(AttendeeHook, hook.once(members)).room_token)
            case "addon-disabled":
                self._fate.lost(AuthNeeded("The addon was turned off in Nextcloud: connect it again"))
            case _:
                return  # calls, which have no voice yet, and what later addons tell


@asynccontextmanager
async def _open(ctx: Context) -> AsyncGenerator[TalkLink]:
    async with _cloud(ctx.settings, Rates(ctx.clock)) as cloud:
        fate = Fate()
        link = TalkLink(ctx, cloud, fate)
        try:
            new = await link.begin()
        except (Unanswered, PlatformRefused) as error:
            raise PlatformUnavailable(str(error)) from None
        async with holding(fate.sealed(), link.read(), link.watch(new)):
            yield link


@asynccontextmanager
async def _cloud(settings: Mapping[str, str], rates: Rates) -> AsyncGenerator[Cloud]:
    headers = {"ocs-apirequest": "true", "accept": _JSON}
    async with guarded_client(settings["nc_url"], _trusted(settings), headers) as http:
        yield Cloud(http, settings, rates)


def _trusted(settings: Mapping[str, str]) -> frozenset[str]:
    return frozenset(host.strip().lower() for host in settings.get("hosts", "").split(",") if host.strip())


def _identity(settings: Mapping[str, str], name: str) -> Identity:
    login = settings["bot_login"]
    return Identity(f"users/{login}@{cloud_of(settings['nc_url'])}", name, hook_ref=login)


def _event(hook: Hook) -> str:
    return hook.path.rstrip("/").rpartition("/")[2]
