"""Where a message goes: conversations in the database, as every send looks them up."""

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, literal_column, select

from chamade_mcp.core.dms import ACTIVE
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import ConnectionId, ConversationId, ConversationRef, Platform
from chamade_mcp.store.prepared import Prepared
from chamade_mcp.store.schema import conversations

_COLUMNS: Final = (
    conversations.c.id,
    conversations.c.platform,
    conversations.c.ref,
    conversations.c.connection_id,
    conversations.c.status,
)
_MINE: Final = (
    conversations.c.account_id == bindparam("account"),
    conversations.c.agent_id == bindparam("agent"),
)
_BY_ID: Final = Prepared(select(*_COLUMNS).where(*_MINE, conversations.c.id == bindparam("conversation")))
_ACTIVE: Final = Prepared(
    select(*_COLUMNS)
    .where(*_MINE, conversations.c.platform == bindparam("platform"), conversations.c.status == ACTIVE)
    .order_by(conversations.c.last_message_at.desc(), conversations.c.id)
    .limit(literal_column("1"))
)


class Place(NamedTuple):
    """A conversation, as far as it takes to write in it."""

    id: ConversationId
    platform: Platform
    ref: ConversationRef
    connection_id: ConnectionId
    status: str


def find(conn: Connection, scope: Scope, conversation: str) -> Place | None:
    return _place(_BY_ID.row(conn, {**_whose(scope), "conversation": conversation}))


def most_recent(conn: Connection, scope: Scope, platform: str) -> Place | None:
    """The active conversation of a platform: the one somebody wrote in last."""
    return _place(_ACTIVE.row(conn, {**_whose(scope), "platform": platform}))


def _whose(scope: Scope) -> dict[str, object]:
    return {"account": scope.account, "agent": scope.agent}


def _place(row: tuple[Any, ...] | None) -> Place | None:
    return None if row is None else Place(*row)
