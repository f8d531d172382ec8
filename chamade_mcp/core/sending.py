"""Direct messages out: stored first, then handed to the platform; what became of it is stored too."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row

from chamade_mcp.core import dms
from chamade_mcp.core.cursors import Heads
from chamade_mcp.core.files import Files
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.outbox import Errand, Outbox, Settled
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.probe import Probes
from chamade_mcp.core.replies import Correspondent, ReplyClock, Stopped
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import Messages
from chamade_mcp.kit.waiting import race, to_the_end
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import (
    Action,
    Conflict,
    FieldError,
    GatewayError,
    NotFound,
    Outcome,
    PlatformRefused,
    Unavailable,
    delivery_unknown,
    no_active_conversation,
)
from chamade_mcp.model.ids import (
    AccountId,
    AgentId,
    ConversationId,
    ConversationRef,
    MessageId,
    Platform,
    new_message_id,
)
from chamade_mcp.model.messages import DeliveryState, Outgoing
from chamade_mcp.store.database import Database

log = logging.getLogger(__name__)

NO_REPLY = "No reply yet. Your message is kept; the agent will see it."
_PATIENCE_S = 25.0
"""How long the answer to a send waits for the platform, and for what stands before it."""


@dataclass(frozen=True, slots=True)
class SendResult:
    """`status` is the HTTP status of CONTRACT section 4.4, `body` its body."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InboxDeps:
    """What the inbox works with, in both directions."""

    database: Database
    hub: EventHub
    clock: Clock
    platforms: Platforms
    supervisor: Supervisor
    files: Files
    probes: Probes
    reply_timeout_s: float
    """How long an agent has to answer before the person is told; 0: for ever."""


