"""Messages are found again by their refs first: those of one moment stand together, as platforms count or
stamp them, and each would be a page to write otherwise"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.drop_index("ix_messages_conversation_id_sent_ref", "messages")
    with op.batch_alter_table("messages") as messages:
        messages.drop_constraint("uq_messages_conversation_id_direction_ref", type_="unique")
        messages.create_unique_constraint(
            "uq_messages_ref_conversation_id_direction", ["ref", "conversation_id", "direction"]
        )
    op.create_index(
        "ix_messages_sent_ref_conversation_id",
        "messages",
        ["sent_ref", "conversation_id"],
        sqlite_where=sa.text("sent_ref IS NOT NULL"),
        postgresql_where=sa.text("sent_ref IS NOT NULL"),
    )
