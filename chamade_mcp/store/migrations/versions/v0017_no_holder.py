"""Who works on a request with an `Idempotency-Key` is known in memory, and asked of nobody else"""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.drop_column("repeats", "holder")
