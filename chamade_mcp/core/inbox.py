"""The inbox: direct messages in, and its three ways of looking at them. What goes out is in `sending`."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Unpack

from sqlalchemy import Connection

from chamade_mcp.core import dms, event_log
from chamade_mcp.core.arrivals import Arrival, Arrivals, Arrived
from chamade_mcp.core.changes import Changes
from chamade_mcp.core.composing import HowToSend
from chamade_mcp.core.credentials import credential_of
from chamade_mcp.core.cursors import Heads, cursor_of
from chamade_mcp.core.held import Released
from chamade_mcp.core.inbox_deps import InboxDeps
from chamade_mcp.core.listing import Wanted, words_of
from chamade_mcp.core.polls import Polls, SharedLooks
from chamade_mcp.core.probe import PROBE
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.core.reports import Report, Reports
from chamade_mcp.core.said import Party, Said, add_message
from chamade_mcp.core.sending import Sending, SendResult
from chamade_mcp.core.views import Views, answer
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.connections import Trust
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.events import Envelope
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import (
    AccountId,
    ConnectionId,
    GrantId,
    KeyId,
    Platform,
    new_message_id,
)
from chamade_mcp.model.limits import LONGEST_WAIT_S
from chamade_mcp.model.messages import plain_line, plain_text

__all__ = ["Inbox", "InboxDeps", "SendResult"]


class Inbox:
    def __init__(self, deps: InboxDeps) -> None:
        self._d = deps
        self._heads = Heads()
        self._sending = Sending(deps, self._heads)
        self._views = Views(self._sending.windows)
        self._arrivals = Arrivals(self._sending.windows)
        self.changes = Changes(deps)
        self._reports = Reports(
            deps.database, deps.hub, deps.clock, self._sending.windows, self._sending.answered
        )
        self._looks = SharedLooks()
        self._polls = Polls(deps.hub, deps.clock)

    async def start(self) -> None:
        """Sends on its way what an earlier life of the gateway did not get to; to be called once."""
        await self._sending.start()

    async def stop(self) -> None:
        """Answers every waiting poll, and finishes what is being sent."""
        self._polls.close()
        await self._sending.stop()

    async def forget(self, account: AccountId) -> None:
        """The account goes."""
        self._polls.end(lambda waiting: waiting.account == account)
        self._heads.forget(account)
        self._sending.forget(account)

    async def revoked(self, holder: KeyId | GrantId) -> None:
        """A key or a grant has ended: who waits with it hears nothing more."""
        self._polls.end(lambda waiting: credential_of(waiting) == holder)

    def handed_over(self, link: tuple[Platform, ConnectionId], before: Scope, to: Scope) -> None:
        """The conversations over a link are another agent's now."""
        self._heads.forget(to.account)
        self._sending.replies.handed_over(link, before, to)

    def messages_removed(self, account: AccountId) -> None:
        """By age: the newest one of an agent may be among them."""
        self._heads.forget(account)

    @property
    def waiting(self) -> int:
        """How many people wait for an answer, by the reply clock."""
        return self._sending.replies.open

    # --- reading -------------------------------------------------------------------------------------------

    async def cursor(self, principal: Principal) -> str:
        """`last_message_cursor`: after the agent's newest message."""
        known = self._heads.get(principal.scope)
        if known is None:
            known = await self._d.database.read(lambda conn: cursor_of(dms.head(conn, principal.scope)))
            known = self._heads.learn(principal.scope, known)
        return known

    async def snapshot(
        self,
        principal: Principal,
        *,
        limit: int = 50,
        offset: int = 0,
        status: str = dms.ACTIVE,
        before: str | None = None,
        search: str = "",
    ) -> dict[str, Any]:
        """Conversations, the one with the newest message first, each with that message; `next` is `before` of
        the page behind this one. Raises `InvalidRequest` for a `before` that is none."""
        words = words_of(search, self._d.platforms.manifests)
        wanted = Wanted(limit, offset, status, before=before, words=words)
        return await self._d.database.read(
            partial(self._views.snapshot, scope=principal.scope, wanted=wanted)
        )

    async def detail(self, principal: Principal, platform: str, *, limit: int = 50) -> dict[str, Any]:
        """The active conversation of a platform with its newest messages; no conversation is no error."""
        if platform == PROBE:
            probe = self._d.probes.shown(principal)
            return answer([] if probe is None else [probe], await self.cursor(principal))
        self._d.platforms.require(platform)
        scope = principal.scope

        def query(conn: Connection) -> dict[str, Any]:
            row = dms.most_recent(conn, scope, platform)
            found = [] if row is None else [self._views.whole(conn, row, limit)]
            return answer(found, cursor_of(dms.head(conn, scope)))

        return await self._d.database.read(query)

    async def conversation(
        self, principal: Principal, conversation: str, *, limit: int = 50
    ) -> dict[str, Any]:
        def query(conn: Connection) -> dict[str, Any] | None:
            row = dms.find(conn, principal.scope, conversation)
            return None if row is None else self._views.whole(conn, row, limit)

        if conversation == PROBE:
            found = self._d.probes.shown(principal)
        else:
            found = await self._d.database.read(query)
        if found is None:
            raise NotFound("Conversation not found", code="CONVERSATION_NOT_FOUND")
        return found

    async def delta(
        self,
        principal: Principal,
        cursor: str,
        wait: int = 0,
        *,
        platform: str | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """Conversations somebody wrote in since `cursor`, with what is new in them.

        Waits up to `wait` seconds, `LONGEST_WAIT_S` at most, for the first such message. Chaining the
        returned cursor misses and repeats nothing. A cursor whose message is not there, or somebody else's,
        is answered at once: `reset`, with a snapshot and a fresh cursor.
        """
        if platform not in (None, PROBE):
            self._d.platforms.require(platform)
        ask = partial(self._views.delta, scope=principal.scope, platform=platform, limit=limit)

        async def look() -> dict[str, Any]:
            nonlocal cursor
            question = (principal.scope, cursor, platform, limit)
            query = partial(ask, cursor=cursor)
            answer = await self._looks.ask(question, partial(self._d.database.read, query))
            cursor = answer["last_message_cursor"]
            probed = self._d.probes.polled(principal, platform)
            return answer | {"conversations": answer["conversations"] + probed} if probed else answer

        if wait <= 0:
            return await look()
        return await self._polls.wait(principal, min(wait, LONGEST_WAIT_S), look)

    # --- writing -------------------------------------------------------------------------------------------

    def send(
        self, principal: Principal, platform: str, text: str, **how: Unpack[HowToSend]
    ) -> Coroutine[Any, Any, SendResult]:
        """To the conversation named, else to the most recently active one of the platform."""
        if platform == PROBE:
            return self._probed(principal, text)
        return self._sending.send(principal, platform, text, **how)

    async def _probed(self, principal: Principal, text: str) -> SendResult:
        return SendResult(200, self._d.probes.answer(principal, text))

    async def retry(self, principal: Principal, message: str) -> SendResult:
        """Once more what failed, or may have; under the same key, so that it does not arrive twice."""
        return await self._sending.retry(principal, message)

    async def typing(
        self, principal: Principal, platform: str, conversation_id: str | None = None
    ) -> dict[str, Any]:
        if platform == PROBE:
            self._d.probes.typing(principal)
            return {"status": "ok"}
        return await self._sending.typing(principal, platform, conversation_id)

    async def received(
        self, scope: Scope, link: tuple[Platform, ConnectionId], fact: MessageReceived, trust: Trust
    ) -> None:
        """A person wrote: stored and told in one transaction; a repeated delivery changes nothing."""
        arrival = await self._arrival(scope, link, fact, trust)
        freed = await self._d.database.write_together(self._arrivals.store, arrival, self._arrived)
        if freed:
            await self._sending.take_up(freed)

    async def received_together(
        self,
        scope: Scope,
        link: tuple[Platform, ConnectionId],
        messages: Sequence[tuple[MessageReceived, Trust]],
    ) -> None:
        """The same for several, in their order and as a rule in one transaction. Should one of them fail,
        others may be stored all the same."""
        arrivals = [await self._arrival(scope, link, fact, trust) for fact, trust in messages]
        store, write = self._arrivals.store, self._d.database.write_together
        for freed in await asyncio.gather(*(write(store, one, self._arrived) for one in arrivals)):
            await self._sending.take_up(freed)

    async def _arrival(
        self, scope: Scope, link: tuple[Platform, ConnectionId], fact: MessageReceived, trust: Trust
    ) -> Arrival:
        flushed = await self._sending.flush(scope, link, fact)
        new = self._inbound(link[0], fact, "received", trust)
        party = Party(scope, *link, fact.conversation)
        return Arrival(party, fact.sender.ref, new, fact.reply_to, flushed)

    def _arrived(self, arrived: Arrived) -> Sequence[str]:
        """The messages it has set free."""
        if arrived.envelopes:
            self._heads.advance(arrived.whom.scope, arrived.new)
            self._sending.replies.heard(arrived.whom)
            self._d.hub.announce(arrived.envelopes)
        return arrived.released.pending

    async def reported(self, scope: Scope, link: tuple[Platform, ConnectionId], fact: Report) -> None:
        """What a platform tells of a message that is there already."""
        await self._reports.observe(scope, link, fact)

    async def received_aside(self, whom: Correspondent, fact: MessageReceived) -> bool:
        """A person said something to the gateway: stored for their own page, and told to no agent. False for
        a repeated delivery."""
        flushed = await self._sending.flush(whom.scope, whom.link, fact)
        new = self._inbound(whom.platform, fact, dms.ASIDE)

        def store(conn: Connection) -> tuple[bool, list[Envelope], Released]:
            if not add_message(conn, Said(whom.scope, whom.conversation, new)):
                return False, [], Released()
            released, told = self._sending.windows.release(conn, whom, flushed)
            return True, event_log.append(conn, told, new.at), released

        is_new, envelopes, released = await self._d.database.write(store)
        self._d.hub.announce(envelopes)
        await self._sending.take_up(released.pending)
        return is_new

    async def say(self, whom: Correspondent, text: str) -> None:
        """The gateway itself writes to a person. Raises `Unavailable`."""
        await self._sending.say(whom, text)

    def _inbound(
        self, platform: Platform, fact: MessageReceived, status: str, trust: Trust | None = None
    ) -> dms.NewMessage:
        at = self._d.clock.now()
        return dms.NewMessage(
            new_message_id(at),
            dms.INBOUND,
            fact.ref,
            plain_line(fact.sender.name),
            plain_text(fact.text),
            fact.attachments,
            status,
            at,
            thread=fact.thread,
            group=None if fact.group is None else plain_line(fact.group),
            mentions_me=fact.mentions_me,
            sent_at=fact.sent_at,
            sender_ref=plain_line(fact.sender.ref),
            trust=trust,
            heard_at=self._sending.windows.heard_at(platform),
        )
