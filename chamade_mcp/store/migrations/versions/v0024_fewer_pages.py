"""Each message writes less: of two indexes one is gone, and one names every 64th message only"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.drop_index("ix_messages_account_id_created_at", "messages")
    milestones = sa.text("seq % 64 = 0")
    op.create_index(
        "ix_messages_milestones",
        "messages",
        ["account_id", "created_at"],
        sqlite_where=milestones,
        postgresql_where=milestones,
    )
    op.drop_index("ix_conversations_account_id_last_message_at", "conversations")
