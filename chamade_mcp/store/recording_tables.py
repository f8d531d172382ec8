"""The tables of recordings: what was recorded of which call, and its tracks."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table

from chamade_mcp.store.columns import Instant, metadata, owner

recordings = Table(
    "recordings",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), nullable=False),
    Column("call_id", String(32), nullable=False),
    Column("format", String(10), nullable=False),
    Column("announced", Boolean, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("end_reason", String(20)),
    Column("duration_ms", Integer, nullable=False, server_default="0"),
    Column("lost_ms", Integer, nullable=False, server_default="0"),
    Index(None, "account_id", "started_at"),
    Index(None, "call_id"),
)
"""Without an end: it is under way, or was when the last process ended."""

recording_tracks = Table(
    "recording_tracks",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("recording_id", String(32), ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("participant", String(200), nullable=False),
    Column("name", String(200), nullable=False),
    Column("starts_ms", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Index(None, "account_id"),
    Index(None, "recording_id"),
)
