"""The inbox: direct messages in, in its three modes, and out."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from chamade_mcp.core import dms
from chamade_mcp.core import log as event_log
from chamade_mcp.core.files import Files
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.supervisor import Supervisor
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.kit.connector import Messages, PastMessage, PlatformUnavailable
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import (
    FieldError,
    GatewayError,
    InvalidRequest,
    NotFound,
    PlatformRefused,
    Unavailable,
    no_active_conversation,
)
from chamade_mcp.model.events import Envelope, Event, EventType
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import ConversationId, ConversationRef, FileId, MessageId, Platform, new_message_id
from chamade_mcp.model.messages import Attachment, DeliveryState, Outgoing
from chamade_mcp.store.database import Database

log = logging.getLogger(__name__)

MAX_WAIT_S = 55
_DELTA_MESSAGES = 500
"""Messages one delta answer carries at most; the cursor it returns goes on from there."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SendResult:
    """`status` is the HTTP status of CONTRACT section 4.4, `body` its body."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InboxDeps:
    database: Database
    hub: EventHub
    clock: Clock
    platforms: Platforms
    supervisor: Supervisor
    files: Files


class Inbox:
    def __init__(self, deps: InboxDeps) -> None:
        self._d = deps
        self._sending: set[asyncio.Task[None]] = set()
        self._heads: dict[Scope, str] = {}
        self._closing = asyncio.Event()

    async def stop(self) -> None:
        """Answers every waiting poll, and finishes what is being sent."""
        self._closing.set()
        await asyncio.gather(*self._sending)

    # --- reading -------------------------------------------------------------------------------------------

    async def cursor(self, principal: Principal) -> str:
        """`last_message_cursor`: after the agent's newest message."""
        known = self._heads.get(principal.scope)
        if known is None:
            known = await self._d.database.read(lambda conn: _cursor(dms.head(conn, principal.scope)))
            known = self._heads.setdefault(principal.scope, known)
        return known

    async def snapshot(
        self, principal: Principal, *, limit: int = 50, offset: int = 0, status: str = "active"
    ) -> dict[str, Any]:
        """Conversations, the one with the newest message first, each with that message."""
        scope = principal.scope

        def query(conn: Connection) -> dict[str, Any]:
            found: list[dict[str, Any]] = []
            for row in dms.page(conn, scope, status, limit, offset):
                last = dms.newest(conn, row.id, 1)
                found.append(
                    dms.conversation_to_wire(row)
                    | {"last_message": dms.message_to_wire(last[0]) if last else None}
                )
            return _answer(found, _cursor(dms.head(conn, scope)))

        return await self._d.database.read(query)

    async def detail(self, principal: Principal, platform: str, *, limit: int = 50) -> dict[str, Any]:
        """The active conversation of a platform with its newest messages; no conversation is no error."""
        self._d.platforms.require(platform)
        scope = principal.scope

        def query(conn: Connection) -> dict[str, Any]:
            row = dms.most_recent(conn, scope, platform)
            found = [] if row is None else [_whole(conn, row, limit)]
            return _answer(found, _cursor(dms.head(conn, scope)))

        return await self._d.database.read(query)

    async def conversation(
        self, principal: Principal, conversation: str, *, limit: int = 50
    ) -> dict[str, Any]:
        def query(conn: Connection) -> dict[str, Any] | None:
            row = dms.find(conn, principal.scope, conversation)
            return None if row is None else _whole(conn, row, limit)

        found = await self._d.database.read(query)
        if found is None:
            raise NotFound("Conversation not found", code="CONVERSATION_NOT_FOUND")
        return found

    async def delta(
        self,
        principal: Principal,
        cursor: str,
        *,
        wait: int = 0,
        platform: str | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """Conversations somebody wrote in since `cursor`, with what is new in them.

        Waits up to `wait` seconds (at most 55) for the first such message. Chaining the returned cursor
        misses and repeats nothing.
        """
        if platform is not None:
            self._d.platforms.require(platform)
        scope = principal.scope
        seq = await self._d.database.read(partial(_seq_at, scope=scope, cursor=cursor))
        look = partial(_news, scope=scope, seq=seq, platform=platform, limit=limit, cursor=cursor)
        if wait <= 0:
            return await self._d.database.read(look)
        async with self._d.hub.subscribe(scope, after=None) as envelopes:
            answer = await self._d.database.read(look)
            if answer["conversations"]:
                return answer
            waits: list[asyncio.Future[Any]] = [
                asyncio.ensure_future(_message(envelopes, platform)),
                asyncio.ensure_future(self._d.clock.sleep(min(wait, MAX_WAIT_S))),
                asyncio.ensure_future(self._closing.wait()),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
                await asyncio.gather(*waits, return_exceptions=True)
        return await self._d.database.read(look)

    # --- writing -------------------------------------------------------------------------------------------

    async def send(
        self,
        principal: Principal,
        platform: str,
        text: str,
        *,
        keep_typing: bool = False,
        attachments: Sequence[Mapping[str, Any]] = (),
        conversation_id: str | None = None,
    ) -> SendResult:
        """Stored first, then handed to the platform. With attachments the answer does not wait for it."""
        manifest = self._d.platforms.require(platform)
        row = await self._target(principal, platform, conversation_id)
        if manifest.text_limit is not None and len(text) > manifest.text_limit:
            over = FieldError("text", f"has {len(text)} characters; {platform} takes {manifest.text_limit}")
            raise PlatformRefused(platform=platform, errors=[over])
        files = await self._d.files.attach(principal.scope, attachments)
        outgoing = Outgoing(new_message_id(), text, attachments=files)
        new = dms.NewMessage(
            MessageId(outgoing.key),
            dms.OUTBOUND,
            outgoing.key,
            "",
            text,
            files,
            "pending",
            self._d.clock.now(),
        )
        await self._store(principal.scope, ConversationId(row.id), new)
        ref = ConversationRef(row.ref)
        if files:
            task = asyncio.create_task(self._deliver_later(Platform(platform), ref, outgoing, keep_typing))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
            return SendResult(200, {"status": "pending", "message_id": new.id, "delivery": "async"})
        await self._deliver(Platform(platform), ref, outgoing, keep_typing)
        return SendResult(200, {"status": "delivered", "message_id": new.id, "delivery": "sync"})

    async def typing(
        self, principal: Principal, platform: str, conversation_id: str | None = None
    ) -> dict[str, Any]:
        self._d.platforms.require(platform)
        row = await self._target(principal, platform, conversation_id)
        await self._messages(Platform(platform)).typing(ConversationRef(row.ref))
        return {"status": "ok"}

    async def received(self, scope: Scope, platform: Platform, fact: MessageReceived) -> None:
        """A person wrote: stored and told in one transaction; a repeated delivery changes nothing."""
        now = self._d.clock.now()
        new = dms.NewMessage(
            new_message_id(),
            dms.INBOUND,
            fact.ref,
            fact.sender.name,
            fact.text,
            fact.attachments,
            "received",
            now,
        )

        def store(conn: Connection) -> list[Envelope]:
            conversation = dms.ensure_conversation(
                conn, scope, platform, fact.conversation, fact.sender.name, now
            )
            if not dms.add_message(conn, scope, conversation, new):
                return []
            return event_log.append(conn, [_dm_chat(scope, platform, conversation, new)], now)

        envelopes = await self._d.database.write(store)
        if envelopes:
            self._heads[scope] = f"{iso(now)}|{new.id}"
            self._d.hub.announce(envelopes)

    # --- inside --------------------------------------------------------------------------------------------

    async def _target(self, principal: Principal, platform: str, conversation: str | None) -> Any:
        scope = principal.scope
        if conversation is not None:
            row = await self._d.database.read(partial(dms.find, scope=scope, conversation=conversation))
            if row is None or row.platform != platform:
                raise NotFound(
                    "Conversation not found", code="CONVERSATION_NOT_FOUND", param="conversation_id"
                )
            return row
        row = await self._d.database.read(partial(dms.most_recent, scope=scope, platform=platform))
        if row is None:
            raise no_active_conversation(platform)
        return row

    async def _store(self, scope: Scope, conversation: ConversationId, new: dms.NewMessage) -> None:
        await self._d.database.write(lambda conn: dms.add_message(conn, scope, conversation, new))
        self._heads[scope] = f"{iso(new.at)}|{new.id}"

    def _messages(self, platform: Platform) -> Messages:
        messages = self._d.supervisor.link(platform).messages
        if messages is None:
            raise no_active_conversation(platform)
        return messages

    async def _deliver(
        self, platform: Platform, ref: ConversationRef, outgoing: Outgoing, keep_typing: bool
    ) -> None:
        messages = self._messages(platform)
        message = MessageId(outgoing.key)
        try:
            delivery = await messages.send(ref, outgoing)
        except GatewayError:
            await self._d.database.write(partial(dms.set_status, message=message, status="failed"))
            raise
        except PlatformUnavailable as error:
            await self._d.database.write(partial(dms.set_status, message=message, status="failed"))
            raise Unavailable(f"{platform} is not reachable", retry_after=error.retry_after) from error
        await self._d.database.write(partial(dms.set_status, message=message, status=str(delivery.state)))
        if delivery.state is DeliveryState.FAILED:
            raise PlatformRefused(platform=platform)
        if keep_typing:
            await messages.typing(ref)

    async def _deliver_later(
        self, platform: Platform, ref: ConversationRef, outgoing: Outgoing, keep_typing: bool
    ) -> None:
        try:
            await self._deliver(platform, ref, outgoing, keep_typing)
        except GatewayError as error:
            log.warning("message %s was not delivered: %s", outgoing.key, error.code)


class InboxHistory:
    """`kit.connector.History` of one platform."""

    def __init__(self, database: Database, platform: Platform) -> None:
        self._database = database
        self._platform = platform

    async def recent(self, scope: Scope, conversation: ConversationRef, limit: int) -> Sequence[PastMessage]:
        def query(conn: Connection) -> list[PastMessage]:
            row = dms.find_by_ref(conn, scope, self._platform, conversation)
            return [] if row is None else [_past(m) for m in dms.newest(conn, row.id, limit)]

        return await self._database.read(query)


def _past(row: Any) -> PastMessage:
    attachments = tuple(
        Attachment(a["name"], a["mime"], a["size"], a["url"], FileId(a["file_id"])) for a in row.attachments
    )
    return PastMessage(
        row.id,
        row.ref,
        row.direction == dms.INBOUND,
        row.sender_name,
        row.text,
        attachments,
        row.created_at,
    )


def _dm_chat(scope: Scope, platform: Platform, conversation: str, new: dms.NewMessage) -> Event:
    payload = {
        "type": str(EventType.DM_CHAT),
        "platform": platform,
        "conversation_id": conversation,
        "message_id": new.id,
        "sender": new.sender_name,
        "text": new.text,
        "attachments": [a.to_wire() for a in new.attachments],
        "timestamp": iso(new.at),
    }
    return Event(scope.account, scope.agent, EventType.DM_CHAT, payload)


async def _message(envelopes: Any, platform: str | None) -> None:
    """Returns once a direct message (on `platform`) has arrived."""
    async for envelope in envelopes:
        event = envelope.event
        if event.type is EventType.DM_CHAT and platform in (None, event.payload["platform"]):
            return


def _answer(found: list[dict[str, Any]], cursor: str) -> dict[str, Any]:
    return {"conversations": found, "last_message_cursor": cursor}


def _whole(conn: Connection, row: Any, limit: int) -> dict[str, Any]:
    return dms.conversation_to_wire(row) | {
        "messages": [dms.message_to_wire(m) for m in dms.newest(conn, row.id, limit)]
    }


def _cursor(row: Any) -> str:
    """`<ISO timestamp>|<message id>` of a message; before the first one, the beginning of time."""
    return iso(_EPOCH) if row is None else f"{iso(row.created_at)}|{row.id}"


def _seq_at(conn: Connection, scope: Scope, cursor: str) -> int:
    """Where in the agent's messages a cursor points. Raises `InvalidRequest` for one that is none."""
    stamp, _, message = cursor.partition("|")
    if message:
        seq = dms.seq_of(conn, scope, message)
        if seq is not None:
            return seq
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        raise InvalidRequest(
            "last_message_cursor is not a cursor of this gateway: take a fresh one from GET /api/account",
            code="INVALID_CURSOR",
            param="last_message_cursor",
        ) from None
    return dms.seq_before(conn, scope, moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _news(
    conn: Connection, scope: Scope, seq: int, platform: str | None, limit: int, cursor: str
) -> dict[str, Any]:
    rows = dms.since(conn, scope, seq, platform, _DELTA_MESSAGES)
    grouped: dict[str, list[Any]] = {}
    last = None
    for row in rows:
        if row.conversation_id not in grouped and len(grouped) == limit:
            break
        grouped.setdefault(row.conversation_id, []).append(row)
        last = row
    found: list[dict[str, Any]] = []
    for conversation, news in grouped.items():
        if any(m.direction == dms.INBOUND for m in news):
            row = dms.find(conn, scope, conversation)
            if row is not None:
                found.append(
                    dms.conversation_to_wire(row) | {"messages": [dms.message_to_wire(m) for m in news]}
                )
    return _answer(found, cursor if last is None else _cursor(last))
