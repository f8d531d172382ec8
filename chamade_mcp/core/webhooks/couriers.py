"""Carries what happens to the endpoints: one courier each, so that none waits for another.

The database knows what is to be carried and when. A courier holds what it carries just now and nothing else,
however much waits.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, select

from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.webhooks import outcomes, queue
from chamade_mcp.core.webhooks.carrier import Carrier
from chamade_mcp.core.webhooks.queue import Taken
from chamade_mcp.core.webhooks.records import Due, Target
from chamade_mcp.kit.clock import Clock, SteadyTime
from chamade_mcp.kit.waiting import race, to_the_end
from chamade_mcp.model.access import Bounds, Scope
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.ids import AccountId, AgentId, WebhookDeliveryId, WebhookId
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import webhooks

log = logging.getLogger(__name__)

WIDTH: Final = 4
"""Deliveries under way to one endpoint, of different conversations and calls."""
_MOST_AT_ONCE: Final = 256
_LOOK_EVERY_S: Final = 60.0
"""A courier looks by itself so often, whether it was woken or not."""
_AFTER_ERROR_S: Final = 2.0
_FINISH_S: Final = 5.0
"""How long the end of the gateway waits for what is on its way; the rest is tried again after the start."""


@dataclass(frozen=True, slots=True)
class CourierDeps:
    database: Database
    hub: EventHub
    clock: Clock
    carrier: Carrier
    time: SteadyTime
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MOST_AT_ONCE))
    """Of all couriers together: each delivery under way holds a socket."""


class Couriers:
    """All of them. Belongs to one event loop."""

    def __init__(self, deps: CourierDeps) -> None:
        self._d = deps
        self._couriers: dict[WebhookId, _Courier] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        for webhook, scope in await self._d.database.read(_everything):
            self.wake(webhook, scope)

    def wake(self, webhook: WebhookId, scope: Scope) -> None:
        """Something changed there: it is new, goes on, or is to try something again."""
        courier = self._couriers.get(webhook)
        if courier is None or courier.over:
            courier = self._couriers[webhook] = _Courier(self._d, webhook, scope)
        courier.wake.set()

    def forget(self, webhook: WebhookId) -> None:
        """It was removed. What is on its way there arrives, or not."""
        courier = self._couriers.pop(webhook, None)
        if courier is not None:
            ending = asyncio.create_task(courier.stop(0.0), name=f"end of {webhook}")
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def leave(self, account: AccountId, agent: AgentId | None = None) -> None:
        """The account goes, or one agent of it."""
        going = Bounds(account, agent)
        for webhook, courier in list(self._couriers.items()):
            if going.holds(courier.scope):
                del self._couriers[webhook]
                await courier.stop(0.0)

    async def stop(self) -> None:
        couriers, self._couriers = list(self._couriers.values()), {}
        await asyncio.gather(*(courier.stop(_FINISH_S) for courier in couriers), *self._ending)


class _Courier:
    """To one endpoint."""

    def __init__(self, deps: CourierDeps, webhook: WebhookId, scope: Scope) -> None:
        self._d = deps
        self._webhook = webhook
        self.scope = scope
        self.wake = asyncio.Event()
        self._busy: dict[WebhookDeliveryId, str] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._round = asyncio.create_task(self._run(), name=f"courier to {webhook}")

    @property
    def over(self) -> bool:
        return self._round.done()

    async def stop(self, patience_s: float) -> None:
        self._round.cancel()
        if self._errands and patience_s:
            await asyncio.wait(self._errands, timeout=patience_s)
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(self._round, *self._errands, return_exceptions=True)

    async def _run(self) -> None:
        following = self._d.hub.follow(self.scope, self.wake.set)
        try:
            while True:
                # Cleared before looking: what comes during the look wakes the wait below.
                self.wake.clear()
                try:
                    taken = await self._take()
                except Exception as error:
                    known = isinstance(error, GatewayError)
                    log.warning("nothing goes to %s just now: %r", self._webhook, error, exc_info=not known)
                    await self._d.clock.sleep(_AFTER_ERROR_S)
                    continue
                if taken is None:
                    return
                if not taken.more:
                    await self._pause(taken.next_at)
        finally:
            following.close()

    async def _take(self) -> Taken | None:
        now = self._d.time.now()
        taken = await self._d.database.write(
            partial(queue.take, webhook=self._webhook, now=now, busy=dict(self._busy), width=WIDTH)
        )
        if taken is not None and taken.target is not None:
            for due in taken.due:
                self._busy[due.id] = due.lane
                errand = asyncio.create_task(self._carry(taken.target, due), name=f"webhook {due.id}")
                self._errands.add(errand)
                errand.add_done_callback(self._errands.discard)
        return taken

    async def _pause(self, next_at: datetime | None) -> None:
        pause = _LOOK_EVERY_S
        if next_at is not None:
            pause = min(pause, (next_at - self._d.time.now()).total_seconds())
        await race(self.wake.wait(), self._d.clock.sleep(pause))

    async def _carry(self, target: Target, due: Due) -> None:
        try:
            async with self._d.slots:
                attempt = await self._d.carrier.carry(target, due.id, due.body)
            settle = partial(outcomes.settle, target=target, due=due, attempt=attempt, now=self._d.time.now())
            self._d.hub.announce(await to_the_end(self._d.database.write(settle)))
        except GatewayError as error:
            # It counts as under way until its lease is over, then it is tried again.
            log.warning("what became of %s was not stored: %s", due.id, error)
        except Exception:
            log.exception("%s failed", due.id)
        finally:
            self._busy.pop(due.id, None)
            self.wake.set()


def _everything(conn: Connection) -> list[tuple[WebhookId, Scope]]:
    rows = conn.execute(select(webhooks.c.id, webhooks.c.account_id, webhooks.c.agent_id))
    return [(WebhookId(r.id), Scope(AccountId(r.account_id), AgentId(r.agent_id))) for r in rows]
