"""The outbox: stored messages leave one after the other, each conversation by itself, until they are settled.

What is in here is in the database too, as pending: a gateway that was killed puts it in again under the same
keys. A platform out of reach is tried again with growing pauses. Those behind wait; other conversations do
not.
"""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, NamedTuple

from chamade_mcp.core.replies import Correspondent
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import WindowClosed
from chamade_mcp.kit.waiting import race
from chamade_mcp.model.errors import Action, GatewayError, Unavailable
from chamade_mcp.model.ids import AccountId, ConversationId
from chamade_mcp.model.messages import DeliveryState, Outgoing

log = logging.getLogger(__name__)

GIVE_UP_S: Final = 3600.0
"""A message this old is not tried again; one that was left over from before is tried once all the same."""
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_FINISH_S: Final = 10.0
"""How long the end of the gateway waits for what is being sent, and a report for an answer it overtook."""


class Errand(NamedTuple):
    """One message on its way to one conversation. `seq` is its place among the account's messages."""

    seq: int
    whom: Correspondent
    outgoing: Outgoing
    at: datetime
    """When it was accepted."""
    keep_typing: bool = False
    answers: bool = True
    """Whether it is the agent's; the gateway's own words stop no clock."""
    after: str | None = None
    """The part before it: should that fail, this one is not sent."""
    more: bool = False
    """Another part comes after it."""
    waited: bool = False
    """It was held until the person wrote, who has just done so."""


Settled = DeliveryState | Exception
"""What became of it: a state, `PENDING` when it has to wait, or why it failed; `WindowClosed`: it is held."""
Deliver = Callable[[Errand], Awaitable[DeliveryState]]
"""One attempt, its outcome stored. `Unavailable` leaves it pending."""
GiveUp = Callable[[Errand, GatewayError], Awaitable[None]]
Wait = Callable[[Errand, float], Awaitable[None]]
"""So many seconds, until it is tried again."""


class _Lane:
    __slots__ = ("pausing", "task", "told", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[int, float, Errand]] = []
        """By place, each with the moment after which it is given up, on the clock that never jumps."""
        self.told: dict[str, asyncio.Future[Settled]] = {}
        """By key: whoever waits for a message that is still in here. Done: they were told it is pending."""
        self.pausing = False
        self.task: asyncio.Task[None] | None = None

    def settle(self, key: str, outcome: Settled) -> None:
        told = self.told[key]
        if not told.done():
            told.set_result(outcome)


