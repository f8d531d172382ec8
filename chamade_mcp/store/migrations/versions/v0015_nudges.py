"""For which waiting message a person was asked to write again"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("conversations", sa.Column("nudged_for", sa.String(32)))
