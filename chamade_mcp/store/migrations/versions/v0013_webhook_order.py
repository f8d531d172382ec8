"""Pending webhook deliveries in the order in which they are taken, without sorting them"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_NAME, _TABLE = "ix_webhook_deliveries_pending", "webhook_deliveries"


def upgrade() -> None:
    pending = sa.text("state = 'pending'")
    op.drop_index(_NAME, _TABLE)
    op.create_index(
        _NAME,
        _TABLE,
        ["webhook_id", "next_at", "seq"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
