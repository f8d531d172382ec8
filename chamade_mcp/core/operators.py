"""The operator: the person behind an agent, known by one conversation that its owner has chosen.

Whoever writes there speaks for the owner (`core.relay`), so nobody becomes the operator by writing: it takes
the permission to manage the account.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select

from chamade_mcp.core import dms
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.errors import NotFound
from chamade_mcp.model.ids import AccountId, ConnectionId, ConversationId, ConversationRef, Platform
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import conversations, operators

audit = logging.getLogger("chamade_mcp.audit")

_TRUST_S: Final = 10.0
"""How long the account's page may show an operator who was changed by another process."""


@dataclass(frozen=True, slots=True)
class Operator:
    whom: Correspondent
    name: str
    """As the platform tells it."""
    since: datetime

    def to_wire(self) -> dict[str, object]:
        return {
            "conversation_id": self.whom.conversation,
            "platform": self.whom.platform,
            "name": self.name,
            "since": iso(self.since),
        }


class Operators:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: dict[Scope, tuple[float, Operator | None]] = {}

    async def of(self, scope: Scope) -> Operator | None:
        """As the store has it now."""
        found = await self._database.read(partial(_find, scope=scope))
        self._seen[scope] = (self._clock.monotonic(), found)
        return found

    async def seen(self, scope: Scope) -> Operator | None:
        """From memory where that is fresh: for show, not for trust."""
        at, found = self._seen.get(scope, (float("-inf"), None))
        return found if self._clock.monotonic() - at < _TRUST_S else await self.of(scope)

    async def appoint(self, principal: Principal, conversation: str) -> tuple[Operator, Operator | None]:
        """Makes the person of a conversation the agent's operator: that one, and the one before.

        Raises `NotFound` for a conversation that is not the agent's.
        """
        scope, now = principal.scope, self._clock.now()

        def store(conn: Connection) -> tuple[Operator, Operator | None]:
            if dms.find(conn, scope, conversation) is None:
                raise NotFound(
                    "Conversation not found", code="CONVERSATION_NOT_FOUND", param="conversation_id"
                )
            before = _remove(conn, scope)
            conn.execute(
                operators.insert().values(
                    account_id=scope.account,
                    agent_id=scope.agent,
                    conversation_id=conversation,
                    created_at=now,
                )
            )
            appointed = _find(conn, scope)
            assert appointed is not None, "it was just stored"
            return appointed, before

        appointed, before = await self._database.write(store)
        self._seen.pop(scope, None)
        audit.info("operator of %s is %s, by %s", scope.agent, conversation, _who(principal))
        return appointed, before

    async def dismiss(self, principal: Principal) -> Operator | None:
        """The agent has no operator from now on. Who it was."""
        before = await self._database.write(partial(_remove, scope=principal.scope))
        self._seen.pop(principal.scope, None)
        if before is not None:
            audit.info("%s has no operator any more, by %s", principal.scope.agent, _who(principal))
        return before

    async def forget(self, account: AccountId) -> None:
        """The account goes."""
        self._seen = {scope: seen for scope, seen in self._seen.items() if scope.account != account}


def _who(principal: Principal) -> str:
    return principal.key or principal.grant or "the dashboard"


def _remove(conn: Connection, scope: Scope) -> Operator | None:
    before = _find(conn, scope)
    conn.execute(
        delete(operators).where(operators.c.account_id == scope.account, operators.c.agent_id == scope.agent)
    )
    return before


def _find(conn: Connection, scope: Scope) -> Operator | None:
    row: Row[Any] | None = conn.execute(
        select(conversations, operators.c.created_at.label("since"))
        .join(operators, operators.c.conversation_id == conversations.c.id)
        .where(operators.c.account_id == scope.account, operators.c.agent_id == scope.agent)
    ).one_or_none()
    if row is None:
        return None
    whom = Correspondent(
        scope,
        Platform(row.platform),
        ConversationId(row.id),
        ConversationRef(row.ref),
        ConnectionId(row.connection_id),
    )
    return Operator(whom, row.remote_name, row.since)
