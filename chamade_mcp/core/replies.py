"""The reply clock: who waits for an answer, sees that it comes, and is told when it does not.

Per conversation, in memory alone: a restart forgets who was waiting, and nobody is told anything then. One
task serves every clock of the process, and runs only while one is open.
"""

import asyncio
import heapq
import itertools
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Row

from chamade_mcp.core.behind import Behind
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import (
    COMMON,
    AccountId,
    AgentId,
    ConnectionId,
    ConversationId,
    ConversationRef,
    Platform,
)

TYPING_EVERY_S: Final = 4.0
"""Pages and platforms show an indicator for about 5 s."""
_BEAT_S: Final = 0.5


class Correspondent(NamedTuple):
    """A person in one conversation, and the agent they write with."""

    scope: Scope
    platform: Platform
    conversation: ConversationId
    ref: ConversationRef
    connection: ConnectionId = COMMON

    @property
    def link(self) -> tuple[Platform, ConnectionId]:
        """By which they are reached, as `Supervisor.link` takes it."""
        return self.platform, self.connection

    @classmethod
    def of(cls, row: Row[Any]) -> "Correspondent":
        """Whom a stored message, as `sent.outbound` gives it, goes to."""
        return cls(
            Scope(AccountId(row.account_id), AgentId(row.agent_id)),
            Platform(row.platform),
            ConversationId(row.conversation_id),
            ConversationRef(row.conversation_ref),
            ConnectionId(row.connection_id),
        )


class Attendant(Protocol):
    """What the clock has done. Neither may raise because of what a platform says."""

    async def show_typing(self, whom: Correspondent) -> None: ...

    async def tell_no_reply(self, whom: Correspondent) -> None: ...


@dataclass(slots=True, eq=False)
class _Waiting:
    whom: Correspondent
    deadline: float
    showing: bool = False
    """A platform that is slow is not asked again meanwhile."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A clock that an answer has stopped, to be set going again should the answer fail."""

    whom: Correspondent
    deadline: float


class ReplyClock:
    """`timeout_s` is how long an agent has; 0 switches all of it off, the indicator too."""

    def __init__(self, clock: Clock, timeout_s: float, attendant: Attendant) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._attendant = attendant
        self._open: dict[ConversationId, _Waiting] = {}
        self._told: dict[ConversationId, AccountId] = {}
        """Who has been told that nobody answers, and has had no answer since."""
        self._due: list[tuple[float, int, _Waiting]] = []
        """A heap. A clock that was stopped or replaced is found out when its turn comes."""
        self._numbers = itertools.count()
        self._beating: asyncio.Task[None] | None = None
        self._behind = Behind()

    @property
    def open(self) -> int:
        """How many people wait."""
        return len(self._open)

    def heard(self, whom: Correspondent) -> None:
        """A person wrote: the agent has its time from now on, and is shown to be at it.

        Not for one who was told already that nobody answers: an indicator would promise what silence has
        disproved, and the notice is not repeated.
        """
        if whom.conversation in self._told:
            return
        waiting = self._open.get(whom.conversation)
        if waiting is None:
            self._start(whom, show_now=True)
        else:
            # The indicator is there: it is shown again before it goes, and not for each of many messages.
            waiting.deadline = self._clock.monotonic() + self._timeout_s

    def prolong(self, whom: Correspondent) -> None:
        """The agent is at it, and has all its time again; the indicator has just been shown."""
        self._start(whom, show_now=False)

    def stop(self, conversation: ConversationId) -> Stopped | None:
        """The agent's answer is on its way."""
        waiting = self._open.pop(conversation, None)
        return None if waiting is None else Stopped(waiting.whom, waiting.deadline)

    def answered(self, conversation: ConversationId) -> None:
        """The answer is out: whoever is kept waiting after the next message is told so again."""
        self._told.pop(conversation, None)

    def resume(self, stopped: Stopped | None) -> None:
        """The answer failed: the time goes on as if it had not been tried."""
        if stopped is not None and stopped.whom.conversation not in self._open:
            self._watch(_Waiting(stopped.whom, stopped.deadline), first_in_s=0.0)

    def forget(self, account: AccountId) -> None:
        self._open = {c: w for c, w in self._open.items() if w.whom.scope.account != account}
        self._told = {c: a for c, a in self._told.items() if a != account}

    def handed_over(self, link: tuple[Platform, ConnectionId], before: Scope, to: Scope) -> None:
        """Who waits over that link waits for another agent."""
        for waiting in self._open.values():
            if (waiting.whom.link, waiting.whom.scope) == (link, before):
                waiting.whom = waiting.whom._replace(scope=to)

    async def close(self) -> None:
        """Nobody is told anything any more; what is under way is dropped."""
        self._timeout_s = 0
        self._open.clear()
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await self._behind.drop()

    # --- time ----------------------------------------------------------------------------------------------

    def _start(self, whom: Correspondent, *, show_now: bool) -> None:
        if self._timeout_s <= 0:
            return
        waiting = _Waiting(whom, self._clock.monotonic() + self._timeout_s)
        self._watch(waiting, first_in_s=TYPING_EVERY_S)
        if show_now:
            self._show(waiting)

    def _watch(self, waiting: _Waiting, *, first_in_s: float) -> None:
        if self._timeout_s <= 0:
            return
        self._open[waiting.whom.conversation] = waiting
        self._set(waiting, self._clock.monotonic() + first_in_s)
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat(), name="reply clock")

    def _set(self, waiting: _Waiting, at: float) -> None:
        heapq.heappush(self._due, (min(at, waiting.deadline), next(self._numbers), waiting))

    async def _beat(self) -> None:
        while self._due:
            await self._clock.sleep(_BEAT_S)
            now = self._clock.monotonic()
            while self._due and self._due[0][0] <= now:
                waiting = heapq.heappop(self._due)[2]
                if self._open.get(waiting.whom.conversation) is not waiting:
                    continue
                if now >= waiting.deadline:
                    self._give_up(waiting)
                else:
                    self._show(waiting)
                    self._set(waiting, now + TYPING_EVERY_S)

    def _give_up(self, waiting: _Waiting) -> None:
        whom = waiting.whom
        del self._open[whom.conversation]
        if whom.conversation not in self._told:
            self._told[whom.conversation] = whom.scope.account
            self._behind.begin(self._attendant.tell_no_reply(whom))

    def _show(self, waiting: _Waiting) -> None:
        if not waiting.showing:
            waiting.showing = True
            self._behind.begin(self._show_once(waiting))

    async def _show_once(self, waiting: _Waiting) -> None:
        try:
            await self._attendant.show_typing(waiting.whom)
        finally:
            waiting.showing = False
