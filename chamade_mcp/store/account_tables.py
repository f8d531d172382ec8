"""Tables of how people get into their account: browsers, passkeys, links that work once."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from chamade_mcp.store.columns import Instant, metadata, owner

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    owner(),
    Column("device", String(200), nullable=False),
    Column("address", String(45), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant, nullable=False),
    # When the person last showed that it is them: by signing in, or when asked again.
    Column("confirmed_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    # Whom the person looks after in that browser; the default agent until they choose another.
    Column("agent_id", String(32)),
    Index(None, "account_id"),
)
"""Of browsers: a person who is signed in."""

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("credential_id", String(1400), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Integer, nullable=False),
    Column("transports", JSON, nullable=False),
    Column("is_synced", Boolean, nullable=False),
    Column("name", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant),
    Index(None, "account_id"),
)

account_links = Table(
    "account_links",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    owner(),
    Column("purpose", String(20), nullable=False),
    Column("email", String(254), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "account_id"),
    Index(None, "expires_at"),
)
"""What a person who has an account was sent: each does one thing, once."""

join_links = Table(
    "join_links",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("email", String(254), nullable=False),
    Column("invited_by", String(32), ForeignKey("accounts.id", ondelete="CASCADE")),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "invited_by"),
    Index(None, "email"),
    Index(None, "expires_at"),
)
"""Nobody's, or an inviter's: there is no account yet."""
