"""How much was used on which day: counts without anybody's name, which stay when texts go."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table

from chamade_mcp.store.columns import metadata

usage_counts = Table(
    "usage_counts",
    metadata,
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("agent_id", String(32), primary_key=True),
    # Of UTC, as 2026-11-21.
    Column("day", String(10), primary_key=True),
    Column("platform", String(40), primary_key=True),
    Column("measure", String(20), primary_key=True),
    # Of a measure that is spread: which part of it. 0 otherwise.
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("amount", Integer, nullable=False),
)
