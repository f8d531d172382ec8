"""What an agent reads first: GET /api/account, and the account's own accounts of itself."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, func, select
from sqlalchemy.exc import SQLAlchemyError

from chamade_mcp.core import retention, usage_rows
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.inbox import Inbox
from chamade_mcp.core.operators import Operators
from chamade_mcp.core.platforms import Platforms
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store import schema
from chamade_mcp.store.database import Database, answers

log = logging.getLogger(__name__)

FEATURES = {
    "transport": "ready",
    "audio_in": "ready",
    "audio_out": "ready",
    "text_chat": "ready",
    "typing_indicators": "ready",
    "files": "ready",
    "hosted_stt": "byok",
    "hosted_tts": "byok",
}
FEATURES_NOTE = (
    "Audio is raw PCM on the call's WebSocket: run your own speech recognition and synthesis on it. "
    "Hosted speech (call_transcript events, chamade_call_say) needs a voice preset with your own provider "
    "key; none is enabled on this account."
)
_SECRET_COLUMNS = frozenset(
    {
        "password_hash",
        "secret_sha256",
        "token_sha256",
        "upload_sha256",
        "serve_token",
        "meeting_url_sealed",
        "settings_sealed",
        "id_sha256",
        "credential_id",
        "public_key",
        "credential",
        "secret_sealed",
        "old_secret_sealed",
        "old_secret_until",
    }
)
_EXPORTED: Sequence[tuple[str, Table]] = (
    ("agents", schema.agents),
    ("api_keys", schema.api_keys),
    ("calls", schema.calls),
    ("transcripts", schema.transcript_lines),
    ("call_chat", schema.call_chat),
    ("recordings", schema.recordings),
    ("recording_tracks", schema.recording_tracks),
    ("conversations", schema.conversations),
    ("messages", schema.messages),
    ("operators", schema.operators),
    ("put_aside", schema.put_aside),
    ("connections", schema.connections),
    ("pairings", schema.pairings),
    ("pairing_tokens", schema.pairing_tokens),
    ("links", schema.links),
    ("files", schema.files),
    ("grants", schema.oauth_grants),
    ("mcp_sessions", schema.mcp_sessions),
    ("passkeys", schema.passkeys),
    ("sign_ins", schema.sessions),
    ("webhooks", schema.webhooks),
    ("webhook_deliveries", schema.webhook_deliveries),
    ("webhook_attempts", schema.webhook_attempts),
    ("usage", schema.usage_counts),
)


class Overview:
    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        platforms: Platforms,
        calls: CallService,
        inbox: Inbox,
        operators: Operators,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._platforms = platforms
        self._calls = calls
        self._inbox = inbox
        self._operators = operators

    async def account(self, principal: Principal) -> dict[str, Any]:
        """CONTRACT section 6.1. Everything in it is in memory: agents ask often."""
        return {
            "plan": "self-hosted",
            "features": FEATURES,
            "features_note": FEATURES_NOTE,
            "platforms": self._platforms.states(principal.scope),
            "concurrent_calls": self._calls.concurrent(principal),
            "identities": self._platforms.identities(
                principal.scope, await self._operators.seen(principal.scope)
            ),
            "last_message_cursor": await self._inbox.cursor(principal),
        }

    async def connections(self, principal: Principal) -> list[dict[str, Any]]:
        """The agent's, the newest first, with how many messages wait to go out over each."""

        def query(conn: Connection) -> dict[tuple[str, str], int]:
            there, said = schema.conversations.c, schema.messages.c
            rows = conn.execute(
                select(there.platform, there.connection_id, func.count())
                .join_from(schema.messages, schema.conversations, there.id == said.conversation_id)
                .where(
                    said.account_id == principal.account,
                    said.status == DeliveryState.PENDING,
                    there.agent_id == principal.scope.agent,
                )
                .group_by(there.platform, there.connection_id)
            )
            return {(platform, connection): count for platform, connection, count in rows}

        waiting = await self._database.read(query)
        return [
            {**listed.to_wire(), "waiting": waiting.get((listed.platform, listed.link), 0)}
            for listed in self._platforms.connections(principal.scope)
        ]

    async def events_are_kept(self) -> bool:
        """Whether a transaction that writes goes through."""
        try:
            await self._database.write(lambda _: None)
        except (GatewayError, SQLAlchemyError) as error:
            log.warning("the database is not written: %s", error)
            return False
        return True

    async def database_answers(self) -> bool:
        try:
            return await self._database.read(answers)
        except (GatewayError, SQLAlchemyError) as error:
            log.warning("the database does not answer: %s", error)
            return False

    async def export(self, principal: Principal) -> dict[str, Any]:
        """Everything the gateway keeps for the account, without anybody's secrets."""

        def query(conn: Connection) -> dict[str, Any]:
            tables: dict[str, Any] = {"retention": retention.keeping(conn, principal.account).to_wire()}
            for name, table in _EXPORTED:
                columns = [c for c in table.c if c.name not in _SECRET_COLUMNS]
                rows = conn.execute(select(*columns).where(table.c.account_id == principal.account))
                tables[name] = [_plain(row) for row in rows.mappings()]
            return tables

        await usage_rows.count_up(self._database, principal.account)
        return {"account": await self._accounts.profile(principal), **await self._database.read(query)}


def _plain(row: RowMapping) -> dict[str, Any]:
    """A row as JSON can say it."""
    return {str(name): iso(value) if isinstance(value, datetime) else value for name, value in row.items()}
