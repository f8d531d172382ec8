"""What a link needs of the gateway, in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chamade_mcp.kit.connector import Content, Invite, InviteKind, PastMessage, PastReaction
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
from chamade_mcp.model.ids import ConversationRef, FileId, new_file_id, new_id
from chamade_mcp.model.messages import Attachment, DeliveryState, Outgoing

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

    async def emit(self, scope: Scope, /, *facts: Fact) -> None:
        for fact in facts:
            await self._commit(fact)

    async def _commit(self, fact: Fact) -> None:
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
            message.sender_name if message.by_hand else "",
            message.text,
            message.attachments,
            self._clock.now(),
            message.reply_to,
            state=DeliveryState.PENDING,
            by_hand=message.by_hand,
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
