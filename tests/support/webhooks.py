"""An endpoint of a house, from both of its ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from chamade_mcp.core import event_log
from chamade_mcp.core.webhooks.records import WebhookStatus
from chamade_mcp.model.access import Principal
from chamade_mcp.model.events import Cursor, Event, EventType
from chamade_mcp.store.schema import events
from tests.support.house import House
from tests.support.receiver import Arrived
from tests.support.waiting import BOUND_S, until

Delivery = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    house: House
    owner: Principal
    id: str
    secret: str
    host: str

    @classmethod
    async def make(
        cls, house: House, *, owner: Principal | None = None, host: str = "receiver.example"
    ) -> "Endpoint":
        owner = owner or await house.owner()
        made = await house.webhooks.create(owner, f"https://{host}/hook", [], "")
        return cls(house, owner, made["id"], made["secret"], host)

    async def happen(self, *, conversation: str = "conv_1", text: str = "") -> Cursor:
        """Somebody writes to the agent."""
        payload = {"type": "dm_chat", "conversation_id": conversation, "text": text}
        scope = self.owner.scope
        return await self.house.hub.publish(Event(scope.account, scope.agent, EventType.DM_CHAT, payload))

    async def change(self, *, status: str | None = None, event_types: list[str] | None = None) -> None:
        await self.house.webhooks.change(
            self.owner, self.id, status=WebhookStatus(status) if status else None, event_types=event_types
        )

    async def arrived(self, count: int) -> list[Arrived]:
        """What has arrived here, once it is so many."""

        def here() -> list[Arrived]:
            return [one for one in self.house.receiver.arrived if one.host == self.host]

        await until(lambda: len(here()) >= count)
        return here()

    async def deliveries(self) -> list[Delivery]:
        told = await self.house.webhooks.deliveries(self.owner, self.id, state=None, before=None, limit=100)
        return told["deliveries"]

    async def settled(self, state: str, count: int = 1) -> list[Delivery]:
        async def are() -> bool:
            return len([one for one in await self.deliveries() if one["state"] == state]) >= count

        await self.until(are)
        return await self.deliveries()

    async def attempted(self, count: int) -> list[Delivery]:
        """Once so many attempts, of all deliveries, are noted."""

        async def are() -> bool:
            return sum(len(one["attempts"]) for one in await self.deliveries()) >= count

        await self.until(are)
        return await self.deliveries()

    async def pass_to_next_attempt(self) -> None:
        """Lets time pass to the moment of the next attempt, and waits until it is over."""
        found = await self.deliveries()
        due = min(datetime.fromisoformat(one["next_at"]) for one in found if one["next_at"])
        count = sum(len(one["attempts"]) for one in found)
        left = due - self.house.clock.now() + timedelta(milliseconds=1)
        await self.house.clock.advance(left.total_seconds())
        await self.attempted(count + 1)

    async def nothing_left_to_do(self) -> None:
        """Whoever was woken has looked into the database, and acted on what was there."""
        for _ in range(5):
            await self.house.clock.advance(0)
            await self.house.database.write(lambda _: None)

    async def last_event(self) -> Event:
        def read(conn: Connection) -> Event:
            newest = event_log.head(conn, self.owner.account)
            return event_log.after(conn, self.owner.account, Cursor(newest - 1), 1)[0].event

        return await self.house.database.read(read)

    async def forget_events(self, through: int) -> None:
        """As when they became too old."""
        old = events.delete().where(events.c.account_id == self.owner.account, events.c.seq <= through)
        await self.house.database.write(lambda conn: conn.execute(old).rowcount)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not await condition():  # noqa: ASYNC110 - the database is asked
                await asyncio.sleep(0.001)
