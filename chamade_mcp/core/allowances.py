"""What an account may use, and how much of it is used. Each limit is enforced where its error is raised."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from chamade_mcp.core.accounts import ATTEMPTS, ATTEMPTS_WINDOW_S
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.connection_rows import MOST_OF_AN_ACCOUNT
from chamade_mcp.core.fetch import FETCHES_PER_MINUTE
from chamade_mcp.core.files import Files
from chamade_mcp.core.pairing_rows import MOST_PEOPLE
from chamade_mcp.core.passkeys import MOST_PASSKEYS
from chamade_mcp.core.studio import Studio
from chamade_mcp.core.webhooks.endpoints import MOST_ENDPOINTS, TESTS_PER_MINUTE
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.limits import MAX_ATTACHMENTS, MAX_TEXT
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import connections, passkeys, webhooks

ACCOUNT, AGENT, KEY, CONNECTION, MESSAGE, FILE = "account", "agent", "key", "connection", "message", "file"
"""Of which one there is a limit."""
BYTES, CHARACTERS, COUNT = "bytes", "characters", "count"


@dataclass(frozen=True, slots=True)
class Allowance:
    name: str
    limit: int
    unit: str
    of: str
    code: str
    """Of the error that tells of it."""
    used: int | None = None
    """None where there is no one number."""
    per_s: int | None = None
    """So many in any so many seconds; None: at a time."""
    setting: str | None = None
    """By which whoever runs the gateway changes it."""

    def to_wire(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "limit": self.limit,
            "used": self.used,
            "unit": self.unit,
            "of": self.of,
            "per_s": self.per_s,
            "code": self.code,
            "setting": self.setting and f"CHAMADE_{self.setting.upper()}",
        }


class Allowances:
    def __init__(self, database: Database, calls: CallService, files: Files, studio: Studio) -> None:
        self._database = database
        self._calls = calls
        self._files = files
        self._studio = studio

    async def of(self, principal: Principal) -> list[Allowance]:
        return [*await self._quotas(principal), *await self._numbers(principal.scope), *_SIZES, *_RATES]

    async def _quotas(self, principal: Principal) -> list[Allowance]:
        """What whoever runs the gateway has set."""
        calls = self._calls.concurrent(principal)
        kept, files = await self._files.space(principal.account)
        recorded, recordings = await self._studio.space(principal.account)
        at_once = Allowance(
            "concurrent_calls", calls["limit"], COUNT, ACCOUNT, "CALL_LIMIT_REACHED", calls["active"],
            setting="max_concurrent_calls",
        )  # fmt: skip
        return [
            at_once,
            Allowance(
                "files", files, BYTES, ACCOUNT, "FILE_QUOTA_EXCEEDED", kept, setting="files_quota_mb"
            ),
            Allowance(
                "recordings", recordings, BYTES, ACCOUNT, "RECORDING_QUOTA_EXCEEDED", recorded,
                setting="recordings_quota_mb",
            ),
            Allowance(
                "file_size", self._files.max_bytes, BYTES, FILE, "FILE_TOO_LARGE",
                setting="files_max_size_mb",
            ),
        ]  # fmt: skip

    async def _numbers(self, scope: Scope) -> list[Allowance]:
        def count(conn: Connection) -> list[int]:
            theirs = (
                connections.c.account_id == scope.account,
                passkeys.c.account_id == scope.account,
                (webhooks.c.account_id == scope.account) & (webhooks.c.agent_id == scope.agent),
            )
            return [conn.execute(select(func.count()).where(which)).scalar_one() for which in theirs]

        bots, keys, endpoints = await self._database.read(count)
        return [
            Allowance("connections", MOST_OF_AN_ACCOUNT, COUNT, ACCOUNT, "CONNECTION_LIMIT_REACHED", bots),
            Allowance("webhooks", MOST_ENDPOINTS, COUNT, AGENT, "WEBHOOK_LIMIT_REACHED", endpoints),
            Allowance("passkeys", MOST_PASSKEYS, COUNT, ACCOUNT, "PASSKEY_LIMIT_REACHED", keys),
        ]


_SIZES = (
    Allowance("people", MOST_PEOPLE, COUNT, CONNECTION, "PAIRING_LIMIT_REACHED"),
    Allowance("message_text", MAX_TEXT, CHARACTERS, MESSAGE, "VALIDATION_FAILED"),
    Allowance("attachments", MAX_ATTACHMENTS, COUNT, MESSAGE, "VALIDATION_FAILED"),
)
_RATES = (
    Allowance("file_fetches", FETCHES_PER_MINUTE, COUNT, ACCOUNT, "RATE_LIMITED", per_s=60),
    Allowance("webhook_tests", TESTS_PER_MINUTE, COUNT, ACCOUNT, "RATE_LIMITED", per_s=60),
    Allowance("wrong_passwords", ATTEMPTS, COUNT, ACCOUNT, "RATE_LIMITED", per_s=ATTEMPTS_WINDOW_S),
)
