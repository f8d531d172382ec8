"""Tables of MCP sessions, and of what the processes that serve them tell each other."""

from sqlalchemy import JSON, Column, Index, Integer, String, Table

from chamade_mcp.store.columns import Instant, metadata, owner

mcp_sessions = Table(
    "mcp_sessions",
    metadata,
    Column("id_sha256", String(64), primary_key=True),
    owner(),
    Column("agent_id", String(32), nullable=False),
    Column("credential", String(64), nullable=False),
    Column("protocol_version", String(20), nullable=False),
    Column("client_info", JSON, nullable=False),
    Column("client_capabilities", JSON, nullable=False),
    Column("log_level", String(20), nullable=False),
    Column("subscriptions", JSON, nullable=False),
    Column("first_cursor", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("stream", String(32), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index(None, "account_id", "last_seen_at"),
    Index(None, "credential"),
    Index(None, "last_seen_at"),
)

# What one process on the store has to tell the others, for a few minutes. A number is never used again.
notices = Table(
    "notices",
    metadata,
    Column("number", Integer, primary_key=True),
    owner(),
    Column("origin", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "account_id"),
    Index(None, "subject"),
    Index(None, "created_at"),
    sqlite_autoincrement=True,
)
