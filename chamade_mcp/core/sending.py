"""Direct messages out: stored first, then handed to the platform; what became of it is stored too."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Row

from chamade_mcp.core import dms
from chamade_mcp.core.cursors import Heads
from chamade_mcp.core.files import Files
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.probe import Probes
from chamade_mcp.core.replies import Correspondent, ReplyClock
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import Messages
from chamade_mcp.kit.waiting import race, to_the_end
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import (
    FieldError,
    GatewayError,
    NotFound,
    Outcome,
    PlatformRefused,
    delivery_unknown,
    no_active_conversation,
)
from chamade_mcp.model.ids import ConversationId, ConversationRef, MessageId, Platform, new_message_id
from chamade_mcp.model.messages import DeliveryState, Outgoing
from chamade_mcp.store.database import Database

log = logging.getLogger(__name__)

NO_REPLY = "No reply yet. Your message is kept; the agent will see it."
_FINISH_S = 10.0
"""How long the end of the gateway waits for what is being sent."""


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


@dataclass(frozen=True, slots=True)
class _Errand:
    """One message on its way to one conversation."""

    whom: Correspondent
    messages: Messages
    outgoing: Outgoing
    keep_typing: bool = False
    answers: bool = True
    """Whether it is the agent's; the gateway's own words stop no clock."""

    @property
    def platform(self) -> Platform:
        return self.whom.platform


class Sending:
    """An `Attendant` of its reply clock."""

    def __init__(self, deps: InboxDeps, heads: Heads) -> None:
        self._d = deps
        self._heads = heads
        self._under_way: set[asyncio.Task[DeliveryState]] = set()
        self.replies = ReplyClock(deps.clock, deps.reply_timeout_s, self)

    async def stop(self) -> None:
        """Finishes what is being sent, within reason."""
        await self.replies.close()
        if self._under_way:
            await race(asyncio.wait(self._under_way), self._d.clock.sleep(_FINISH_S))
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

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
        """With attachments the answer does not wait for the platform.

        Raises `PlatformRefused`, with the outcome `unknown` when the platform did not answer in time.
        """
        manifest = self._d.platforms.require(platform)
        row = await self._target(principal.scope, platform, conversation_id)
        if manifest.text_limit is not None and len(text) > manifest.text_limit:
            over = FieldError("text", f"has {len(text)} characters; {platform} takes {manifest.text_limit}")
            raise PlatformRefused(platform=platform, errors=[over])
        messages = self._messages(manifest.platform)
        files = await self._d.files.attach(principal.scope, attachments)
        outgoing = Outgoing(message_id or new_message_id(), text, attachments=files)
        errand = _Errand(_whom(principal.scope, row), messages, outgoing, keep_typing)
        if files:
            await to_the_end(self._begin(errand, self._deliver_unattended))
            return SendResult(200, {"status": "pending", "message_id": outgoing.key, "delivery": "async"})
        # A caller who goes away does not stop a message half-way.
        state = await asyncio.shield(await to_the_end(self._begin(errand, self._deliver)))
        return SendResult(200, {"status": str(state), "message_id": outgoing.key, "delivery": "sync"})

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
        outgoing = Outgoing(new_message_id(), text, sender_name=dms.GATEWAY)
        errand = _Errand(whom, self._messages(whom.platform), outgoing, answers=False)
        await to_the_end(self._begin(errand, self._deliver_unattended))

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
        self, errand: _Errand, deliver: Callable[[_Errand], Coroutine[Any, Any, DeliveryState]]
    ) -> asyncio.Task[DeliveryState]:
        """Stores the message and sends it on its way."""
        await self._store(errand)
        return self._start(deliver(errand))

    async def _store(self, errand: _Errand) -> None:
        outgoing, scope = errand.outgoing, errand.whom.scope
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
        await self._d.database.write(
            partial(dms.add_message, scope=scope, conversation=errand.whom.conversation, new=new)
        )
        self._heads.advance(scope, new)

    def _start(self, work: Coroutine[Any, Any, DeliveryState]) -> asyncio.Task[DeliveryState]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _deliver(self, errand: _Errand) -> DeliveryState:
        state = DeliveryState.UNKNOWN
        stopped = self.replies.stop(errand.whom.conversation) if errand.answers else None
        try:
            with reaching(errand.platform):
                state = (await errand.messages.send(errand.whom.ref, errand.outgoing)).state
        except GatewayError as error:
            state = DeliveryState.UNKNOWN if error.outcome is Outcome.UNKNOWN else DeliveryState.FAILED
            raise
        finally:
            if state is DeliveryState.FAILED:
                self.replies.resume(stopped)
            elif errand.answers:
                self.replies.answered(errand.whom.conversation)
            await self._note(errand, state)
        if state is DeliveryState.FAILED:
            raise PlatformRefused(platform=errand.platform)
        if state is DeliveryState.UNKNOWN:
            raise delivery_unknown(errand.platform)
        if errand.keep_typing:
            self.replies.prolong(errand.whom)
            await self.show_typing(errand.whom)
        return state

    async def _deliver_unattended(self, errand: _Errand) -> DeliveryState:
        try:
            return await self._deliver(errand)
        except GatewayError as error:
            log.warning("message %s was not delivered: %s", errand.outgoing.key, error.code)
        except Exception:
            log.exception("message %s was not delivered", errand.outgoing.key)
        return DeliveryState.FAILED

    async def _note(self, errand: _Errand, state: DeliveryState) -> None:
        # The message is out or not, whatever the database says: no error of ours may tell otherwise.
        try:
            await self._d.database.write(
                partial(dms.set_status, message=MessageId(errand.outgoing.key), status=str(state))
            )
        except GatewayError as error:
            log.warning("message %s is %s, which was not stored: %s", errand.outgoing.key, state, error)


def _whom(scope: Scope, row: Row[Any]) -> Correspondent:
    return Correspondent(scope, Platform(row.platform), ConversationId(row.id), ConversationRef(row.ref))
