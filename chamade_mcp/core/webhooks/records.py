"""Webhooks as they are stored, told and carried."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import AccountId, AgentId, WebhookDeliveryId, WebhookId

SECRET_PURPOSE = "webhooks.secret"  # noqa: S105 -- what it is for, not what it is
TEST_TYPE = "webhook_test"
RESET_TYPE = "reset"


class WebhookStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    """By its owner; what happens meanwhile goes out afterwards, as far as it is still kept."""
    DISABLED = "disabled"
    """By the gateway; `reason` says why."""


class Progress(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is to be tried now."""

    id: WebhookDeliveryId
    lane: str
    """The conversation or call it is about; one of each is under way at a time. May be empty."""
    attempts: int
    """Those of this round that failed already."""
    body: dict[str, Any] | None
    """None when its event is no longer kept."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, and signed with what."""

    webhook: WebhookId
    scope: Scope
    url: str
    sealed: tuple[bytes, ...] = field(repr=False)
    """The secret, and after a change the old one for a while."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one try."""

    started_at: datetime
    duration_ms: int
    status: int | None
    """None when there was no answer."""
    error: str | None
    """What went wrong, in words; None when the receiver took it."""
    response: str
    """The beginning of the answer's body."""
    retry_after_s: float = 0.0

    @property
    def delivered(self) -> bool:
        return self.error is None


def target_of(row: Row[Any], now: datetime) -> Target:
    sealed = [row.secret_sealed]
    if row.old_secret_sealed is not None and now < row.old_secret_until:
        sealed.append(row.old_secret_sealed)
    scope = Scope(AccountId(row.account_id), AgentId(row.agent_id))
    return Target(WebhookId(row.id), scope, row.url, tuple(sealed))


def webhook_wire(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "description": row.description,
        "events": row.event_types,
        "status": row.status,
        "reason": row.reason,
        "failing_since": _stamp(row.failing_since),
        "old_secret_until": _stamp(row.old_secret_until),
        "created_at": iso(row.created_at),
    }


def delivery_wire(row: Row[Any], attempts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": row.type,
        "seq": row.seq,
        "state": row.state,
        "created_at": iso(row.created_at),
        "next_at": _stamp(row.next_at),
        "settled_at": _stamp(row.settled_at),
        "attempts": attempts,
    }


def attempt_wire(row: Row[Any]) -> dict[str, Any]:
    return {
        "number": row.number,
        "started_at": iso(row.started_at),
        "duration_ms": row.duration_ms,
        "status": row.status,
        "error": row.error,
        "response": row.response,
    }


def _stamp(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None
