"""Requests that may come again, and the words of platforms on messages that failed"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "repeats",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("agent_id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=16), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_repeats_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "agent_id", "key", name="pk_repeats"),
    )
    op.create_index("ix_repeats_expires_at", "repeats", ["expires_at"])
    op.add_column("messages", sa.Column("detail", sa.Text(), nullable=True))
    op.create_index(
        "ix_messages_pending",
        "messages",
        ["account_id", "seq"],
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
