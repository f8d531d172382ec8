"""Outgoing webhooks: endpoints, what goes to them, and what became of each attempt"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=32), primary_key=True),
        _owner("webhooks"),
        sa.Column(
            "agent_id",
            sa.String(length=32),
            sa.ForeignKey("agents.id", name="fk_webhooks_agent_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=False),
        sa.Column("event_types", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret_sealed", sa.LargeBinary()),
        sa.Column("old_secret_until", sa.String(27)),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.String(27)),
        sa.Column("failed_at", sa.String(27)),
        sa.Column("created_at", sa.String(27), nullable=False),
    )
    op.create_index("ix_webhooks_account_id", "webhooks", ["account_id"])
    _deliveries()
    _attempts()


def _owner(table: str) -> sa.Column[str]:
    owned = sa.ForeignKey("accounts.id", name=f"fk_{table}_account_id", ondelete="CASCADE")
    return sa.Column("account_id", sa.String(length=32), owned, nullable=False)


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=32), primary_key=True),
        _owner("webhook_deliveries"),
        sa.Column(
            "webhook_id",
            sa.String(length=32),
            sa.ForeignKey("webhooks.id", name="fk_webhook_deliveries_webhook_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("seq", sa.Integer()),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("lane", sa.String(length=32), nullable=False),
        sa.Column("notice", sa.JSON()),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("next_at", sa.String(27)),
        sa.Column("settled_at", sa.String(27)),
        sa.UniqueConstraint("webhook_id", "seq", name="uq_webhook_deliveries_webhook_id_seq"),
    )
    op.create_index("ix_webhook_deliveries_account_id", "webhook_deliveries", ["account_id"])
    op.create_index(
        "ix_webhook_deliveries_webhook_id_created_at", "webhook_deliveries", ["webhook_id", "created_at"]
    )
    op.create_index(
        "ix_webhook_deliveries_pending",
        "webhook_deliveries",
        ["webhook_id", "next_at"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )


def _attempts() -> None:
    op.create_table(
        "webhook_attempts",
        sa.Column(
            "delivery_id",
            sa.String(length=32),
            sa.ForeignKey(
                "webhook_deliveries.id", name="fk_webhook_attempts_delivery_id", ondelete="CASCADE"
            ),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        _owner("webhook_attempts"),
        sa.Column("started_at", sa.String(27), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("response", sa.Text(), nullable=False),
    )
    op.create_index("ix_webhook_attempts_account_id", "webhook_attempts", ["account_id"])
