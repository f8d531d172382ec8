"""MCP sessions that outlive the process"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "mcp_sessions",
        sa.Column("id_sha256", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("agent_id", sa.String(length=32), nullable=False),
        sa.Column("credential", sa.String(length=64), nullable=False),
        sa.Column("protocol_version", sa.String(length=20), nullable=False),
        sa.Column("client_info", sa.JSON(), nullable=False),
        sa.Column("client_capabilities", sa.JSON(), nullable=False),
        sa.Column("log_level", sa.String(length=20), nullable=False),
        sa.Column("subscriptions", sa.JSON(), nullable=False),
        sa.Column("first_cursor", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("stream", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("last_seen_at", sa.String(27), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_mcp_sessions_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id_sha256", name="pk_mcp_sessions"),
    )
    op.create_index("ix_mcp_sessions_account_id_last_seen_at", "mcp_sessions", ["account_id", "last_seen_at"])
    op.create_index("ix_mcp_sessions_credential", "mcp_sessions", ["credential"])
    op.create_index("ix_mcp_sessions_last_seen_at", "mcp_sessions", ["last_seen_at"])
