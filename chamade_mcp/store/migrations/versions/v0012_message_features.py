"""What messages can do beyond being sent: quote, stand in a thread, change, carry reactions, wait"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for name, length in (("sent_ref", 200), ("reply_to", 32), ("thread", 200)):
        op.add_column("messages", sa.Column(name, sa.String(length)))
    for name in ("sent_at", "edited_at"):
        op.add_column("messages", sa.Column(name, sa.String(27)))
    op.add_column("messages", sa.Column("reactions", sa.JSON()))
    for table, name in (("messages", "mentions_me"), ("messages", "held"), ("conversations", "is_group")):
        op.add_column(table, sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_messages_account_id_created_at", "messages", ["account_id", "created_at"])
    op.create_index(
        "ix_messages_conversation_id_sent_ref",
        "messages",
        ["conversation_id", "sent_ref"],
        sqlite_where=sa.text("sent_ref IS NOT NULL"),
        postgresql_where=sa.text("sent_ref IS NOT NULL"),
    )
