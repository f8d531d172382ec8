"""Usage is counted by the day; what was not delivered is found without reading all messages"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("usage_seq", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "usage_counts",
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("agent_id", sa.String(32), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("measure", sa.String(20), nullable=False),
        sa.Column("step", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_usage_counts_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "account_id", "agent_id", "day", "platform", "measure", "step", name="pk_usage_counts"
        ),
    )
    op.create_index(
        "ix_messages_failed",
        "messages",
        ["account_id", "created_at"],
        sqlite_where=sa.text("status = 'failed'"),
        postgresql_where=sa.text("status = 'failed'"),
    )
