"""What was said in a conversation, for a platform that shows it again."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Integer, Row, bindparam, case, func, select

from chamade_mcp.core import dms
from chamade_mcp.core.backwards import SAID
from chamade_mcp.kit.connector import PastMessage, PastReaction
from chamade_mcp.model.access import Scope
from chamade_mcp.model.ids import COMMON, ConnectionId, ConversationRef, Platform
from chamade_mcp.model.messages import DeliveryState
from chamade_mcp.store.database import Database
from chamade_mcp.store.schema import messages

_QUOTED: Final = messages.alias("quoted")
_PAST: Final = (
    select(
        SAID,
        case(
            (_QUOTED.c.direction == dms.INBOUND, _QUOTED.c.ref),
            else_=func.coalesce(_QUOTED.c.sent_ref, _QUOTED.c.ref),
        ).label("quoted_key"),
    )
    .outerjoin(_QUOTED, _QUOTED.c.id == SAID.c.reply_to)
    .limit(bindparam("limit", type_=Integer))
)


class InboxHistory:
    """`kit.connector.History` of one link."""

    def __init__(self, database: Database, platform: Platform, connection: ConnectionId = COMMON) -> None:
        self._database = database
        self._link = (platform, connection)

    async def recent(self, scope: Scope, conversation: ConversationRef, limit: int) -> Sequence[PastMessage]:
        def query(conn: Connection) -> list[PastMessage]:
            place = dms.find_by_ref(conn, scope, self._link, conversation)
            if place is None:
                return []
            where = {"account": place.account_id, "last": place.last_seq, "limit": limit}
            return [_past(row) for row in reversed(conn.execute(_PAST, where).all())]

        return await self._database.read(query)


def _past(row: Row[Any]) -> PastMessage:
    inbound = row.direction == dms.INBOUND
    deleted = row.status == dms.DELETED
    return PastMessage(
        row.id,
        row.ref if inbound else row.sent_ref or row.ref,
        inbound,
        row.sender_name,
        row.text,
        dms.attachments_of(row),
        row.created_at,
        reply_to=row.quoted_key,
        edited_at=row.edited_at,
        deleted=deleted,
        reactions=tuple(PastReaction(r["emoji"], r["ref"], r["sender"]) for r in row.reactions or ()),
        state=None if inbound or deleted else DeliveryState(row.status),
        by_hand=dms.by_hand(row.direction, row.sender_name),
    )
