"""What waits for a person to write is given up by how long it has waited, not by when it was said"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.add_column("messages", sa.Column("held_since", sa.String(27)))
    op.execute("UPDATE messages SET held_since = created_at WHERE held = 1")
