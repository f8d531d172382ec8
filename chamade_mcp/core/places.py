"""Where a message goes: conversations in the database, as every send looks them up."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, literal_column, select

from chamade_mcp.core.dms import ACTIVE
from chamade_mcp.core.replies import Correspondent
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import ConnectionId, ConversationId, ConversationRef, Platform
from chamade_mcp.store.prepared import Prepared
from chamade_mcp.store.rows import Rows
from chamade_mcp.store.schema import conversations

_COLUMNS: Final = (
    conversations.c.id,
    conversations.c.platform,
    conversations.c.ref,
    conversations.c.connection_id,
    conversations.c.status,
    conversations.c.last_seq,
)
_NAMED: Final = Rows(
    "WITH given (n, account_id, agent_id, id) AS ({rows}) "
    "SELECT json_group_array(json_array(n, id, platform, ref, connection_id, status, last_seq)) "
    "FROM given JOIN conversations USING (account_id, agent_id, id)",
    4,
)
_ACTIVE: Final = Prepared(
    select(*_COLUMNS)
    .where(
        conversations.c.account_id == bindparam("account"),
        conversations.c.agent_id == bindparam("agent"),
        conversations.c.platform == bindparam("platform"),
        conversations.c.status == ACTIVE,
    )
    .order_by(conversations.c.last_message_at.desc(), conversations.c.id)
    .limit(literal_column("1"))
)


class Destination(NamedTuple):
    """Where an agent wants to write; in the conversation that a person wrote in last, where it names none."""

    scope: Scope
    platform: Platform
    conversation: str | None


class Place(NamedTuple):
    whom: Correspondent
    status: str
    last_seq: int | None
    """The number of its newest message."""


def find(conn: Connection, wanted: Sequence[Destination]) -> list[Place | None]:
    """None for one that is not there, or is another agent's."""
    named = [
        (n, to.scope.account, to.scope.agent, to.conversation)
        for n, to in enumerate(wanted)
        if to.conversation is not None
    ]
    found = {row[0]: row[1:] for row in _NAMED.found(conn, named)}
    return [
        _place(to, found.get(n) if to.conversation is not None else _most_recent(conn, to))
        for n, to in enumerate(wanted)
    ]


def status_of(conn: Connection, conversation: ConversationId) -> str | None:
    """Whosever it is; None for one that is gone."""
    found = select(conversations.c.status).where(conversations.c.id == conversation)
    return conn.execute(found).scalar_one_or_none()


def _most_recent(conn: Connection, to: Destination) -> tuple[Any, ...] | None:
    whose: dict[str, object] = {"account": to.scope.account, "agent": to.scope.agent, "platform": to.platform}
    return _ACTIVE.row(conn, whose)


def _place(to: Destination, row: Sequence[Any] | None) -> Place | None:
    if row is None:
        return None
    conversation, platform, ref, connection, status, last_seq = row
    whom = Correspondent(
        to.scope,
        Platform(platform),
        ConversationId(conversation),
        ConversationRef(ref),
        ConnectionId(connection),
    )
    return Place(whom, status, last_seq)
