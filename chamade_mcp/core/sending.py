"""Direct messages out: stored first, then handed to the courier; the answer says what has become of them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import Connection, Row

from chamade_mcp.core import dms, sent
from chamade_mcp.core.by_hand import owner_name
from chamade_mcp.core.composing import compose, incomplete, texts_of
from chamade_mcp.core.courier import Courier, promise
from chamade_mcp.core.cursors import Heads
from chamade_mcp.core.departures import Departed, Departure, Departures
from chamade_mcp.core.inbox_deps import InboxDeps
from chamade_mcp.core.outbox import Errand, Settled
from chamade_mcp.core.patience import Patience
from chamade_mcp.core.places import Destination
from chamade_mcp.core.replies import Correspondent, ReplyClock
from chamade_mcp.core.supervisor import reaching
from chamade_mcp.core.windows import Flushed, Windows
from chamade_mcp.core.wording import require_feature, require_files, worded
from chamade_mcp.kit.connector import WindowClosed
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.capabilities import MessageFeature
from chamade_mcp.model.errors import (
    Action,
    Conflict,
    GatewayError,
    NotFound,
    Outcome,
    PlatformRefused,
    delivery_unknown,
    message_not_found,
)
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import (
    AccountId,
    ConnectionId,
    MessageId,
    Platform,
    ThreadRef,
    new_message_id,
)
from chamade_mcp.model.messages import DeliveryState, Outgoing

log = logging.getLogger(__name__)

NO_REPLY = "No reply yet. Your message is kept; the agent will see it."
_PATIENCE_S: Final = 25.0
"""How long the answer to a send waits for the platform, and for what stands before it."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """`status` is the HTTP status of CONTRACT section 4.4, `body` its body."""

    status: int
    body: dict[str, Any]


class HowToSend(TypedDict, total=False):
    """What may be said of a message beside its text."""

    keep_typing: bool
    attachments: Sequence[Mapping[str, Any]]
    conversation_id: str | None
    """The most recently active one of the platform, when absent."""
    message_id: str | None
    """The one it must bear; the same twice is sent once."""
    reply_to: str | None
    """The id of a message: it is quoted, and names the conversation and the thread, too."""
    thread: str | None
    split: bool
    """What is too long for the platform goes out as several messages."""


class Sending:
    """An `Attendant` of its reply clock."""

    def __init__(self, deps: InboxDeps, heads: Heads) -> None:
        self._d = deps
        self._heads = heads
        self.replies = ReplyClock(deps.clock, deps.reply_timeout_s, self)
        self.windows = Windows(deps)
        self._departures = Departures(deps, self.windows)
        self._courier = Courier(deps, self.replies, self.windows)
        self._patience = Patience(deps.clock, _PATIENCE_S)

    async def start(self) -> None:
        """Sends on its way what an earlier life of the gateway stored and did not get to."""
        await self._courier.start()
        self.windows.start()

    async def stop(self) -> None:
        """Finishes what is being sent, within reason; the rest goes out after the next start."""
        await self.replies.close()
        await self.windows.stop()
        await self._courier.stop()
        self._patience.close()

    def forget(self, account: AccountId) -> None:
        self.replies.forget(account)
        self._courier.forget(account)

    async def send(
        self, principal: Principal, platform: str, text: str, **how: Unpack[HowToSend]
    ) -> SendResult:
        """With attachments the answer does not wait for the platform; nor does it where the platform cannot
        be reached just now, or others of the conversation wait before it. What is pending is stored.

        Raises `PlatformRefused`, with the outcome `unknown` when the platform did not answer in time.
        """
        scope, manifest = principal.scope, self._d.platforms.require(platform)
        quoted = await self._quoted(scope, manifest, how)
        thread = how.get("thread") or (None if quoted is None else quoted.thread)
        if thread is not None:
            require_feature(manifest, MessageFeature.THREADS)
        target = how.get("conversation_id") if quoted is None else quoted.conversation_id
        to = Destination(scope, manifest.platform, target)
        if how.get("attachments"):  # before anything is fetched
            require_files(manifest)
            await self._d.database.read(partial(self._departures.find_reachable, to=to))
        texts = await texts_of(manifest, text, may_split=how.get("split", False))
        name = await self._owner_name(principal)
        outgoing = compose(
            manifest,
            texts,
            how.get("message_id") or new_message_id(self._d.clock.now()),
            attachments=await self._d.files.attach(scope, how.get("attachments", ())),
            reply_to=None if quoted is None else quoted.platform_ref,
            thread=None if thread is None else ThreadRef(thread),
            sender_name=name,
        )
        typing = how.get("keep_typing", False)
        whom, told = await self._begin(to, outgoing, texts, quoted, keep_typing=typing)
        keys = [one.key for one in outgoing]
        more = {"message_ids": keys} if how.get("split") else {}
        if outgoing[0].attachments and not _held(told):
            body = {"status": "pending", "message_id": keys[0], "delivery": "async"}
            return SendResult(200, body | more)
        result = await self._result(whom, keys, told)
        return replace(result, body=result.body | more) if more else result

    async def retry(self, principal: Principal, message: str) -> SendResult:
        """Raises `Conflict` for a message that is not failed, and what `send` raises."""
        scope = principal.scope

        def again(conn: Connection) -> tuple[Row[Any], bool]:
            row = sent.outbound(conn, scope, message)
            if row is None:
                raise message_not_found()
            if not sent.set_state(conn, MessageId(row.id), DeliveryState.PENDING):
                raise Conflict(f"The message is {row.status}", code="MESSAGE_NOT_FAILED", action=Action.WAIT)
            return row, self.windows.hold_if_closed(conn, Correspondent.of(row), [row.id])

        async def begin() -> tuple[Correspondent, asyncio.Future[Settled]]:
            row, held = await self._d.database.write(again)
            errand = self._courier.errand(row)._replace(at=self._d.clock.now())
            return errand.whom, _settled(WindowClosed()) if held else self._courier.put(errand)

        whom, told = await to_the_end(begin())
        return await self._result(whom, [message], [told])

    async def _result(
        self, whom: Correspondent, keys: Sequence[str], told: Sequence[asyncio.Future[Settled]]
    ) -> SendResult:
        await self._patience.wait(told)
        for one in told:
            promise(one)
        if _held(told):
            return await self._queued(whom, keys)
        settled = [one.result() for one in told]
        for at, outcome in enumerate(settled):
            if isinstance(outcome, GatewayError) and outcome.outcome is Outcome.NOT_DONE and at:
                raise incomplete(whom.platform, keys, at)
            if isinstance(outcome, Exception):
                raise outcome
        if DeliveryState.PENDING in settled:
            return SendResult(202, {"status": "pending", "message_id": keys[0], "delivery": "async"})
        # The contract's one word for what the platform has; the inbox tells how far it got.
        return SendResult(200, {"status": "delivered", "message_id": keys[0], "delivery": "sync"})

    async def _queued(self, whom: Correspondent, keys: Sequence[str]) -> SendResult:
        """The person has to write first, and is asked to."""
        await self._patience.wait([self.windows.ask(whom, keys[0])])
        look = partial(self.windows.queued, whom=whom, messages=keys)
        return SendResult(
            202, {"status": "queued", "message_id": keys[0], **await self._d.database.read(look)}
        )

    async def answered(self, message: str) -> None:
        """Waits, within reason, for the platform's answer while `message` is being handed to it."""
        await self._courier.answered(message)

    async def flush(
        self, scope: Scope, link: tuple[Platform, ConnectionId], fact: MessageReceived
    ) -> Flushed | None:
        """Before what a person wrote is stored: sends what waits for it. None: nothing could."""
        if self.windows.is_late(link, fact):
            return None
        if self.windows.nothing_waits():  # as a rule
            return Flushed()
        look = partial(self.windows.opens, scope=scope, link=link, fact=fact)
        opened = await self._d.database.read(look)
        if opened is None:
            return None
        conversation, waits = opened
        if not waits:
            return Flushed()
        await self.windows.drop(link[0])
        return await self._courier.flush(conversation)

    async def take_up(self, messages: Sequence[str]) -> None:
        """Sends what was set free while others were flushed."""
        await self._courier.take_up(messages)

    async def typing(
        self, principal: Principal, platform: str, conversation_id: str | None = None
    ) -> dict[str, Any]:
        manifest = self._d.platforms.require(platform)
        to = Destination(principal.scope, manifest.platform, conversation_id)
        whom = await self._d.database.read(partial(self._departures.find, to=to))
        self.replies.prolong(whom)
        with reaching(manifest.platform):
            await self._d.messages(*whom.link).typing(whom.ref)
        return {"status": "ok"}

    async def say(self, whom: Correspondent, text: str) -> None:
        """The gateway itself writes to a person: stored and delivered as an agent's words are, under its
        own name. Raises `Unavailable`."""
        self._d.messages(*whom.link)
        said = worded(self._d.platforms.require(whom.platform), text)
        outgoing = Outgoing(new_message_id(self._d.clock.now()), said, sender_name=dms.GATEWAY, markdown=text)
        await self._begin(whom, [outgoing], [text])

    async def tell_no_reply(self, whom: Correspondent) -> None:
        try:
            await self.say(whom, NO_REPLY)
        except GatewayError as error:
            log.warning("%s was not told that nobody answers: %s", whom.conversation, error)

    async def show_typing(self, whom: Correspondent) -> None:
        await self._courier.show_typing(whom)

    async def _owner_name(self, principal: Principal) -> str:
        """Under whose name it goes out; "" for the agent's own words."""
        if principal.browser is None:
            return ""
        return await self._d.database.read(partial(owner_name, account=principal.account))

    async def _quoted(self, scope: Scope, manifest: Manifest, how: HowToSend) -> Row[Any] | None:
        message = how.get("reply_to")
        if message is None:
            return None
        require_feature(manifest, MessageFeature.REPLY)
        row = await self._d.database.read(partial(sent.any_message, scope=scope, message=message))
        elsewhere = row is not None and how.get("conversation_id") not in (None, row.conversation_id)
        if row is None or row.platform != manifest.platform or elsewhere:
            raise NotFound(
                "Message not found in this conversation", code="MESSAGE_NOT_FOUND", param="reply_to"
            )
        return row

    async def _begin(
        self,
        to: Destination | Correspondent,
        parts: Sequence[Outgoing],
        texts: Sequence[str],
        quoted: Row[Any] | None = None,
        *,
        keep_typing: bool = False,
    ) -> tuple[Correspondent, list[asyncio.Future[Settled]]]:
        """Finds to whom, stores the message, all its parts or none, and sends it on its way."""
        now = self._d.clock.now()
        new = [
            _new(part, text, now, quoted if part is parts[0] else None)
            for part, text in zip(parts, texts, strict=True)
        ]

        answers = parts[0].sender_name != dms.GATEWAY
        departure = Departure(to, new, answers)
        departing = partial(self._depart, departure, parts, keep_typing=keep_typing)
        # A caller who goes away does not stop a message half-way.
        whom, told = await self._d.database.write_together(self._departures.store, departure, departing)
        return whom, [
            one or await to_the_end(self._known(whom.scope, part.key))
            for one, part in zip(told, parts, strict=True)
        ]

    def _depart(
        self, departure: Departure, parts: Sequence[Outgoing], departed: Departed, *, keep_typing: bool
    ) -> tuple[Correspondent, list[asyncio.Future[Settled] | None]]:
        """What is stored goes on its way. None for a part that was stored before."""
        whom, numbers = departed.whom, departed.numbers
        self._d.hub.announce(departed.told)
        if numbers[-1] is not None:
            self._heads.advance(whom.scope, departure.new[-1])
        if departed.held:
            self.windows.ask(whom, parts[0].key)
            return whom, [None if seq is None else _settled(WindowClosed()) for seq in numbers]
        told: list[asyncio.Future[Settled] | None] = []
        for at, (seq, part) in enumerate(zip(numbers, parts, strict=True)):
            if seq is None:
                told.append(None)
                continue
            more = at + 1 < len(parts)
            errand = Errand(
                seq,
                whom,
                part,
                departure.new[at].at,
                keep_typing=keep_typing and not more,
                answers=departure.answers,
                after=parts[at - 1].key if at else None,
                more=more,
            )
            told.append(self._courier.put(errand))
        return whom, told

    async def _known(self, scope: Scope, message: str) -> asyncio.Future[Settled]:
        """What has become of a message that an earlier life of the gateway stored."""
        row = await self._d.database.read(partial(sent.outbound, scope=scope, message=message))
        if row is None:
            raise message_not_found()
        if row.status == DeliveryState.PENDING:
            return _settled(WindowClosed()) if row.held else self._courier.put(self._courier.errand(row))
        state = DeliveryState(row.status)
        if state is DeliveryState.FAILED:
            return _settled(PlatformRefused(platform=row.platform))
        return _settled(delivery_unknown(row.platform) if state is DeliveryState.UNKNOWN else state)


def _settled(outcome: Settled) -> asyncio.Future[Settled]:
    told: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
    told.set_result(outcome)
    return told


def _held(told: Sequence[asyncio.Future[Settled]]) -> bool:
    return any(one.done() and isinstance(one.result(), WindowClosed) for one in told)


def _new(outgoing: Outgoing, text: str, at: datetime, quoted: Row[Any] | None) -> dms.NewMessage:
    return dms.NewMessage(
        id=MessageId(outgoing.key),
        direction=dms.OUTBOUND,
        ref=outgoing.key,
        sender_name=outgoing.sender_name,
        text=text,
        attachments=outgoing.attachments,
        status=str(DeliveryState.PENDING),
        at=at,
        reply_to=None if quoted is None else quoted.id,
        thread=outgoing.thread,
    )
