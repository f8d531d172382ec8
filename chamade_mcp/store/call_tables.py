"""Calls, what was said in them and what was written."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from chamade_mcp.store.columns import Instant, metadata, owner

calls = Table(
    "calls",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), nullable=False),
    Column("platform", String(40), nullable=False),
    Column("state", String(20), nullable=False),
    Column("direction", String(10), nullable=False),
    Column("caller", String(200), nullable=False),
    Column("room_id", String(200), nullable=False),
    Column("participant_id", String(200), nullable=False),
    Column("meeting_url_sealed", LargeBinary, nullable=False),
    Column("agent_name", String(100), nullable=False),
    Column("capabilities", String(200), nullable=False),
    Column("sample_rate_hz", Integer),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("connection_id", String(32), nullable=False, server_default=text("''")),
    # Names of those who were there; known once it is over.
    Column("people", JSON),
    Index(None, "account_id", "created_at"),
)

call_chat = Table(
    "call_chat",
    metadata,
    Column("call_id", String(32), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    # The platform's name for it, or ours for what the agent wrote.
    Column("ref", String(200), primary_key=True),
    owner(),
    Column("mine", Boolean, nullable=False),
    Column("sender", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("attachments", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "account_id", "created_at"),
)

transcript_lines = Table(
    "transcript_lines",
    metadata,
    Column("call_id", String(32), ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    owner(),
    Column("speaker", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)
