"""The tables of outgoing webhooks: endpoints, what goes to them, and what became of each attempt."""

from sqlalchemy import (
    JSON,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from chamade_mcp.store.columns import Instant, metadata, owner

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("url", String(2048), nullable=False),
    Column("description", String(200), nullable=False),
    Column("event_types", JSON, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("old_secret_sealed", LargeBinary),
    Column("old_secret_until", Instant),
    Column("position", Integer, nullable=False),
    Column("failing_since", Instant),
    Column("failed_at", Instant),
    Column("created_at", Instant, nullable=False),
    Index(None, "account_id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("webhook_id", String(32), ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("seq", Integer),
    Column("type", String(40), nullable=False),
    Column("lane", String(32), nullable=False),
    Column("notice", JSON),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("next_at", Instant),
    Column("settled_at", Instant),
    UniqueConstraint("webhook_id", "seq"),
    Index(None, "account_id"),
    Index(None, "webhook_id", "created_at"),
    Index(
        "ix_webhook_deliveries_pending",
        "webhook_id",
        "next_at",
        "seq",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
)
"""What is sent is the event of that `seq`, so its text stands in one place; `notice` is what has no event."""

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column(
        "delivery_id",
        String(32),
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("number", Integer, primary_key=True, autoincrement=False),
    owner(),
    Column("started_at", Instant, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("response", Text, nullable=False),
    Index(None, "account_id"),
)
