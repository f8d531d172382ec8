"""What a link needs of the gateway, in memory, and a browser's side of the sockets."""

import asyncio
import hmac
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chamade_mcp.connectors.web.connector import connector
from chamade_mcp.connectors.web.link import WebLink
from chamade_mcp.kit.connector import Content, Context, Invite, InviteKind, PastMessage, PastReaction
from chamade_mcp.kit.testing_bots import Nobody
from chamade_mcp.kit.ticker import Ticker
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import TooLarge
from chamade_mcp.model.facts import (
    DeliveryChanged,
    Fact,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Reacting,
    ReactionChanged,
)
from chamade_mcp.model.ids import AccountId, AgentId, ConversationRef, FileId, new_file_id, new_id
from chamade_mcp.model.messages import Attachment, DeliveryState, Outgoing

BOUND_S = 5.0
SCOPE = Scope(AccountId("acct_1"), AgentId("agent_1"))
PUBLIC_URL = "https://talk.example.org"


class ManualClock:
    """Stands still until `advance`."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._start = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._elapsed + seconds, woken)
        self._sleepers.append(entry)
        try:
            await woken
        finally:
            self._sleepers.remove(entry)

    @property
    def sleepers(self) -> int:
        return len(self._sleepers)

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds
        for due, woken in self._sleepers:
            if due <= self._elapsed and not woken.done():
                woken.set_result(None)


@dataclass
class _Door:
    invite: Invite
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class FakeInvites:
    """Links that expire by the clock when `expire` is called, and are revoked by `revoke`."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._doors: dict[str, _Door] = {}
        self.watchers = 0

    async def issue(
        self, scope: Scope, kind: InviteKind, *, title: str, agent_name: str
    ) -> tuple[str, Invite]:
        expires = self._clock.now() + timedelta(hours=24)
        token = new_id("t")
        invite = Invite(scope, kind, new_id(kind), title, agent_name, expires)
        self._doors[token] = _Door(invite)
        return token, invite

    async def admit(self, token: str) -> Invite | None:
        door = self._doors.get(token)
        return door.invite if door is not None and not door.gone.is_set() else None

    @asynccontextmanager
    async def watch(self, token: str) -> AsyncGenerator[Awaitable[Any], None]:
        self.watchers += 1
        try:
            yield self._doors[token].gone.wait()
        finally:
            self.watchers -= 1

    def revoke(self, token: str) -> None:
        self._doors[token].gone.set()

    def expire(self, token: str) -> None:
        self._clock.advance((self._doors[token].invite.expires_at - self._clock.now()).total_seconds())
        self.revoke(token)


class FakeFiles:
    def __init__(self, max_bytes: int = 100_000) -> None:
        self._max_bytes = max_bytes
        self.refused: Exception | None = None
        """When set, nothing can be saved."""
        self.saved: dict[FileId, bytes] = {}
        self.read_bytes = 0
        """Of all uploads, the refused too: shows how early the cap bites."""

    @property
    def max_bytes(self) -> int:
        return self._max_bytes

    async def save(self, scope: Scope, *, name: str, mime: str, chunks: AsyncIterator[bytes]) -> Attachment:
        if self.refused is not None:
            raise self.refused
        body = bytearray()
        async for chunk in chunks:
            body += chunk
            self.read_bytes += len(chunk)
            if len(body) > self._max_bytes:
                raise TooLarge(f"A file holds {self._max_bytes} bytes at most", code="FILE_TOO_LARGE")
        file_id = new_file_id()
        self.saved[file_id] = bytes(body)
        return Attachment(name, mime, len(body), f"{PUBLIC_URL}/files/{file_id}", file_id)

    async def keep(
        self, scope: Scope, ref: str, *, name: str, mime: str, size_bytes: int | None
    ) -> Attachment:
        raise AssertionError("no files are kept in a browser")

    async def open(self, attachment: Attachment) -> Content:
        raise AssertionError("browsers fetch files by their URL")


