"""Conversations are searched by name and read page by page; what went wrong is found, and put aside by its
owner; the newcomer's list is shown until it is done"""

import sqlalchemy as sa
from alembic import op

from chamade_mcp.model.folding import fold

revision = "0022"
down_revision = "0021"

_MOMENT = sa.String(27)


def upgrade() -> None:
    op.add_column("accounts", sa.Column("welcomed_at", _MOMENT))
    op.add_column("api_keys", sa.Column("refused_at", _MOMENT))
    op.add_column(
        "conversations", sa.Column("folded_name", sa.Text, nullable=False, server_default=sa.text("''"))
    )
    _fold_names()
    op.create_index(
        "ix_conversations_account_id_agent_id_status_last_message_at",
        "conversations",
        ["account_id", "agent_id", "status", "last_message_at"],
    )
    unknown = sa.text("status = 'unknown'")
    op.create_index(
        "ix_messages_unknown",
        "messages",
        ["account_id", "created_at"],
        sqlite_where=unknown,
        postgresql_where=unknown,
    )
    op.create_table(
        "put_aside",
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_put_aside_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "subject", name="pk_put_aside"),
    )


def _fold_names() -> None:
    conn = op.get_bind()
    names = conn.execute(sa.text("SELECT id, remote_name FROM conversations")).all()
    folded = [{"id": row.id, "name": fold(row.remote_name)} for row in names]
    if folded:
        conn.execute(sa.text("UPDATE conversations SET folded_name = :name WHERE id = :id"), folded)
