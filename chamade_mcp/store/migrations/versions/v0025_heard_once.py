"""Only what people say is looked for by its ref: what we send has its own id for one"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    with op.batch_alter_table("messages") as messages:
        messages.drop_constraint("uq_messages_ref_conversation_id_direction", type_="unique")
    heard = sa.text("direction = 'inbound'")
    op.create_index(
        "ix_messages_heard",
        "messages",
        ["ref", "conversation_id"],
        unique=True,
        sqlite_where=heard,
        postgresql_where=heard,
    )