class FakeCore:
    """Commits facts, as the core does: one by one, each `ref` once; and shows them again as history."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.facts: list[Fact] = []
        self.refused: Exception | None = None
        """When set, nothing can be committed."""
        self.open = asyncio.Event()
        """Cleared, commits wait."""
        self.open.set()
        self.waiting = 0
        self._past: dict[ConversationRef, list[PastMessage]] = {}
        self._refs: set[str] = set()

    async def emit(self, scope: Scope, fact: Fact) -> None:
        self.waiting += 1
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        if self.refused is not None:
            raise self.refused
        if isinstance(fact, MessageReceived):
            if fact.ref in self._refs:
                return
            self._refs.add(fact.ref)
            past = PastMessage(
                new_id("msg"),
                fact.ref,
                True,
                fact.sender.name,
                fact.text,
                fact.attachments,
                self._clock.now(),
                fact.reply_to,
            )
            self._past.setdefault(fact.conversation, []).append(past)
        elif isinstance(fact, MessageEdited | MessageDeleted | ReactionChanged | DeliveryChanged):
            past = self._past[fact.conversation]
            past[:] = [_told(one, fact, self._clock.now()) if one.key == fact.ref else one for one in past]
        self.facts.append(fact)

    def stored(self, to: ConversationRef, message: Outgoing) -> None:
        """What the core does with an agent's message before it is sent."""
        past = PastMessage(
            new_id("msg"),
            message.key,
            False,
            "",
            message.text,
            message.attachments,
            self._clock.now(),
            message.reply_to,
            state=DeliveryState.PENDING,
        )
        self._past.setdefault(to, []).append(past)

    async def recent(self, scope: Scope, conversation: ConversationRef, limit: int) -> Sequence[PastMessage]:
        if self.refused is not None:
            raise self.refused
        return self._past.get(conversation, [])[-limit:]

    def of(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def _told(past: PastMessage, fact: Fact, at: datetime) -> PastMessage:
    match fact:
        case MessageEdited(text=text):
            return replace(past, text=text, edited_at=at)
        case MessageDeleted():
            return replace(past, text="", attachments=(), reactions=(), deleted=True)
        case ReactionChanged(sender=sender, how=Reacting.ADDED, emoji=[emoji]):
            mine = PastReaction(emoji, sender.ref, sender.name)
            return replace(past, reactions=(*past.reactions, mine))
        case ReactionChanged(sender=sender, emoji=[emoji]):
            gone = PastReaction(emoji, sender.ref, sender.name)
            return replace(past, reactions=tuple(r for r in past.reactions if r != gone))
        case DeliveryChanged(state=state):
            return replace(past, state=state)
        case _:
            return past


class World:
    """A gateway around one live web link, served on a free loopback port."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.invites = FakeInvites(self.clock)
        self.files = FakeFiles()
        self.core = FakeCore(self.clock)
        self.ticker = Ticker()
        self.ctx = Context(
            clock=self.clock,
            ticker=self.ticker,
            emit=self.core.emit,
            invites=self.invites,
            files=self.files,
            history=self.core,
            public_url=PUBLIC_URL,
            settings={},
            secret=lambda purpose: hmac.digest(b"gateway key", purpose.encode(), "sha256"),
            people=Nobody(),
        )
        self.netloc = ""
        self.link: WebLink

    async def room(self, agent_name: str = "Ada") -> str:
        """A new room's token."""
        return (await self.link.calls.create(SCOPE, agent_name)).rpartition("/")[2]

    async def chat(self, agent_name: str = "Ada") -> tuple[str, ConversationRef]:
        url, invite = await self.link.messages.invite(SCOPE, agent_name)
        return url.rpartition("/")[2], ConversationRef(invite.ref)

    def page(self, token: str, **headers: str) -> "Page":
        return Page(f"ws://{self.netloc}/live/web/{token}", headers)

    def files_url(self, token: str) -> str:
        return f"http://{self.netloc}/live/web/{token}/files"


class Page:
    """A browser page: an async context manager around one socket."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._socket: ClientConnection | None = None
        self.welcome: dict[str, Any] = {}
        self.audio: list[bytes] = []
        """Binary frames that came while something else was awaited."""

    async def __aenter__(self) -> "Page":
        self._socket = await connect(
            self._url, additional_headers=self._headers, compression=None, proxy=None, max_size=None
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    @property
    def id(self) -> str:
        return self.welcome["you"]

    @property
    def secret(self) -> str:
        return self.welcome["guest"]

    async def say(self, type_: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type_, **fields}))

    async def enter(self, name: str = "Ann", guest: str | None = None, **fields: Any) -> "Page":
        await self.say("hello", name=name, guest=guest, **fields)
        self.welcome = await self.next()
        assert self.welcome["type"] == "welcome"
        return self

    async def next(self) -> dict[str, Any]:
        """The next text message."""
        async with asyncio.timeout(BOUND_S):
            while True:
                frame = await self.socket.recv()
                if isinstance(frame, str):
                    return json.loads(frame)
                self.audio.append(frame)

    async def expect(self, type_: str) -> dict[str, Any]:
        """The next message of that type; others before it are passed over."""
        while (message := await self.next())["type"] != type_:
            pass
        return message

    async def until_ping(self, type_: str) -> list[dict[str, Any]]:
        """All messages of that type up to now: what was sent before the answer to our ping."""
        await self.say("ping", t=1)
        found: list[dict[str, Any]] = []
        while (message := await self.next())["type"] != "pong":
            if message["type"] == type_:
                found.append(message)
        return found

    async def frames(self, count: int) -> list[bytes]:
        async with asyncio.timeout(BOUND_S):
            while len(self.audio) < count:
                frame = await self.socket.recv()
                if isinstance(frame, bytes):
                    self.audio.append(frame)
        return self.audio

    async def closed(self) -> tuple[int, str | None]:
        """The close code, and the reason told before."""
        reason: str | None = None
        try:
            async with asyncio.timeout(BOUND_S):
                while True:
                    frame = await self.socket.recv()
                    if isinstance(frame, str) and json.loads(frame)["type"] == "closed":
                        reason = json.loads(frame)["reason"]
        except ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd is not None else 1006), reason


@asynccontextmanager
async def serving(world: World) -> AsyncGenerator[str, None]:
    """Serves the link as the gateway does, in this loop; host and port."""
    # Named TCP: asyncio turns Nagle's algorithm off only on sockets that say so.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        app = Starlette(routes=[Mount("/live/web", world.link.app)])
        config = uvicorn.Config(
            app, lifespan="off", log_config=None, ws_max_size=4 << 20, ws_per_message_deflate=False
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        await eventually(lambda: server.started)
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def opened_link(world: World) -> AsyncGenerator[World, None]:
    """The world with its link open, and not served."""
    async with connector.open(world.ctx) as link:
        assert isinstance(link, WebLink)
        world.link = link
        yield world


@asynccontextmanager
async def live_world() -> AsyncGenerator[World, None]:
    world = World()
    async with opened_link(world), serving(world) as netloc:
        world.netloc = netloc
        yield world


async def eventually(condition: Callable[[], object], bound_s: float = BOUND_S) -> None:
    """Waits, within the bound, until `condition()` holds."""
    async with asyncio.timeout(bound_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)
