"""An event's call, so that one call's events are found without reading all of the account's"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("events", sa.Column("call_id", sa.String(length=32)))
    events = sa.table("events", sa.column("call_id", sa.String), sa.column("payload", sa.JSON))
    told = events.c.payload["call_id"].as_string()
    op.execute(events.update().values(call_id=told).where(told.is_not(None)))
    only = sa.text("call_id IS NOT NULL")
    op.create_index(
        "ix_events_account_id_call_id_seq",
        "events",
        ["account_id", "call_id", "seq"],
        sqlite_where=only,
        postgresql_where=only,
    )
