"""Webhooks: where an agent's events are posted to, signed, and what became of each."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from chamade_mcp.api.account import OkWire
from chamade_mcp.api.fields import Body, FromText, OptionalLine, Query, WebUrl, Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.core.accounts import require_verified
from chamade_mcp.core.webhooks.endpoints import Webhooks
from chamade_mcp.core.webhooks.records import WebhookStatus
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import Forbidden
from chamade_mcp.model.events import EventType

Types = Annotated[
    list[EventType], Field(max_length=len(EventType), description="Which events; all when empty")
]
State = Literal["pending", "delivered", "failed"]


class WebhookBody(Body):
    url: Annotated[
        WebUrl, Field(description="https, and a host of the public Internet; see `/docs/webhooks`")
    ]
    events: Types = Field(default_factory=list[EventType])
    description: OptionalLine = ""


class WebhookChangeBody(Body):
    url: WebUrl | None = None
    events: Types | None = None
    description: OptionalLine | None = None
    status: Annotated[
        Literal["active", "paused"] | None,
        Field(description="What happens during a pause goes out after it, as far as events are kept"),
    ] = None


class DeliveriesQuery(Query):
    state: State | None = None
    before: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=40)] | None,
        Field(description="`next` of the page before"),
    ] = None
    limit: Annotated[int, Field(ge=1, le=100), FromText] = 20


class WebhookWire(Wire):
    id: str
    url: str
    description: str
    events: list[str]
    status: Literal["active", "paused", "disabled"]
    reason: Annotated[str | None, Field(description="Why the gateway disabled it")]
    failing_since: Annotated[str | None, Field(description="Since when no attempt has gone well")]
    old_secret_until: Annotated[str | None, Field(description="So long the secret before signs, too")]
    created_at: str


class NewWebhookWire(WebhookWire):
    secret: Annotated[str, Field(description="`whsec_...`, what signatures are checked with; told this once")]


class WebhooksWire(Wire):
    webhooks: list[WebhookWire]


class AttemptWire(Wire):
    number: int
    started_at: str
    duration_ms: int
    status: Annotated[int | None, Field(description="null when nobody answered")]
    error: Annotated[str | None, Field(description="null when the receiver took it")]
    response: Annotated[str, Field(description="The first 1,024 bytes of the answer")]


class DeliveryWire(Wire):
    id: Annotated[str, Field(description="The `webhook-id`, the same in every attempt")]
    type: str
    seq: Annotated[int | None, Field(description="Of the event; null for a test")]
    state: State
    created_at: str
    next_at: Annotated[str | None, Field(description="When it is tried next")]
    settled_at: str | None
    attempts: list[AttemptWire]


class DeliveriesWire(Wire):
    deliveries: list[DeliveryWire]
    next: Annotated[str | None, Field(description="`before` of the next page, where there is one")]


@dataclass(frozen=True, slots=True)
class WebhookGroup:
    webhooks: Webhooks

    async def list(self, asked: Asked[None, None]) -> Answer:
        return {"webhooks": await self.webhooks.list(asked.principal)}

    async def create(self, asked: Asked[WebhookBody, None]) -> Answer:
        _require_owner(asked.principal)
        require_verified(asked.principal)
        body = asked.body
        return await self.webhooks.create(asked.principal, body.url, body.events, body.description)

    async def get(self, asked: Asked[None, None]) -> Answer:
        return await self.webhooks.get(asked.principal, asked.ids["webhook_id"])

    async def change(self, asked: Asked[WebhookChangeBody, None]) -> Answer:
        _require_owner(asked.principal)
        body = asked.body
        return await self.webhooks.change(
            asked.principal,
            asked.ids["webhook_id"],
            url=body.url,
            event_types=body.events,
            description=body.description,
            status=None if body.status is None else WebhookStatus(body.status),
        )

    async def rotate(self, asked: Asked[None, None]) -> Answer:
        _require_owner(asked.principal)
        return await self.webhooks.rotate(asked.principal, asked.ids["webhook_id"])

    async def remove(self, asked: Asked[None, None]) -> Answer:
        await self.webhooks.remove(asked.principal, asked.ids["webhook_id"])
        return {"status": "ok"}

    async def test(self, asked: Asked[None, None]) -> Answer:
        return await self.webhooks.test(asked.principal, asked.ids["webhook_id"])

    async def deliveries(self, asked: Asked[None, DeliveriesQuery]) -> Answer:
        query = asked.query
        return await self.webhooks.deliveries(
            asked.principal,
            asked.ids["webhook_id"],
            state=query.state,
            before=query.before,
            limit=query.limit,
        )

    async def replay(self, asked: Asked[None, None]) -> Answer:
        return await self.webhooks.replay(asked.principal, asked.ids["webhook_id"], asked.ids["delivery_id"])

    def group(self) -> Group:
        return Group(
            "Webhooks",
            "Events posted to a URL of yours as they happen, signed as Standard Webhooks, tried again for "
            "28 hours.",
            (*self._endpoints(), *self._sent()),
        )

    def _endpoints(self) -> tuple[AnyOperation, ...]:
        manage = Permission.MANAGE
        path, missing = "/api/webhooks/{webhook_id}", {404: ("WEBHOOK_NOT_FOUND",)}
        refused = ("INVALID_URL", "WEBHOOK_URL_REFUSED")
        return (
            Operation("GET", "/api/webhooks", "List the webhooks", self.list, manage, reply=WebhooksWire),
            Operation(
                "POST",
                "/api/webhooks",
                "Add a webhook",
                self.create,
                manage,
                body=WebhookBody,
                reply=NewWebhookWire,
                status=201,
                errors={
                    400: refused,
                    403: ("EMAIL_NOT_VERIFIED", "KEY_OR_SESSION_REQUIRED"),
                    409: ("WEBHOOK_LIMIT_REACHED",),
                },
                notes="It is told what happens from now on. The secret is told this once.",
            ),
            Operation("GET", path, "One webhook", self.get, manage, reply=WebhookWire, errors=missing),
            Operation(
                "PATCH",
                path,
                "Change, pause or resume a webhook",
                self.change,
                manage,
                body=WebhookChangeBody,
                reply=WebhookWire,
                errors={400: refused, 403: ("KEY_OR_SESSION_REQUIRED",), **missing},
                notes="What is not named stays as it is. `active` also brings back one that was disabled.",
            ),
            Operation("DELETE", path, "Remove a webhook", self.remove, manage, reply=OkWire, errors=missing),
            Operation(
                "POST",
                f"{path}/secret",
                "Make a new secret",
                self.rotate,
                manage,
                reply=NewWebhookWire,
                errors={403: ("KEY_OR_SESSION_REQUIRED",), **missing},
                notes="For 24 hours everything is signed with both: time for the receiver to change.",
            ),
        )

    def _sent(self) -> tuple[AnyOperation, ...]:
        manage = Permission.MANAGE
        path, missing = "/api/webhooks/{webhook_id}", ("WEBHOOK_NOT_FOUND",)
        either = (*missing, "DELIVERY_NOT_FOUND")
        return (
            Operation(
                "POST",
                f"{path}/test",
                "Send a test event",
                self.test,
                manage,
                reply=DeliveryWire,
                errors={404: missing, 429: ("RATE_LIMITED",)},
                notes="Tried once; the answer tells what the receiver said. `type` is `webhook_test`.",
            ),
            Operation(
                "GET",
                f"{path}/deliveries",
                "What was sent, and what became of it",
                self.deliveries,
                manage,
                query=DeliveriesQuery,
                reply=DeliveriesWire,
                errors={404: either},
                notes="The newest first; kept as long as events are.",
            ),
            Operation(
                "POST",
                f"{path}/deliveries/{{delivery_id}}/replay",
                "Send a delivery again",
                self.replay,
                manage,
                reply=DeliveryWire,
                status=202,
                errors={404: either, 409: ("DELIVERY_PENDING",), 410: ("EVENT_EXPIRED",)},
                notes="Under the same `webhook-id`: a receiver that had it knows it again.",
            ),
        )


def _require_owner(principal: Principal) -> None:
    """A webhook outlives the grant of a client: whoever takes a client's access back must have taken all."""
    if principal.grant is not None:
        raise Forbidden("A webhook is set up with a key or on the dashboard", code="KEY_OR_SESSION_REQUIRED")
