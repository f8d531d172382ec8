"""For tests: a platform on which people bring their own bots, by long connection or by webhook.

`ScriptedBots` is a connector like any other towards the gateway, and the platform towards the test. A token
is ``<bot>:<secret>``; the platform takes those that `accept` was told of.
"""

import asyncio
import hmac
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlencode

from chamade_mcp.kit.connection import Hook, HookRefused, HookReply
from chamade_mcp.kit.connector import AuthNeeded, Context, Invite, InviteKind, Link, PlatformUnavailable
from chamade_mcp.kit.manifest import BotSettings, GatewaySettings, OAuthSettings
from chamade_mcp.kit.oauth import Agreed, Asking
from chamade_mcp.kit.scripted_manifest import scripted_manifest
from chamade_mcp.kit.testing import ScriptedCalls, ScriptedConnector
from chamade_mcp.model.access import Scope
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import Gone
from chamade_mcp.model.facts import CallInvited, MessageReceived
from chamade_mcp.model.ids import COMMON, ConnectionId, ConversationRef, MessageRef, Platform, RoomRef
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing, Sender

BOTS = Platform("botted")
_SIGNATURE = "x-bots-signature"
_START = "/start "


class Nobody:
    """`People` of a link that is opened for a test of its own: there are none."""

    async def issue(self, scope: Scope) -> str:
        return "nobodys-token"

    async def redeem(self, token: str, sender: Sender, conversation: ConversationRef) -> Scope | None:
        return None

    async def scope_of(self, sender: str) -> Scope | None:
        return None


@dataclass(frozen=True, slots=True)
class Sent:
    """What a bot said to somebody."""

    bot: str
    to: ConversationRef
    message: Outgoing


class ScriptedBots:
    """A `Connector` with all facets but `HandsOver`, and its platform."""

    def __init__(self, platform: Platform = BOTS) -> None:
        plain = scripted_manifest(
            frozenset({Capability.READ, Capability.WRITE, Capability.TYPING, Capability.FILES}),
            platform=platform,
            creates_rooms=False,
            inbox=True,
            messages=frozenset(),
            window=None,
        )
        self.manifest = replace(
            plain,
            embedded=False,
            status="not_configured",
            needs_meeting_url=False,
            bot=BotSettings(required=("bot_token",), optional=("nickname",)),
            gateway=GatewaySettings({"bot_token": "", "client_id": ""}, shared=("bot_token",)),
            oauth=OAuthSettings("bots", needs=("client_id",)),
        )
        self.tokens: dict[str, str] = {}
        """The secret of each bot, as the platform has it now."""
        self.down = False
        self.hold: asyncio.Event | None = None
        """Who asks about a bot waits for it: a platform that is slow."""
        self.codes: dict[str, Agreed | Exception] = {}
        """What comes of each code that somebody brings from agreeing at the platform; once."""
        self.left: list[Mapping[str, str]] = []
        """Settings of the bots that are no longer connected."""
        self.sent: list[Sent] = []
        self.typed: list[ConversationRef] = []
        self.kept: dict[str, bytes] = {}
        """Files that people sent, as long as the platform has them."""
        self.fetched: list[str] = []
        self.opened = 0
        self.links: dict[ConnectionId, ScriptedBot] = {}
        """Those that are live, that of the shared bot under `COMMON`."""
        self.calls = ScriptedConnector(frozenset({Capability.AUDIO_IN}), platform=platform)
        """Rooms people ring from."""
        self._numbers = itertools.count(1)

    def accept(self, bot: str, secret: str = "s3cret") -> str:  # noqa: S107
        """The platform knows this bot, by this token only from now on."""
        self.tokens[bot] = secret
        for link in self.links.values():
            if link.identity.ref == bot:
                link.check()
        return f"{bot}:{secret}"

    # --- the gateway's side --------------------------------------------------------------------------------

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        if self.hold is not None:
            await self.hold.wait()
        if self.down:
            raise PlatformUnavailable("the platform is down")
        bot, _, secret = settings["bot_token"].partition(":")
        if self.tokens.get(bot) != secret:
            raise AuthNeeded("Unauthorized")
        return Identity(bot, f"@{bot}", hook_ref=f"app-{bot}")

    def authorize_url(self, settings: Mapping[str, str], asking: Asking) -> str:
        about = {"state": asking.state, "redirect_uri": asking.redirect_uri, "challenge": asking.challenge}
        return f"https://bots.test/agree?{urlencode({'client_id': settings['client_id'], **about})}"

    async def exchange(self, settings: Mapping[str, str], asking: Asking, code: str) -> Agreed:
        if self.hold is not None:
            await self.hold.wait()
        found = self.codes.pop(code, AuthNeeded("no such code"))
        if isinstance(found, Exception):
            raise found
        return found

    async def leave(self, settings: Mapping[str, str]) -> None:
        self.left.append(settings)

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncGenerator[Link]:
        identity = await self.verify(ctx.settings)
        self.opened += 1
        link = ScriptedBot(self, ctx, identity)
        which = ctx.connection.id if ctx.connection else COMMON
        self.links[which] = link
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(link.watch())
                yield link
                watching.cancel()
        except ExceptionGroup as broken:
            raise broken.exceptions[0] from None
        finally:
            del self.links[which]

    def addressee(self, hook: Hook) -> str | HookReply:
        try:
            told = json.loads(hook.body)
            if told.get("challenge"):
                return HookReply(body=str(told["challenge"]).encode())
            return f"app-{told['bot']}"
        except (ValueError, KeyError, AttributeError):
            return ""

    # --- the people's side ---------------------------------------------------------------------------------

    async def write(
        self,
        to: ConnectionId,
        text: str,
        *,
        sender: str = "alice",
        name: str | None = None,
        conversation: str | None = None,
        ref: str | None = None,
        attachments: tuple[Attachment, ...] = (),
        group: str | None = None,
    ) -> None:
        """Somebody writes to the bot of a connection; ``/start <token>`` redeems a link."""
        link = self.links[to]
        who = Sender(sender, name or sender.title())
        place = ConversationRef(conversation or sender)
        if text.startswith(_START):
            await link.ctx.people.redeem(text.removeprefix(_START), who, place)
            return
        scope = link.ctx.connection.scope if link.ctx.connection else await link.ctx.people.scope_of(sender)
        if scope is None:
            return  # the shared bot would tell them to ask for a link
        said = MessageReceived(
            place, MessageRef(ref or f"message-{next(self._numbers)}"), who, text, attachments, group=group
        )
        await link.ctx.emit(scope, said)

    async def ring(self, to: ConnectionId, *, sender: str = "alice") -> RoomRef:
        link = self.links[to]
        assert link.ctx.connection is not None, "the shared bot takes no calls"
        room = self.calls.new_room()
        rung = CallInvited(room, Sender(sender, sender.title()), f"https://bots.test/{room}")
        await link.ctx.emit(link.ctx.connection.scope, rung)
        return room

    def hook(self, bot: str, text: str, *, sender: str = "alice", ref: str = "hooked-1") -> Hook:
        """The webhook by which the platform tells a bot of a message, signed as it would."""
        body = json.dumps({"bot": bot, "sender": sender, "text": text, "ref": ref}).encode()
        return Hook("POST", "/", {}, {_SIGNATURE: _sign(self.tokens[bot], body)}, body)

    def heard(self, conversation: str) -> list[str]:
        """What a person was told."""
        return [sent.message.text for sent in self.sent if sent.to == conversation]


