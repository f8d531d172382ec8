"""Connections, who may write over them, and with which of them a conversation or call is"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "connections",
        sa.Column("id", sa.String(length=32), primary_key=True),
        _owner("connections"),
        _agent("connections"),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("access", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.String(length=500), nullable=False),
        sa.Column("identity_ref", sa.String(length=200), nullable=False),
        sa.Column("identity_name", sa.String(length=200), nullable=False),
        sa.Column("hook_ref", sa.String(length=200), nullable=False),
        sa.Column("settings_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
    )
    op.create_index("ix_connections_account_id_created_at", "connections", ["account_id", "created_at"])
    op.create_index("ix_connections_platform_identity_ref", "connections", ["platform", "identity_ref"])
    op.create_index("ix_connections_platform_hook_ref", "connections", ["platform", "hook_ref"])
    _pairings()
    _pairing_tokens()
    op.add_column("calls", _connection())
    op.add_column(
        "messages", sa.Column("sender_ref", sa.String(200), nullable=False, server_default=sa.text("''"))
    )
    op.add_column("messages", sa.Column("trust", sa.String(10), nullable=False, server_default=sa.text("''")))
    with op.batch_alter_table("conversations") as conversations:
        conversations.add_column(_connection())
        conversations.drop_constraint("uq_conversations_account_id_platform_ref", type_="unique")
        conversations.create_unique_constraint(
            "uq_conversations_account_id_agent_id_platform_connection_id_ref",
            ["account_id", "agent_id", "platform", "connection_id", "ref"],
        )


def _owner(table: str) -> sa.Column[str]:
    owned = sa.ForeignKey("accounts.id", name=f"fk_{table}_account_id", ondelete="CASCADE")
    return sa.Column("account_id", sa.String(length=32), owned, nullable=False)


def _agent(table: str) -> sa.Column[str]:
    whose = sa.ForeignKey("agents.id", name=f"fk_{table}_agent_id", ondelete="CASCADE")
    return sa.Column("agent_id", sa.String(length=32), whose, nullable=False)


def _connection() -> sa.Column[str]:
    return sa.Column("connection_id", sa.String(32), nullable=False, server_default=sa.text("''"))


def _pairings() -> None:
    by = sa.ForeignKey("connections.id", name="fk_pairings_connection_id", ondelete="CASCADE")
    op.create_table(
        "pairings",
        sa.Column("id", sa.String(length=32), primary_key=True),
        _owner("pairings"),
        sa.Column("connection_id", sa.String(length=32), by, nullable=False),
        sa.Column("sender_ref", sa.String(length=200), nullable=False),
        sa.Column("sender_name", sa.String(length=200), nullable=False),
        sa.Column("conversation_ref", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=10)),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("expires_at", sa.String(27)),
        sa.Column("last_seen_at", sa.String(27), nullable=False),
        sa.UniqueConstraint("connection_id", "sender_ref", name="uq_pairings_connection_id_sender_ref"),
    )
    op.create_index("ix_pairings_account_id_state", "pairings", ["account_id", "state"])
    op.create_index("ix_pairings_sender_ref", "pairings", ["sender_ref"])


def _pairing_tokens() -> None:
    op.create_table(
        "pairing_tokens",
        sa.Column("token_sha256", sa.String(length=64), primary_key=True),
        _owner("pairing_tokens"),
        _agent("pairing_tokens"),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("connection_id", sa.String(length=32), nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.UniqueConstraint(
            "agent_id",
            "platform",
            "connection_id",
            name="uq_pairing_tokens_agent_id_platform_connection_id",
        ),
    )
    op.create_index("ix_pairing_tokens_account_id", "pairing_tokens", ["account_id"])
