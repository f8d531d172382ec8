"""Programs that signed themselves in for an account: clients, what was said yes to, codes and tokens."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, String, Table

from chamade_mcp.store.columns import Instant, metadata, owner

oauth_clients = Table(
    "oauth_clients",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("redirect_uris", JSON, nullable=False),
    Column("auth_method", String(30), nullable=False),
    Column("secret_sha256", String(64)),
    Column("refreshes", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant),
)
"""Nobody's: a client registers itself before anybody has said yes to it."""

oauth_consents = Table(
    "oauth_consents",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    owner(),
    Column("session_sha256", String(64), nullable=False),
    Column("request", JSON, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "account_id"),
    Index(None, "expires_at"),
)

oauth_grants = Table(
    "oauth_grants",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", String(512), nullable=False),
    Column("client_name", String(100), nullable=False),
    Column("client_host", String(255), nullable=False),
    Column("permissions", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
    Index(None, "account_id", "created_at"),
)

oauth_families = Table(
    "oauth_families",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("grant_id", String(32), ForeignKey("oauth_grants.id", ondelete="CASCADE"), nullable=False),
    Column("audience", String(500), nullable=False),
    Column("permissions", String(100), nullable=False),
    Column("refreshes", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Index(None, "account_id"),
    Index(None, "grant_id"),
    Index(None, "expires_at"),
)
"""One sign-in of a client: its code, and every token that came of it."""

oauth_codes = Table(
    "oauth_codes",
    metadata,
    Column("code_sha256", String(64), primary_key=True),
    owner(),
    Column("family_id", String(32), ForeignKey("oauth_families.id", ondelete="CASCADE"), nullable=False),
    Column("redirect_uri", String(2000), nullable=False),
    Column("challenge", String(43), nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Index(None, "account_id"),
    Index(None, "family_id"),
)

oauth_tokens = Table(
    "oauth_tokens",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    owner(),
    Column("family_id", String(32), ForeignKey("oauth_families.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("permissions", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("replaced_at", Instant),
    Column("revoked_at", Instant),
    Index(None, "account_id"),
    Index(None, "family_id"),
    Index(None, "expires_at"),
)
