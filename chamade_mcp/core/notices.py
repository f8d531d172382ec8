"""What one process on the store tells the others: written beside what it is about, in the same transaction.

A notice is no message to a person and no event: those are in the log. It is there for a few minutes, and a
process that slept for longer finds the truth in the tables that notices are about.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select

from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.ids import AccountId
from chamade_mcp.store.schema import notices

KEPT: Final = timedelta(minutes=10)
PAGE: Final = 256


class Kind(StrEnum):
    """What a notice is about, and what its subject and its body are."""

    SESSION = "session"
    """An MCP session has ended, has a new stream or has other wishes. Its key; nothing."""
    CREDENTIAL = "credential"
    """A key or a grant was revoked. Its id; nothing."""
    MAIL = "mail"
    """A frame for a session's stream. Its key; the frame. Whoever sends it takes it away."""
    ANSWER = "answer"
    """What a client answered to a request of ours. The session's key; the JSON-RPC response."""
    CANCEL = "cancel"
    """A client cancels a request of its own. The session's key; the request's id."""
    PROBE = "probe"
    """An owner asks whether anybody answers. The probe's id; the agent, and the event to tell."""
    REACHED = "reached"
    """A probe came to open streams. The probe's id; the credentials behind these."""


@dataclass(frozen=True, slots=True)
class Notice:
    number: int
    account: AccountId
    kind: Kind
    subject: str
    body: Any


class Notices:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._origin = secrets.token_hex(8)
        """Names this process: what it said itself it need not hear."""

    def add(
        self, conn: Connection, account: AccountId, kind: Kind, subject: str, body: object = None
    ) -> None:
        """`body` is JSON."""
        self.sweep(conn)
        conn.execute(
            notices.insert().values(
                account_id=account,
                origin=self._origin,
                kind=str(kind),
                subject=subject,
                body=body,
                created_at=self._clock.now(),
            )
        )

    def newest(self, conn: Connection) -> int:
        """The number to begin behind; 0 before the first notice."""
        return conn.execute(select(func.coalesce(func.max(notices.c.number), 0))).scalar_one()

    def after(self, conn: Connection, number: int) -> Sequence[Notice]:
        """The next notices of others, a bounded number."""
        rows = conn.execute(
            select(notices)
            .where(
                notices.c.number > number,
                notices.c.origin != self._origin,
                notices.c.kind.in_([str(kind) for kind in Kind]),
            )
            .order_by(notices.c.number)
            .limit(PAGE)
        )
        return [
            Notice(row.number, AccountId(row.account_id), Kind(row.kind), row.subject, row.body)
            for row in rows
        ]

    def sweep(self, conn: Connection) -> None:
        """Removes what everybody has heard long ago."""
        conn.execute(delete(notices).where(notices.c.created_at < self._clock.now() - KEPT))
