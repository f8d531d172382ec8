"""What agents see of their conversations: functions of a connection."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row

from chamade_mcp.core import dms, listing
from chamade_mcp.core.cursors import cursor_of, is_moment, seq_at
from chamade_mcp.core.listing import Wanted
from chamade_mcp.core.windows import Windows
from chamade_mcp.model.access import Scope

_DELTA_MESSAGES: Final = 500
"""Messages one delta answer carries at most; the cursor it returns goes on from there."""


def answer(found: list[dict[str, Any]], cursor: str) -> dict[str, Any]:
    return {"conversations": found, "last_message_cursor": cursor}


@dataclass(frozen=True, slots=True)
class Views:
    windows: Windows

    def snapshot(self, conn: Connection, scope: Scope, wanted: Wanted) -> dict[str, Any]:
        rows, following = listing.page(conn, scope, wanted)
        found: list[dict[str, Any]] = []
        for row in rows:
            last = dms.newest(conn, row, 1)
            found.append(
                self.windows.to_wire(conn, row)
                | {"last_message": dms.message_to_wire(last[0]) if last else None}
            )
        return answer(found, cursor_of(dms.head(conn, scope))) | {"next": following}

    def whole(self, conn: Connection, row: Row[Any], limit: int) -> dict[str, Any]:
        return self.windows.to_wire(conn, row) | {
            "messages": [dms.message_to_wire(m) for m in dms.newest(conn, row, limit)]
        }

    def delta(
        self, conn: Connection, scope: Scope, cursor: str, platform: str | None, limit: int
    ) -> dict[str, Any]:
        """What is new since `cursor`; `reset` with a snapshot when it names a message that is not there."""
        seq = seq_at(conn, scope, cursor)
        if seq is None:
            return {"reset": True, **self.snapshot(conn, scope, Wanted(limit, platform=platform))}
        if is_moment(cursor):
            # A place from here on: by its clock, or by ours, what comes next may be older than the moment.
            cursor = cursor_of(dms.head(conn, scope, seq))
        return self._news(conn, scope, seq, platform, limit, cursor)

    def _news(
        self, conn: Connection, scope: Scope, seq: int, platform: str | None, limit: int, cursor: str
    ) -> dict[str, Any]:
        """Messages after `seq`, those of at most `limit` conversations, and the cursor behind them.

        The agent's own messages are passed over unless somebody else's stand beside them; what its owner says
        by hand is somebody else's.
        """
        limit = max(1, limit)
        while rows := dms.since(conn, scope, seq, platform, _DELTA_MESSAGES):
            grouped: dict[str, list[Row[Any]]] = {}
            for row in rows:
                if row.conversation_id not in grouped and len(grouped) == limit:
                    break
                grouped.setdefault(row.conversation_id, []).append(row)
                seq, cursor = row.seq, cursor_of(row)
            found = [
                self.windows.to_wire(conn, row)
                | {"messages": [dms.message_to_wire(m) for m in grouped[row.id]]}
                for row in dms.find_all(conn, scope, list(grouped))
                if any(_is_news(m) for m in grouped[row.id])
            ]
            if found:
                return answer(found, cursor)
        return answer([], cursor)


def _is_news(message: Row[Any]) -> bool:
    return message.direction == dms.INBOUND or dms.by_hand(message.direction, message.sender_name)
