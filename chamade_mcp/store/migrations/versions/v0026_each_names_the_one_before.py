"""A message names the one before it in its conversation: no index has to be written for that"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("conversations", sa.Column("last_seq", sa.Integer))
    op.add_column("messages", sa.Column("before_seq", sa.Integer))
    op.execute(
        "UPDATE conversations SET last_seq ="
        " (SELECT max(seq) FROM messages WHERE conversation_id = conversations.id)"
    )
    op.execute(
        "UPDATE messages SET before_seq = found.seq FROM (SELECT id, lag(seq) OVER"
        " (PARTITION BY conversation_id ORDER BY seq) AS seq FROM messages) AS found"
        " WHERE messages.id = found.id AND found.seq IS NOT NULL"
    )
    op.drop_index("ix_messages_conversation_id_seq", "messages")
    with op.batch_alter_table("messages") as messages:
        messages.drop_constraint("fk_messages_conversation_id", type_="foreignkey")
