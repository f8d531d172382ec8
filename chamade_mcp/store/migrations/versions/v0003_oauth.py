"""OAuth: clients, questions put to people, what they granted, codes and tokens"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "oauth_clients",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("redirect_uris", sa.JSON(), nullable=False),
        sa.Column("auth_method", sa.String(length=30), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=True),
        sa.Column("refreshes", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("last_used_at", sa.String(27), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_clients"),
    )
    _consents()
    _grants()
    _families()
    _codes_and_tokens()


def _owner(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["account_id"], ["accounts.id"], name=f"fk_{table}_account_id", ondelete="CASCADE"
    )


def _family(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["family_id"], ["oauth_families.id"], name=f"fk_{table}_family_id", ondelete="CASCADE"
    )


def _consents() -> None:
    op.create_table(
        "oauth_consents",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("session_sha256", sa.String(length=64), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        _owner("oauth_consents"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_oauth_consents"),
    )
    op.create_index("ix_oauth_consents_account_id", "oauth_consents", ["account_id"])
    op.create_index("ix_oauth_consents_expires_at", "oauth_consents", ["expires_at"])


def _grants() -> None:
    op.create_table(
        "oauth_grants",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("agent_id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=512), nullable=False),
        sa.Column("client_name", sa.String(length=100), nullable=False),
        sa.Column("client_host", sa.String(length=255), nullable=False),
        sa.Column("permissions", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("last_used_at", sa.String(27), nullable=True),
        sa.Column("revoked_at", sa.String(27), nullable=True),
        _owner("oauth_grants"),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agents.id"], name="fk_oauth_grants_agent_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_grants"),
    )
    op.create_index("ix_oauth_grants_account_id_created_at", "oauth_grants", ["account_id", "created_at"])


def _families() -> None:
    op.create_table(
        "oauth_families",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=False),
        sa.Column("audience", sa.String(length=500), nullable=False),
        sa.Column("permissions", sa.String(length=100), nullable=False),
        sa.Column("refreshes", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.Column("revoked_at", sa.String(27), nullable=True),
        _owner("oauth_families"),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["oauth_grants.id"], name="fk_oauth_families_grant_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_families"),
    )
    for column in ("account_id", "expires_at", "grant_id"):
        op.create_index(f"ix_oauth_families_{column}", "oauth_families", [column])


def _codes_and_tokens() -> None:
    op.create_table(
        "oauth_codes",
        sa.Column("code_sha256", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("family_id", sa.String(length=32), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("challenge", sa.String(length=43), nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.Column("used_at", sa.String(27), nullable=True),
        _owner("oauth_codes"),
        _family("oauth_codes"),
        sa.PrimaryKeyConstraint("code_sha256", name="pk_oauth_codes"),
    )
    op.create_table(
        "oauth_tokens",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("family_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("permissions", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.Column("replaced_at", sa.String(27), nullable=True),
        sa.Column("revoked_at", sa.String(27), nullable=True),
        _owner("oauth_tokens"),
        _family("oauth_tokens"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_oauth_tokens"),
    )
    for table, columns in (
        ("oauth_codes", ("account_id", "family_id")),
        ("oauth_tokens", ("account_id", "expires_at", "family_id")),
    ):
        for column in columns:
            op.create_index(f"ix_{table}_{column}", table, [column])