class Sending:
    """An `Attendant` of its reply clock."""

    def __init__(self, deps: InboxDeps, heads: Heads) -> None:
        self._d = deps
        self._heads = heads
        self._outbox = Outbox(deps.clock, self._deliver, self._give_up)
        self.replies = ReplyClock(deps.clock, deps.reply_timeout_s, self)

    async def start(self) -> None:
        """Sends on its way what an earlier life of the gateway stored and did not get to."""
        for row in await self._d.database.read(dms.pending):
            self._outbox.put(_errand(row))

    async def stop(self) -> None:
        """Finishes what is being sent, within reason; the rest goes out after the next start."""
        await self.replies.close()
        await self._outbox.stop()

    def forget(self, account: AccountId) -> None:
        self.replies.forget(account)
        self._outbox.forget(account)

    async def send(
        self,
        principal: Principal,
        platform: str,
        text: str,
        *,
        keep_typing: bool = False,
        attachments: Sequence[Mapping[str, Any]] = (),
        conversation_id: str | None = None,
        message_id: str | None = None,
    ) -> SendResult:
        """With attachments the answer does not wait for the platform; nor does it where the platform cannot
        be reached just now, or others of the conversation wait before it. What is pending is stored.

        Raises `PlatformRefused`, with the outcome `unknown` when the platform did not answer in time.
        """
        manifest = self._d.platforms.require(platform)
        row = await self._target(principal.scope, platform, conversation_id)
        if manifest.text_limit is not None and len(text) > manifest.text_limit:
            over = FieldError("text", f"has {len(text)} characters; {platform} takes {manifest.text_limit}")
            raise PlatformRefused(platform=platform, errors=[over])
        self._messages(manifest.platform)  # one that is down is told at once, and nothing is kept for it
        files = await self._d.files.attach(principal.scope, attachments)
        outgoing = Outgoing(message_id or new_message_id(), text, attachments=files)
        whom = _whom(principal.scope, row)
        # A caller who goes away does not stop a message half-way.
        told = await to_the_end(self._begin(whom, outgoing, keep_typing=keep_typing))
        if files:
            return SendResult(200, {"status": "pending", "message_id": outgoing.key, "delivery": "async"})
        return await self._result(outgoing.key, told)

    async def retry(self, principal: Principal, message: str) -> SendResult:
        """Raises `Conflict` for a message that is not failed, and what `send` raises."""
        scope = principal.scope

        def again(conn: Connection) -> Row[Any]:
            row = dms.outbound(conn, scope, message)
            if row is None:
                raise NotFound("Message not found", code="MESSAGE_NOT_FOUND")
            if row.status not in (DeliveryState.FAILED, DeliveryState.UNKNOWN):
                raise Conflict(f"The message is {row.status}", code="MESSAGE_NOT_FAILED", action=Action.WAIT)
            dms.set_status(conn, MessageId(row.id), DeliveryState.PENDING)
            return row

        async def begin() -> asyncio.Future[Settled]:
            row = await self._d.database.write(again)
            return self._outbox.put(replace(_errand(row), at=self._d.clock.now()))

        return await self._result(message, await to_the_end(begin()))

    async def _result(self, message: str, told: asyncio.Future[Settled]) -> SendResult:
        await race(asyncio.wait({told}), self._d.clock.sleep(_PATIENCE_S))
        settled = told.result() if told.done() else DeliveryState.PENDING
        if isinstance(settled, Exception):
            raise settled
        if settled is DeliveryState.PENDING:
            return SendResult(202, {"status": "pending", "message_id": message, "delivery": "async"})
        return SendResult(200, {"status": str(settled), "message_id": message, "delivery": "sync"})

    async def typing(
        self, principal: Principal, platform: str, conversation_id: str | None = None
    ) -> dict[str, Any]:
        manifest = self._d.platforms.require(platform)
        whom = _whom(principal.scope, await self._target(principal.scope, platform, conversation_id))
        self.replies.prolong(whom)
        with reaching(manifest.platform):
            await self._messages(manifest.platform).typing(whom.ref)
        return {"status": "ok"}

    async def say(self, whom: Correspondent, text: str) -> None:
        """The gateway itself writes to a person: stored and delivered as an agent's words are, under its
        own name. Raises `Unavailable`."""
        self._messages(whom.platform)
        outgoing = Outgoing(new_message_id(), text, sender_name=dms.GATEWAY)
        await to_the_end(self._begin(whom, outgoing))

    async def tell_no_reply(self, whom: Correspondent) -> None:
        try:
            await self.say(whom, NO_REPLY)
        except GatewayError as error:
            log.warning("%s was not told that nobody answers: %s", whom.conversation, error)

    async def show_typing(self, whom: Correspondent) -> None:
        try:
            with reaching(whom.platform):
                await self._messages(whom.platform).typing(whom.ref)
        except GatewayError as error:
            log.debug("typing was not shown on %s: %s", whom.platform, error)

    async def _target(self, scope: Scope, platform: str, conversation: str | None) -> Row[Any]:
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

    def _messages(self, platform: Platform) -> Messages:
        messages = self._d.supervisor.link(platform).messages
        if messages is None:
            raise no_active_conversation(platform)
        return messages

    async def _begin(
        self, whom: Correspondent, outgoing: Outgoing, *, keep_typing: bool = False
    ) -> asyncio.Future[Settled]:
        """Stores the message and sends it on its way."""
        new = dms.NewMessage(
            id=MessageId(outgoing.key),
            direction=dms.OUTBOUND,
            ref=outgoing.key,
            sender_name=outgoing.sender_name,
            text=outgoing.text,
            attachments=outgoing.attachments,
            status=str(DeliveryState.PENDING),
            at=self._d.clock.now(),
        )
        store = partial(dms.add_message, scope=whom.scope, conversation=whom.conversation, new=new)
        seq = await self._d.database.write(store)
        if seq is None:
            return await self._known(whom.scope, outgoing.key)
        self._heads.advance(whom.scope, new)
        answers = outgoing.sender_name != dms.GATEWAY
        return self._outbox.put(Errand(seq, whom, outgoing, new.at, keep_typing, answers))

    async def _known(self, scope: Scope, message: str) -> asyncio.Future[Settled]:
        """What has become of a message that an earlier life of the gateway stored."""
        row = await self._d.database.read(partial(dms.outbound, scope=scope, message=message))
        if row is None:
            raise NotFound("Message not found", code="MESSAGE_NOT_FOUND")
        if row.status == DeliveryState.PENDING:
            return self._outbox.put(_errand(row))
        told: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        state = DeliveryState(row.status)
        if state is DeliveryState.FAILED:
            told.set_result(PlatformRefused(platform=row.platform))
        else:
            told.set_result(delivery_unknown(row.platform) if state is DeliveryState.UNKNOWN else state)
        return told

    async def _deliver(self, errand: Errand) -> DeliveryState:
        """One attempt. What cannot be reached leaves the message pending."""
        whom = errand.whom
        stopped = self.replies.stop(whom.conversation) if errand.answers else None
        try:
            with reaching(whom.platform):
                delivery = await self._messages(whom.platform).send(whom.ref, errand.outgoing)
        except Unavailable:
            if errand.answers:
                self.replies.answered(whom.conversation)  # the agent has done its part
            raise
        except Exception as error:
            known = isinstance(error, GatewayError) and error.outcome is Outcome.NOT_DONE
            state = DeliveryState.FAILED if known else DeliveryState.UNKNOWN
            words = error.detail if isinstance(error, GatewayError) else None
            await self._settle(errand, state, words, stopped)
            raise
        await self._settle(errand, delivery.state, delivery.detail or None, stopped)
        if delivery.state is DeliveryState.FAILED:
            raise PlatformRefused(platform=whom.platform)
        if delivery.state is DeliveryState.UNKNOWN:
            raise delivery_unknown(whom.platform)
        if errand.keep_typing:
            self.replies.prolong(whom)
            await self.show_typing(whom)
        return delivery.state

    async def _settle(
        self, errand: Errand, state: DeliveryState, words: str | None, stopped: Stopped | None
    ) -> None:
        if state is DeliveryState.FAILED:
            self.replies.resume(stopped)
        elif errand.answers:
            self.replies.answered(errand.whom.conversation)
        await self._note(errand, state, words)

    async def _give_up(self, errand: Errand, error: GatewayError) -> None:
        log.warning("message %s was not delivered: %s", errand.outgoing.key, error.code)
        await self._note(errand, DeliveryState.FAILED, error.detail)

    async def _note(self, errand: Errand, state: DeliveryState, words: str | None) -> None:
        # The message is out or not, whatever the database says: no error of ours may tell otherwise.
        message = MessageId(errand.outgoing.key)
        try:
            await self._d.database.write(
                partial(dms.set_status, message=message, status=str(state), detail=words)
            )
        except GatewayError as error:
            log.warning("message %s is %s, which was not stored: %s", message, state, error)


def _errand(row: Row[Any]) -> Errand:
    """A stored message, as `dms.outbound` gives it, that is to go out."""
    scope = Scope(AccountId(row.account_id), AgentId(row.agent_id))
    place = ConversationId(row.conversation_id), ConversationRef(row.conversation_ref)
    outgoing = Outgoing(row.id, row.text, row.sender_name, dms.attachments_of(row))
    whom = Correspondent(scope, Platform(row.platform), *place)
    return Errand(row.seq, whom, outgoing, row.created_at, answers=row.sender_name != dms.GATEWAY)


def _whom(scope: Scope, row: Row[Any]) -> Correspondent:
    return Correspondent(scope, Platform(row.platform), ConversationId(row.id), ConversationRef(row.ref))
