"""Two platforms as another package brings them: people connect bots there, and webhooks tell of what others
wrote. One knows a message again by its key, one shows it as often as it comes.

What arrived there stands in a file, a line for each time, which outlives the gateway.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chamade_mcp.kit.connection import Hook, HookRefused, HookReply
from chamade_mcp.kit.connector import Calls, Context, Invite, Link
from chamade_mcp.kit.manifest import BotSettings
from chamade_mcp.kit.scripted_manifest import scripted_manifest
from chamade_mcp.model.access import Scope
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.connections import Identity
from chamade_mcp.model.errors import NotAvailable
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import ConversationRef, MessageRef, Platform
from chamade_mcp.model.messages import Delivery, DeliveryState, Outgoing, Sender

BOOKS = "CHAOS_BOOKS"
"""The environment variable with the folder for the files."""
TOKEN = "chaos-token"
_ON_THE_WAY_S = 0.001


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message that arrived at a platform."""

    key: str
    to: str
    text: str


def arrivals(books: Path, platform: str) -> list[Arrival]:
    path = books / f"{platform}.book"
    lines = path.read_text().splitlines() if path.exists() else []
    return [Arrival(**json.loads(line)) for line in lines]


class Wired:
    """A `Connector` with bots of people's own."""

    def __init__(self, platform: str, *, remembers: bool) -> None:
        plain = scripted_manifest(
            frozenset({Capability.READ, Capability.WRITE}),
            platform=Platform(platform),
            creates_rooms=False,
            inbox=True,
            messages=frozenset(),
            window=None,
        )
        self.manifest = replace(
            plain, embedded=False, needs_meeting_url=False, bot=BotSettings(("bot_token",), ())
        )
        self._remembers = remembers

    async def verify(self, settings: Mapping[str, str]) -> Identity:
        return Identity(f"{self.manifest.platform}-bot", "@bot")

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncGenerator[Link]:
        books = Path(os.environ[BOOKS])
        known = {one.key for one in arrivals(books, self.manifest.platform)} if self._remembers else None
        book = os.open(books / f"{self.manifest.platform}.book", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            yield WiredBot(ctx, book, known)
        finally:
            os.close(book)


class WiredBot:
    """A `Link` that is `Hooked`, and its `Messages`."""

    calls: Calls | None = None

    def __init__(self, ctx: Context, book: int, known: set[str] | None) -> None:
        self.messages = self
        self._ctx = ctx
        self._book = book
        self._known = known

    async def receive(self, hook: Hook) -> HookReply:
        if hook.headers.get("x-token") != TOKEN:
            raise HookRefused
        told = json.loads(hook.body)
        who = Sender(told["from"], told["from"])
        assert self._ctx.connection is not None, "there is no shared bot"
        fact = MessageReceived(ConversationRef(who.ref), MessageRef(told["id"]), who, told["text"])
        await self._ctx.emit(self._ctx.connection.scope, fact)
        return HookReply()

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        await asyncio.sleep(_ON_THE_WAY_S)
        if self._known is None or message.key not in self._known:
            line = {"key": message.key, "to": to, "text": message.text}
            os.write(self._book, f"{json.dumps(line)}\n".encode())
        if self._known is not None:
            self._known.add(message.key)
        await asyncio.sleep(_ON_THE_WAY_S)
        return Delivery(DeliveryState.DELIVERED, MessageRef(f"sent-{message.key}"))

    async def typing(self, to: ConversationRef) -> None:
        """Nobody looks."""

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        raise NotAvailable("Nobody is invited here")


steady = Wired("steady", remembers=True)
forgetful = Wired("forgetful", remembers=False)
PLATFORMS = ("steady", "forgetful")


def install(folder: Path) -> None:
    """Makes `folder`, once it is on the path of a gateway, a package that brings them."""
    about = folder / "chaos-1.dist-info"
    about.mkdir(parents=True)
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: chaos\nVersion: 1\n")
    points = "\n".join(f"{name} = tests.chaos.platforms:{name}" for name in PLATFORMS)
    about.joinpath("entry_points.txt").write_text(f"[chamade_mcp.connectors]\n{points}\n")
