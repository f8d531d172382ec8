"""An account has one default agent, and a browser may have chosen another one to look after"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("agent_id", sa.String(32)))
    op.create_index(
        "ix_agents_default",
        "agents",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("is_default = 1"),
        postgresql_where=sa.text("is_default"),
    )
