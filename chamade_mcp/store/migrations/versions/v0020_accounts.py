"""Whose the gateway is, signed-in browsers that can be told apart, passkeys, links that work once

Everybody signs in again once: of the browsers that were signed in nothing is known that could be shown.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_MOMENT = sa.String(27)


def _owner(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["account_id"], ["accounts.id"], name=f"fk_{table}_account_id", ondelete="CASCADE"
    )


def upgrade() -> None:
    op.add_column("accounts", sa.Column("is_owner", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE accounts SET is_owner = TRUE"
        " WHERE id = (SELECT id FROM accounts ORDER BY created_at, id LIMIT 1)"
    )
    _sessions()
    _passkeys()
    _links()


def _sessions() -> None:
    op.drop_table("sessions")
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("device", sa.String(200), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("last_used_at", _MOMENT, nullable=False),
        sa.Column("confirmed_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        _owner("sessions"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_sessions"),
        sa.UniqueConstraint("id", name="uq_sessions_id"),
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"])


def _passkeys() -> None:
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("credential_id", sa.String(1400), nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.Integer, nullable=False),
        sa.Column("transports", sa.JSON, nullable=False),
        sa.Column("is_synced", sa.Boolean, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("last_used_at", _MOMENT),
        _owner("passkeys"),
        sa.PrimaryKeyConstraint("id", name="pk_passkeys"),
        sa.UniqueConstraint("credential_id", name="uq_passkeys_credential_id"),
    )
    op.create_index("ix_passkeys_account_id", "passkeys", ["account_id"])


def _links() -> None:
    op.create_table(
        "account_links",
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        _owner("account_links"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_account_links"),
    )
    op.create_table(
        "join_links",
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("invited_by", sa.String(32)),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["invited_by"], ["accounts.id"], name="fk_join_links_invited_by", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_join_links"),
        sa.UniqueConstraint("id", name="uq_join_links_id"),
    )
    for column in ("account_id", "expires_at"):
        op.create_index(f"ix_account_links_{column}", "account_links", [column])
    for column in ("invited_by", "email", "expires_at"):
        op.create_index(f"ix_join_links_{column}", "join_links", [column])
