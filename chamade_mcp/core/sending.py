"""Direct messages out: stored first, then handed to the courier; the answer says what has become of them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row

from chamade_mcp.core import dms, sent, trouble_rows
from chamade_mcp.core.by_hand import owner_name
from chamade_mcp.core.composing import compose, incomplete, texts_of, to_be_stored
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
from chamade_mcp.kit.waiting import race, to_the_end
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


class SendResult(NamedTuple):
    """`status` is the HTTP status of CONTRACT section 4.4, `body` its body."""

    status: int
    body: dict[str, Any]


class _Begun:
    """A send from the moment that it is handed to the database."""

    __slots__ = ("answer", "told", "whom")

    def __init__(self) -> None:
        self.answer: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        """What became of the last part, before which all the others are settled."""
        self.told: Sequence[asyncio.Future[Settled] | None] = ()
        """The same of each part, once it is stored; None for one that had been stored before."""
        self.whom: Correspondent | None = None

    def answered(self, outcome: Settled) -> None:
        if not self.answer.done():
            self.answer.set_result(outcome)

    def promise(self, first: int = 0) -> None:
        """Nobody waits for the parts from `first` on any more."""
        for one in self.told[first:]:
            if one is not None:
                promise(one)


class Sending:
    """An `Attendant` of its reply clock."""

    def __init__(self, deps: InboxDeps, heads: Heads) -> None:
        self._d = deps
        self._heads = heads
        self.replies = ReplyClock(deps.clock, deps.reply_timeout_s, self)
        self.windows = Windows(deps)
        self._departures = Departures(deps, self.windows)
        self._courier = Courier(deps, self.replies, self.windows)
        self._patience = Patience[Settled](deps.clock, _PATIENCE_S, DeliveryState.PENDING)

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
        self,
        principal: Principal,
        platform: str,
        text: str,
        *,
        keep_typing: bool = False,
        attachments: Sequence[Mapping[str, Any]] = (),
        conversation_id: str | None = None,
        message_id: str | None = None,
        reply_to: str | None = None,
        thread: str | None = None,
        split: bool = False,
    ) -> SendResult:
        """With attachments the answer does not wait for the platform; nor does it where the platform cannot
        be reached just now, or others of the conversation wait before it. What is pending is stored.
        `HowToSend` tells what each means.

        Raises `PlatformRefused`, with the outcome `unknown` when the platform did not answer in time.
        """
        scope, manifest = principal.scope, self._d.platforms.require(platform)
        quoted = None
        if reply_to is not None:
            quoted = await self._quoted(scope, manifest, reply_to, conversation_id)
            conversation_id, thread = quoted.conversation_id, thread or quoted.thread
        if thread:
            require_feature(manifest, MessageFeature.THREADS)
        to = Destination(scope, manifest.platform, conversation_id)
        if attachments:  # before anything is fetched
            require_files(manifest)
            await self._d.database.read(partial(self._departures.find_reachable, to=to))
        texts = await texts_of(manifest, text) if split else [text]
        outgoing = compose(
            manifest,
            texts,
            message_id or new_message_id(self._d.clock.now()),
            attachments=await self._d.files.attach(scope, attachments) if attachments else (),
            reply_to=None if quoted is None else quoted.platform_ref,
            thread=ThreadRef(thread) if thread else None,
            sender_name="" if principal.browser is None else await self._owner_name(principal),
        )
        begun = self._begin(to, outgoing, texts, quoted, keep_typing=keep_typing, waits=not attachments)
        keys = [one.key for one in outgoing]
        result = await self._outcome(begun, keys)
        if attachments and result.body["status"] == DeliveryState.PENDING:
            result = result._replace(status=200)
        return result._replace(body=result.body | {"message_ids": keys}) if split else result

    async def retry(self, principal: Principal, message: str) -> SendResult:
        """Raises `Conflict` for a message that is not failed, and what `send` raises."""
        scope = principal.scope

        def again(conn: Connection) -> tuple[Row[Any], bool]:
            row = sent.outbound(conn, scope, message)
            if row is None:
                raise message_not_found()
            self._departures.find(conn, Destination(scope, row.platform, row.conversation_id))
            if not sent.set_state(conn, MessageId(row.id), DeliveryState.PENDING):
                raise Conflict(f"The message is {row.status}", code="MESSAGE_NOT_FAILED", action=Action.WAIT)
            trouble_rows.show_again(conn, scope, row.id)
            return row, self.windows.hold_if_closed(conn, Correspondent.of(row), [row.id])

        async def begin() -> tuple[Correspondent, asyncio.Future[Settled]]:
            row, held = await self._d.database.write(again)
            errand = self._courier.errand(row)._replace(at=self._d.clock.now())
            return errand.whom, _settled(WindowClosed()) if held else self._courier.put(errand)

        whom, told = await to_the_end(begin())
        return await self._told(whom, [message], [told])

    async def _outcome(self, begun: _Begun, keys: Sequence[str]) -> SendResult:
        try:
            outcome = await begun.answer
        finally:
            self._patience.forget(begun.answer)
        whom = begun.whom
        assert whom is not None, "something has become of what was not stored"
        if None in begun.told:
            told = [
                one or await to_the_end(self._known(whom.scope, key))
                for one, key in zip(begun.told, keys, strict=True)
            ]
            return await self._told(whom, keys, told)
        parts = [one for one in begun.told[:-1] if one is not None]
        so_far = [one.result() if one.done() else DeliveryState.PENDING for one in parts]
        return await self._result(whom, keys, [*so_far, outcome])

    async def _told(
        self, whom: Correspondent, keys: Sequence[str], told: Sequence[asyncio.Future[Settled]]
    ) -> SendResult:
        """Waits for what is missing of them, within reason."""
        missing = [one for one in told if not one.done()]
        if missing:
            await race(asyncio.wait(missing), self._d.clock.sleep(_PATIENCE_S))
        for one in missing:
            promise(one)
        return await self._result(whom, keys, [one.result() for one in told])

    async def _result(
        self, whom: Correspondent, keys: Sequence[str], settled: Sequence[Settled]
    ) -> SendResult:
        failed = [(at, one) for at, one in enumerate(settled) if isinstance(one, Exception)]
        if failed:
            if any(isinstance(error, WindowClosed) for _, error in failed):
                return await self._queued(whom, keys)
            at, error = failed[0]
            if at and isinstance(error, GatewayError) and error.outcome is Outcome.NOT_DONE:
                raise incomplete(whom.platform, keys, at)
            raise error
        if DeliveryState.PENDING in settled:
            return SendResult(202, {"status": "pending", "message_id": keys[0], "delivery": "async"})
        # The contract's one word for what the platform has; the inbox tells how far it got.
        return SendResult(200, {"status": "delivered", "message_id": keys[0], "delivery": "sync"})

    async def _queued(self, whom: Correspondent, keys: Sequence[str]) -> SendResult:
        """The person has to write first, and is asked to."""
        await race(asyncio.wait([self.windows.ask(whom, keys[0])]), self._d.clock.sleep(_PATIENCE_S))
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
        await self._begin(whom, [outgoing], [text], waits=False).answer

    async def tell_no_reply(self, whom: Correspondent) -> None:
        to = Destination(whom.scope, whom.platform, whom.conversation)
        try:
            await self._d.database.read(partial(self._departures.find, to=to))  # it may be closed meanwhile
            await self.say(whom, NO_REPLY)
        except GatewayError as error:
            log.warning("%s was not told that nobody answers: %s", whom.conversation, error)

    async def show_typing(self, whom: Correspondent) -> None:
        await self._courier.show_typing(whom)

    async def _owner_name(self, principal: Principal) -> str:
        """Under whose name it goes out."""
        return await self._d.database.read(partial(owner_name, account=principal.account))

    async def _quoted(self, scope: Scope, manifest: Manifest, message: str, named: str | None) -> Row[Any]:
        require_feature(manifest, MessageFeature.REPLY)
        row = await self._d.database.read(partial(sent.any_message, scope=scope, message=message))
        elsewhere = row is not None and named not in (None, row.conversation_id)
        if row is None or row.platform != manifest.platform or elsewhere:
            raise NotFound(
                "Message not found in this conversation", code="MESSAGE_NOT_FOUND", param="reply_to"
            )
        return row

    def _begin(
        self,
        to: Destination | Correspondent,
        parts: Sequence[Outgoing],
        texts: Sequence[str],
        quoted: Row[Any] | None = None,
        *,
        keep_typing: bool = False,
        waits: bool,
    ) -> _Begun:
        """Finds to whom, stores the message, all its parts or none, and sends it on its way. With `waits` the
        answer is what became of it, else that it is stored."""
        now = self._d.clock.now()
        new = [
            to_be_stored(part, text, now, quoted if part is parts[0] else None)
            for part, text in zip(parts, texts, strict=True)
        ]
        departure, begun = Departure(to, new, parts[0].sender_name != dms.GATEWAY), _Begun()
        depart = partial(self._depart, begun, departure, parts, keep_typing=keep_typing, waits=waits)
        # A caller who goes away does not stop a message half-way.
        self._d.database.write_onward(self._departures.store, departure, depart, begun.answer)
        return begun

    def _depart(
        self,
        begun: _Begun,
        departure: Departure,
        parts: Sequence[Outgoing],
        departed: Departed,
        *,
        keep_typing: bool,
        waits: bool,
    ) -> None:
        """What is stored goes on its way."""
        whom, numbers = departed.whom, departed.numbers
        begun.whom = whom
        self._d.hub.announce(departed.told)
        if numbers[-1] is not None:
            self._heads.advance(whom.scope, departure.new[-1])
        if departed.held:
            self.windows.ask(whom, parts[0].key)
            begun.told = [None if seq is None else _settled(WindowClosed()) for seq in numbers]
            begun.answered(WindowClosed())
            return
        waits = waits and None not in numbers
        last = len(parts) - 1
        begun.told = [
            None
            if seq is None
            else self._courier.put(
                Errand(
                    seq,
                    whom,
                    part,
                    departure.new[at].at,
                    keep_typing=keep_typing and at == last,
                    answers=departure.answers,
                    after=parts[at - 1].key if at else None,
                    more=at < last,
                ),
                begun.answer if waits and at == last else None,
            )
            for at, (seq, part) in enumerate(zip(numbers, parts, strict=True))
        ]
        if waits:
            self._patience.limit(begun.answer)
            if last:  # also of one who went away
                begun.answer.add_done_callback(lambda _: begun.promise())
            return
        begun.answered(DeliveryState.PENDING)
        if None not in numbers:  # the first one has the files: that it is out is no news
            begun.promise(1)

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
