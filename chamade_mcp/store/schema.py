"""The tables. Every row that belongs to somebody carries `account_id`, and every query is bound to it."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from chamade_mcp.store.account_tables import account_links as account_links
from chamade_mcp.store.account_tables import join_links as join_links
from chamade_mcp.store.account_tables import passkeys as passkeys
from chamade_mcp.store.account_tables import sessions as sessions
from chamade_mcp.store.call_tables import call_chat as call_chat
from chamade_mcp.store.call_tables import calls as calls
from chamade_mcp.store.call_tables import transcript_lines as transcript_lines
from chamade_mcp.store.columns import Instant, metadata, owner
from chamade_mcp.store.connection_tables import connections as connections
from chamade_mcp.store.connection_tables import pairing_tokens as pairing_tokens
from chamade_mcp.store.connection_tables import pairings as pairings
from chamade_mcp.store.oauth_tables import oauth_clients as oauth_clients
from chamade_mcp.store.oauth_tables import oauth_codes as oauth_codes
from chamade_mcp.store.oauth_tables import oauth_consents as oauth_consents
from chamade_mcp.store.oauth_tables import oauth_families as oauth_families
from chamade_mcp.store.oauth_tables import oauth_grants as oauth_grants
from chamade_mcp.store.oauth_tables import oauth_tokens as oauth_tokens
from chamade_mcp.store.recording_tables import recording_tracks as recording_tracks
from chamade_mcp.store.recording_tables import recordings as recordings
from chamade_mcp.store.session_tables import mcp_sessions as mcp_sessions
from chamade_mcp.store.session_tables import notices as notices
from chamade_mcp.store.usage_tables import usage_counts as usage_counts
from chamade_mcp.store.webhook_tables import webhook_attempts as webhook_attempts
from chamade_mcp.store.webhook_tables import webhook_deliveries as webhook_deliveries
from chamade_mcp.store.webhook_tables import webhooks as webhooks

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("email_verified", Boolean, nullable=False, server_default=false()),
    Column("name", String(100), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("event_seq", Integer, nullable=False, server_default="0"),
    Column("message_seq", Integer, nullable=False, server_default="0"),
    # Up to the message of this number usage is counted.
    Column("usage_seq", Integer, nullable=False, server_default="0"),
    Column("messages_days", Integer),
    Column("files_days", Integer),
    Column("transcripts_days", Integer),
    Column("recordings_days", Integer),
    # Of the gateway: whose account was the first. Invites others.
    Column("is_owner", Boolean, nullable=False, server_default=false()),
    # The newcomer's list is done, or was put away.
    Column("welcomed_at", Instant),
)

agents = Table(
    "agents",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("name", String(100), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "account_id"),
    Index(
        "ix_agents_default",
        "account_id",
        unique=True,
        sqlite_where=text("is_default = 1"),
        postgresql_where=text("is_default"),
    ),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("permissions", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
    # When it was last shown although it was revoked or had expired.
    Column("refused_at", Instant),
    Index(None, "account_id"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), nullable=False),
    Column("platform", String(40), nullable=False),
    Column("ref", String(200), nullable=False),
    Column("remote_name", String(200), nullable=False),
    # What of the name people search for (`model.folding`): longer where a letter stands for several.
    Column("folded_name", Text, nullable=False, server_default=text("''")),
    Column("status", String(20), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_message_at", Instant, nullable=False),
    Column("last_inbound_at", Instant),
    # The number of its newest message.
    Column("last_seq", Integer),
    # Empty where the platform's one link serves everybody. The same person has the same ref with every bot.
    Column("connection_id", String(32), nullable=False, server_default=text("''")),
    Column("is_group", Boolean, nullable=False, server_default=false()),
    # The message for which the person was asked to write again; they have not yet.
    Column("nudged_for", String(32)),
    UniqueConstraint("account_id", "agent_id", "platform", "connection_id", "ref"),
    # The inbox, page by page, however many conversations another agent of the account has.
    Index(None, "account_id", "agent_id", "status", "last_message_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    # Without a foreign key, which would want an index: a page to write for each message, more than all else
    # together. Whoever deletes a conversation deletes what was said in it.
    Column("conversation_id", String(32), nullable=False),
    Column("seq", Integer, nullable=False),
    # The number of the message before it in the conversation: from the newest one on each leads to the next.
    Column("before_seq", Integer),
    Column("direction", String(10), nullable=False),
    Column("ref", String(200), nullable=False),
    Column("sender_name", String(200), nullable=False),
    Column("text", Text, nullable=False),
    Column("attachments", JSON, nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("detail", Text),
    Column("sender_ref", String(200), nullable=False, server_default=text("''")),
    Column("trust", String(10), nullable=False, server_default=text("''")),
    # What we sent, by the platform's name for it; for what came in, `ref` is that.
    Column("sent_ref", String(200)),
    Column("reply_to", String(32)),
    Column("thread", String(200)),
    Column("mentions_me", Boolean, nullable=False, server_default=false()),
    Column("sent_at", Instant),
    Column("edited_at", Instant),
    Column("reactions", JSON),
    # Waits for the person to write again; pending otherwise.
    Column("held", Boolean, nullable=False, server_default=false()),
    # Not as long as it is old, where it was sent again.
    Column("held_since", Instant),
    UniqueConstraint("account_id", "seq"),
    # A platform that repeats a delivery repeats its ref: the second insert is refused here. Refs come first:
    # those of one moment are alike, so messages share pages of the index, and fewer are written. What we send
    # has its own id for one.
    Index(
        "ix_messages_heard",
        "ref",
        "conversation_id",
        unique=True,
        sqlite_where=text("direction = 'inbound'"),
        postgresql_where=text("direction = 'inbound'"),
    ),
    # To find a moment. Every message in it would be pages to write for each, and nothing else asks for it.
    Index(
        "ix_messages_milestones",
        "account_id",
        "created_at",
        sqlite_where=text("seq % 64 = 0"),
        postgresql_where=text("seq % 64 = 0"),
    ),
    Index(
        None,
        "sent_ref",
        "conversation_id",
        sqlite_where=text("sent_ref IS NOT NULL"),
        postgresql_where=text("sent_ref IS NOT NULL"),
    ),
    Index(
        "ix_messages_pending",
        "account_id",
        "seq",
        sqlite_where=text("status = 'pending'"),
        postgresql_where=text("status = 'pending'"),
    ),
    Index(
        "ix_messages_failed",
        "account_id",
        "created_at",
        sqlite_where=text("status = 'failed'"),
        postgresql_where=text("status = 'failed'"),
    ),
    Index(
        "ix_messages_unknown",
        "account_id",
        "created_at",
        sqlite_where=text("status = 'unknown'"),
        postgresql_where=text("status = 'unknown'"),
    ),
    # Looked for with every message of a person, where there are windows.
    Index(
        "ix_messages_held", "conversation_id", sqlite_where=text("held = 1"), postgresql_where=text("held")
    ),
)

put_aside = Table(
    "put_aside",
    metadata,
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    # Of a message, a call or a key: its owner has seen what went wrong with it, and wants to see it no more.
    Column("subject", String(32), primary_key=True),
    Column("created_at", Instant, nullable=False),
)

repeats = Table(
    "repeats",
    metadata,
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("agent_id", String(32), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("message_id", String(32), nullable=False),
    Column("status", Integer),
    Column("answer_sealed", LargeBinary),
    Column("expires_at", Instant, nullable=False),
    Index(None, "expires_at"),
)

operators = Table(
    "operators",
    metadata,
    Column(
        "account_id",
        String(32),
        ForeignKey("accounts.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=True,
    ),
    Column("agent_id", String(32), primary_key=True),
    Column("conversation_id", String(32), ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Instant, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("agent_id", String(32), nullable=False),
    Column("type", String(40), nullable=False),
    Column("call_id", String(32)),
    Column("payload", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
)
_of_a_call = events.c.call_id.is_not(None)
Index(
    "ix_events_account_id_call_id_seq",
    events.c.account_id,
    events.c.call_id,
    events.c.seq,
    sqlite_where=_of_a_call,
    postgresql_where=_of_a_call,
)

links = Table(
    "links",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), nullable=False),
    Column("platform", String(40), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("ref", String(200), nullable=False),
    Column("title", String(200), nullable=False),
    Column("agent_name", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Index(None, "account_id", "created_at"),
)

files = Table(
    "files",
    metadata,
    Column("id", String(32), primary_key=True),
    owner(),
    Column("agent_id", String(32), nullable=False),
    Column("name", String(255), nullable=False),
    Column("mime", String(127), nullable=False),
    Column("size_bytes", Integer),
    Column("serve_token", String(64), nullable=False, unique=True),
    Column("upload_sha256", String(64), unique=True),
    Column("upload_expires_at", Instant),
    Column("platform", String(40)),
    Column("connection_id", String(32)),
    Column("source_ref", String(2048)),
    Column("cached_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "account_id", "source_ref"),
    Index(None, "expires_at"),
    Index(None, "cached_until"),
)

"""With a `source_ref`: kept by the platform it came over, and here until `cached_until` only."""
