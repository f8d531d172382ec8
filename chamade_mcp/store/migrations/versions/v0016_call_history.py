"""What is left of a call: what was written in it, and who was there"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("calls", sa.Column("people", sa.JSON()))
    op.create_table(
        "call_chat",
        sa.Column("call_id", sa.String(32), nullable=False),
        sa.Column("ref", sa.String(200), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("mine", sa.Boolean(), nullable=False),
        sa.Column("sender", sa.String(200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("attachments", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_call_chat_account_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_call_chat_call_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call_id", "ref", name="pk_call_chat"),
    )
    op.create_index("ix_call_chat_account_id_created_at", "call_chat", ["account_id", "created_at"])
