"""Where an account wants to be told what happens: endpoints, and what was sent to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, case, delete, func, select, update

from chamade_mcp.core import event_log
from chamade_mcp.core.limits import Attempts
from chamade_mcp.core.webhooks import outcomes
from chamade_mcp.core.webhooks.carrier import Carrier
from chamade_mcp.core.webhooks.couriers import Couriers
from chamade_mcp.core.webhooks.history import delivery_of, history_page
from chamade_mcp.core.webhooks.queue import new_delivery
from chamade_mcp.core.webhooks.records import (
    SECRET_PURPOSE,
    TEST_TYPE,
    Progress,
    WebhookStatus,
    target_of,
    webhook_wire,
)
from chamade_mcp.core.webhooks.signing import new_secret
from chamade_mcp.kit.clock import Clock, SteadyTime, iso
from chamade_mcp.kit.outbound import BadUrl, Failed, Outbound, Refused
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import Action, Conflict, Gone, InvalidRequest, NotFound
from chamade_mcp.model.ids import AccountId, WebhookId, new_webhook_id
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import events, webhook_deliveries, webhooks
from chamade_mcp.store.secrets import SecretBox

MOST_ENDPOINTS: Final = 20
"""Of one agent."""
OLD_SECRET_VALID: Final = timedelta(hours=24)
TESTS_PER_MINUTE: Final = 10
_TEST_DETAIL: Final = "Sent by hand, to see whether it arrives"

_d = webhook_deliveries.c


@dataclass(frozen=True, slots=True)
class WebhookDeps:
    database: Database
    clock: Clock
    time: SteadyTime
    box: SecretBox
    outbound: Outbound
    carrier: Carrier
    couriers: Couriers


class Webhooks:
    """Every method is bound to the principal's agent; what is another's raises `NotFound`."""

    def __init__(self, deps: WebhookDeps) -> None:
        self._d = deps
        self._tests = Attempts(deps.clock, limit=TESTS_PER_MINUTE, window_s=60.0)

    async def start(self) -> None:
        """What is still to be delivered goes out from here on."""
        await self._d.couriers.start()

    async def stop(self) -> None:
        await self._d.couriers.stop()

    async def leave(self, account: AccountId) -> None:
        """The account goes: nothing more is delivered for it."""
        await self._d.couriers.leave(account)

    async def leave_agent(self, scope: Scope) -> None:
        """The agent goes: as above."""
        await self._d.couriers.leave(scope.account, scope.agent)

    async def create(
        self, principal: Principal, url: str, event_types: Sequence[str], description: str
    ) -> dict[str, Any]:
        """The endpoint with its secret, which is told this once. It is told what happens from now on.

        Raises `InvalidRequest` for a URL that nothing is sent to, and `Conflict` when there are too many.
        """
        await self._check(url)
        webhook, secret, scope = new_webhook_id(), new_secret(), principal.scope

        def insert(conn: Connection) -> Row[Any]:
            count = select(func.count()).select_from(webhooks).where(_owned(scope))
            if conn.execute(count).scalar_one() >= MOST_ENDPOINTS:
                detail = f"An agent has at most {MOST_ENDPOINTS} webhooks; remove one first"
                raise Conflict(detail, code="WEBHOOK_LIMIT_REACHED", action=Action.ASK_HUMAN)
            conn.execute(
                webhooks.insert().values(
                    id=webhook,
                    account_id=scope.account,
                    agent_id=scope.agent,
                    url=url,
                    description=description,
                    event_types=list(event_types),
                    status=WebhookStatus.ACTIVE,
                    secret_sealed=self._d.box.seal(SECRET_PURPOSE, secret),
                    position=event_log.head(conn, scope.account),
                    created_at=self._d.clock.now(),
                )
            )
            return _require(conn, scope, webhook)

        row = await self._d.database.write(insert)
        self._d.couriers.wake(webhook, scope)
        return {**webhook_wire(row), "secret": secret}

    async def list(self, principal: Principal) -> list[dict[str, Any]]:
        """The oldest first."""

        def query(conn: Connection) -> list[dict[str, Any]]:
            found = select(webhooks).where(_owned(principal.scope))
            return [webhook_wire(row) for row in conn.execute(found.order_by(webhooks.c.created_at))]

        return await self._d.database.read(query)

    async def get(self, principal: Principal, webhook: str) -> dict[str, Any]:
        found = await self._d.database.read(partial(_require, scope=principal.scope, webhook=webhook))
        return webhook_wire(found)

    async def change(
        self,
        principal: Principal,
        webhook: str,
        *,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
        description: str | None = None,
        status: WebhookStatus | None = None,
    ) -> dict[str, Any]:
        """None leaves a member as it is. Raises what `create` does for a URL."""
        if url is not None:
            await self._check(url)
        given = {
            "url": url,
            "event_types": None if event_types is None else list(event_types),
            "description": description,
            "status": status,
        }
        values: dict[str, object] = {name: value for name, value in given.items() if value is not None}
        if url is not None:  # it was another that failed
            same = webhooks.c.url == url
            values |= {m: case((same, webhooks.c[m]), else_=None) for m in ("failing_since", "failed_at")}
        if status is WebhookStatus.ACTIVE:
            values |= {"reason": None, "failing_since": None, "failed_at": None}
        return await self._update(principal.scope, webhook, values)

    async def rotate(self, principal: Principal, webhook: str) -> dict[str, Any]:
        """A new secret. For a day what is sent is signed with the one before, too."""
        secret = new_secret()
        values: dict[str, object] = {
            "old_secret_sealed": webhooks.c.secret_sealed,
            "old_secret_until": self._d.time.now() + OLD_SECRET_VALID,
            "secret_sealed": self._d.box.seal(SECRET_PURPOSE, secret),
        }
        return {**await self._update(principal.scope, webhook, values), "secret": secret}

    async def remove(self, principal: Principal, webhook: str) -> None:
        def erase(conn: Connection) -> None:
            _require(conn, principal.scope, webhook)
            conn.execute(delete(webhooks).where(webhooks.c.id == webhook))

        await self._d.database.write(erase)
        self._d.couriers.forget(WebhookId(webhook))

    async def test(self, principal: Principal, webhook: str) -> dict[str, Any]:
        """Sends an event of no meaning, once, and answers the delivery as it ended; paused ones may be
        tested, too. Raises `LimitReached`."""
        row = await self._d.database.read(partial(_require, scope=principal.scope, webhook=webhook))
        self._tests.count(principal.account)
        told = {"type": TEST_TYPE, "timestamp": iso(self._d.clock.now()), "detail": _TEST_DETAIL}
        values = new_delivery(row, TEST_TYPE, self._d.clock.now(), due_at=None, notice=told)
        target = target_of(row, self._d.time.now())
        attempt = await self._d.carrier.carry(target, values["id"], told)
        values |= {
            "state": Progress.DELIVERED if attempt.delivered else Progress.FAILED,
            "attempts": 1,
            "settled_at": self._d.time.now(),
        }

        def store(conn: Connection) -> dict[str, Any]:
            _require(conn, principal.scope, webhook)
            conn.execute(webhook_deliveries.insert().values(values))
            outcomes.note(conn, principal.account, values["id"], attempt)
            return delivery_of(conn, principal.scope, webhook, values["id"])

        return await self._d.database.write(store)

    async def deliveries(
        self, principal: Principal, webhook: str, *, state: str | None, before: str | None, limit: int
    ) -> dict[str, Any]:
        """The newest first, with every attempt; `before` is the last delivery of the page before."""

        def query(conn: Connection) -> dict[str, Any]:
            _require(conn, principal.scope, webhook)
            return history_page(conn, principal.scope, webhook, state=state, before=before, limit=limit)

        return await self._d.database.read(query)

    async def replay(self, principal: Principal, webhook: str, delivery: str) -> dict[str, Any]:
        """Sends it again under its id, from the first attempt on. Raises `Conflict` while it is under way
        anyhow, `Gone` when its event is no longer kept."""
        now = self._d.time.now()

        def again(conn: Connection) -> dict[str, Any]:
            _require(conn, principal.scope, webhook)
            found = delivery_of(conn, principal.scope, webhook, delivery)
            if found["state"] == Progress.PENDING:
                raise Conflict("It is still under way", code="DELIVERY_PENDING")
            kept = select(events.c.seq).where(
                events.c.account_id == principal.account, events.c.seq == found["seq"]
            )
            if found["seq"] is not None and conn.execute(kept).one_or_none() is None:
                raise Gone("The event is no longer kept", code="EVENT_EXPIRED")
            values = {"state": Progress.PENDING, "attempts": 0, "next_at": now, "settled_at": None}
            conn.execute(update(webhook_deliveries).where(_d.id == delivery).values(values))
            return delivery_of(conn, principal.scope, webhook, delivery)

        told = await self._d.database.write(again)
        self._d.couriers.wake(WebhookId(webhook), principal.scope)
        return told

    async def _update(self, scope: Scope, webhook: str, values: dict[str, object]) -> dict[str, Any]:
        def store(conn: Connection) -> Row[Any]:
            _require(conn, scope, webhook)
            if values:
                conn.execute(update(webhooks).where(webhooks.c.id == webhook).values(values))
            return _require(conn, scope, webhook)

        row = await self._d.database.write(store)
        self._d.couriers.wake(WebhookId(webhook), scope)
        return webhook_wire(row)

    async def _check(self, url: str) -> None:
        try:
            await self._d.outbound.check(url, trusted=self._d.carrier.hosts)
        except BadUrl as error:
            raise InvalidRequest(f"url: {error}", code="INVALID_URL", param="url") from None
        except (Refused, Failed) as error:
            raise InvalidRequest(f"url: {error}", code="WEBHOOK_URL_REFUSED", param="url") from None


def _owned(scope: Scope) -> ColumnElement[bool]:
    return (webhooks.c.account_id == scope.account) & (webhooks.c.agent_id == scope.agent)


def _require(conn: Connection, scope: Scope, webhook: str) -> Row[Any]:
    row = conn.execute(select(webhooks).where(webhooks.c.id == webhook, _owned(scope))).one_or_none()
    if row is None:
        raise NotFound("Webhook not found", code="WEBHOOK_NOT_FOUND")
    return row