class Outbox:
    def __init__(self, clock: Clock, deliver: Deliver, give_up: GiveUp, wait: Wait) -> None:
        self._clock = clock
        self._deliver = deliver
        self._give_up = give_up
        self._wait = wait
        self._lanes: dict[ConversationId, _Lane] = {}
        self._delivering: dict[str, asyncio.Future[None] | None] = {}
        """By key what is just being tried, and who waits until it was."""
        self._closed = False

    async def answered(self, key: str) -> None:
        """Waits, within reason, until what is just being tried under `key` is settled."""
        if key in self._delivering:
            tried = self._delivering[key] or asyncio.get_running_loop().create_future()
            self._delivering[key] = tried
            await race(asyncio.wait([tried]), self._clock.sleep(_FINISH_S))

    def put(self, errand: Errand, told: asyncio.Future[Settled] | None = None) -> asyncio.Future[Settled]:
        """The future, `told` where it is given, never fails; who cancels it is not told. A message that is in
        here already is not put in twice."""
        lane = self._lanes.get(errand.whom.conversation)
        if lane is None:
            lane = self._lanes[errand.whom.conversation] = _Lane()
        key = errand.outgoing.key
        if key in lane.told:
            return _same(lane.told[key])
        told = lane.told[key] = told or asyncio.get_running_loop().create_future()
        age_s = max(0.0, (self._clock.now() - errand.at).total_seconds())
        heapq.heappush(lane.waiting, (errand.seq, self._clock.monotonic() + GIVE_UP_S - age_s, errand))
        if lane.pausing or self._closed:
            lane.settle(key, DeliveryState.PENDING)
        elif lane.task is None:
            lane.task = asyncio.create_task(self._run(errand.whom.conversation, lane), name="outbox")
        return told

    def promised(self, errand: Errand) -> bool:
        """Whether whoever sent it was told that it is pending."""
        lane = self._lanes.get(errand.whom.conversation)
        told = None if lane is None else lane.told.get(errand.outgoing.key)
        return told is not None and told.done()

    def forget(self, account: AccountId) -> None:
        """The account goes, and what it still wanted to say with it."""
        for lane in self._lanes.values():
            for *_, errand in lane.waiting:
                if errand.whom.scope.account == account:
                    lane.settle(errand.outgoing.key, DeliveryState.FAILED)
                    del lane.told[errand.outgoing.key]
            lane.waiting = [one for one in lane.waiting if one[2].whom.scope.account != account]

    async def stop(self) -> None:
        """Finishes what is being sent, within reason; the rest stays pending in the database."""
        self._closed = True
        lanes = list(self._lanes.values())
        sending = [lane.task for lane in lanes if lane.task is not None and not lane.pausing]
        if sending:
            await race(asyncio.wait(sending), self._clock.sleep(_FINISH_S))
        tasks = [lane.task for lane in lanes if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lane in lanes:
            for key in lane.told:
                lane.settle(key, DeliveryState.PENDING)

    async def _run(self, conversation: ConversationId, lane: _Lane) -> None:
        while lane.waiting and not self._closed:
            _, last_s, errand = heapq.heappop(lane.waiting)
            outcome = await self._see_through(errand, last_s, lane)
            lane.settle(errand.outgoing.key, outcome)
            del lane.told[errand.outgoing.key]
        lane.task = None
        if not lane.waiting:
            self._lanes.pop(conversation, None)

    async def _see_through(self, errand: Errand, last_s: float, lane: _Lane) -> Settled:
        """Tries until it is settled, or `last_s` has come."""
        attempts, key = 0, errand.outgoing.key
        while True:
            self._delivering[key] = None
            try:
                return await self._deliver(errand)
            except Unavailable as error:
                attempts += 1
                pause = _pause(attempts, error)
                if self._closed:
                    return DeliveryState.PENDING
                if self._hopeless(errand, error) or self._clock.monotonic() + pause > last_s:
                    await self._give_up(errand, error)
                    return error
            except WindowClosed as error:
                return error
            except Exception as error:
                log.warning("message %s was not delivered: %r", key, error)
                return error
            finally:
                tried = self._delivering.pop(key)
                if tried is not None:
                    tried.set_result(None)
            lane.pausing = True
            for each in lane.told:
                lane.settle(each, DeliveryState.PENDING)
            await self._wait(errand, pause)
            lane.pausing = False

    def _hopeless(self, errand: Errand, error: Unavailable) -> bool:
        """What only a person can mend is told at once; but who was told that it is pending is not to hear
        that it failed when the person mends it in time."""
        if not errand.answers:  # the gateway's own words are of the moment: later they would be wrong
            return True
        if error.action is Action.ASK_HUMAN:
            return not (errand.waited or self.promised(errand))
        return error.action is not Action.RETRY


def _same(told: asyncio.Future[Settled]) -> asyncio.Future[Settled]:
    """For another one who waits: neither of them takes it from the other by going away."""
    same: asyncio.Future[Settled] = told.get_loop().create_future()

    def tell(told: asyncio.Future[Settled]) -> None:
        if not same.done():
            same.set_result(DeliveryState.PENDING if told.cancelled() else told.result())

    told.add_done_callback(tell)
    return same


def _pause(attempts: int, error: Unavailable) -> float:
    """Full jitter, so that many conversations do not come back at the same moment."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempts, 10))
    return max(error.retry_after or 0.0, random.uniform(0.0, longest))  # noqa: S311
