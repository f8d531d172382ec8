"""How many days an account's messages, files and transcripts are kept"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for name in ("messages_days", "files_days", "transcripts_days"):
        op.add_column("accounts", sa.Column(name, sa.Integer()))