class ScriptedBot:
    """One bot's link: `Hooked`, with messages and, for those who ring, calls."""

    def __init__(self, platform: ScriptedBots, ctx: Context, identity: Identity) -> None:
        self.ctx = ctx
        self.identity = identity
        self.calls = ScriptedCalls(platform.calls)
        self.messages = self
        self._platform = platform
        self._secret = ctx.settings["bot_token"].partition(":")[2]
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def watch(self) -> None:
        await self._broken

    def break_off(self, words: str = "the scripted bot broke off") -> None:
        """The tie breaks."""
        self._broken.set_exception(PlatformUnavailable(words))

    def cast_out(self, words: str) -> None:
        """The platform knows it no longer, and says why."""
        self._broken.set_exception(AuthNeeded(words))

    def check(self) -> None:
        """The platform no longer takes an old token."""
        if self._platform.tokens.get(self.identity.ref) != self._secret and not self._broken.done():
            self._broken.set_exception(AuthNeeded("Unauthorized"))

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        if self._platform.down:
            raise PlatformUnavailable("the platform is down")
        if all(sent.message.key != message.key for sent in self._platform.sent):
            self._platform.sent.append(Sent(self.identity.ref, to, message))
        return Delivery(DeliveryState.DELIVERED, MessageRef(f"sent-{message.key}"))

    @asynccontextmanager
    async def fetch(self, ref: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        self._platform.fetched.append(ref)
        if self._platform.hold is not None:
            await self._platform.hold.wait()
        if self._platform.down:
            raise PlatformUnavailable("the platform is down")
        if ref not in self._platform.kept:
            raise Gone("the scripted platform lost it")
        yield _in_pieces(self._platform.kept[ref])

    async def typing(self, to: ConversationRef) -> None:
        self._platform.typed.append(to)

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        token = await self.ctx.people.issue(scope)
        until = self.ctx.clock.now() + timedelta(minutes=15)
        opens = Invite(scope, InviteKind.CHAT, "", f"Chat with {agent_name}", agent_name, until)
        return f"https://bots.test/{self.identity.ref}?start={token}", opens

    async def receive(self, hook: Hook) -> HookReply:
        if not hmac.compare_digest(hook.headers.get(_SIGNATURE, ""), _sign(self._secret, hook.body)):
            raise HookRefused
        told = json.loads(hook.body)
        said = MessageReceived(
            ConversationRef(told["sender"]),
            MessageRef(told["ref"]),
            Sender(told["sender"], told["sender"].title()),
            told["text"],
        )
        assert self.ctx.connection is not None, "the shared bot is told of nothing by webhook"
        await self.ctx.emit(self.ctx.connection.scope, said)
        return HookReply(body=b"ok")


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


def _sign(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()
