"""The tables of connections: an agent's ties to platforms, and the people who may write over them."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table, UniqueConstraint

from chamade_mcp.store.columns import Instant, metadata, owner

connections = Table(
    "connections",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("platform", String(40), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("access", String(10), nullable=False),
    Column("state", String(20), nullable=False),
    Column("detail", String(500), nullable=False),
    Column("identity_ref", String(200), nullable=False),
    Column("identity_name", String(200), nullable=False),
    Column("hook_ref", String(200), nullable=False),
    Column("settings_sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "account_id", "created_at"),
    Index(None, "platform", "identity_ref"),
    Index(None, "platform", "hook_ref"),
)

pairings = Table(
    "pairings",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("connection_id", String(32), ForeignKey("connections.id", ondelete="CASCADE"), nullable=False),
    Column("sender_ref", String(200), nullable=False),
    Column("sender_name", String(200), nullable=False),
    Column("conversation_ref", String(200), nullable=False),
    Column("state", String(10), nullable=False),
    Column("code", String(10)),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("last_seen_at", Instant, nullable=False),
    UniqueConstraint("connection_id", "sender_ref"),
    Index(None, "account_id", "state"),
    Index(None, "sender_ref"),
)
"""People who may write over a connection, ask to, or may not: one row for each of them."""

pairing_tokens = Table(
    "pairing_tokens",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    owner(),
    Column("agent_id", String(32), ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("platform", String(40), nullable=False),
    Column("connection_id", String(32), nullable=False),
    Column("expires_at", Instant, nullable=False),
    UniqueConstraint("agent_id", "platform", "connection_id"),
    Index(None, "account_id"),
)
"""Links that pair whoever opens them: one at a time for each agent and bot."""
