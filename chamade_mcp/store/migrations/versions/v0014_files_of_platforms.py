"""Files that stay at their platform until somebody wants them"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for name, length in (("platform", 40), ("connection_id", 32), ("source_ref", 2048), ("cached_until", 27)):
        op.add_column("files", sa.Column(name, sa.String(length)))
    op.drop_index("ix_files_account_id", "files")
    op.create_index("ix_files_account_id_source_ref", "files", ["account_id", "source_ref"])
    op.create_index("ix_files_cached_until", "files", ["cached_until"])
