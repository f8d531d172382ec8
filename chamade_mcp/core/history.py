"""Calls that were: which there are, how each went, and forgetting them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row

from chamade_mcp.core import call_rows, records
from chamade_mcp.core.call import CallState
from chamade_mcp.core.call_rows import Counts, Moment
from chamade_mcp.core.recordings import Recordings
from chamade_mcp.kit.clock import iso
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import Conflict, call_not_found
from chamade_mcp.model.ids import CallId
from chamade_mcp.store.database import Database


class CallHistory:
    def __init__(self, database: Database, recordings: Recordings) -> None:
        self._database = database
        self._recordings = recordings

    async def page(self, principal: Principal, before: str | None, limit: int) -> dict[str, object]:
        """The agent's calls, the newest first; `before` is the last one of the page before."""

        def query(conn: Connection) -> dict[str, object]:
            last = None if before is None else _require(conn, principal, before)
            found = call_rows.newest(conn, principal.scope, last, limit + 1)
            shown, more = found[:limit], len(found) > limit
            counts = call_rows.count(conn, shown)
            return {
                "calls": [_call(row, counts[row.id]) for row in shown],
                "next": shown[-1].id if more else None,
            }

        return await self._database.read(query)

    async def get(self, principal: Principal, call: str) -> dict[str, object]:
        def query(conn: Connection) -> dict[str, object]:
            row = _require(conn, principal, call)
            return _call(row, call_rows.count(conn, [row])[row.id])

        return await self._database.read(query)

    async def timeline(self, principal: Principal, call: str, offset: int, limit: int) -> dict[str, object]:
        """How the call went, the oldest first."""

        def query(conn: Connection) -> dict[str, object]:
            row = _require(conn, principal, call)
            found = call_rows.moments(conn, row, offset, limit + 1)
            return {
                "moments": [_moment(row, moment) for moment in found[:limit]],
                "next": offset + limit if len(found) > limit else None,
            }

        return await self._database.read(query)

    async def forget(self, principal: Principal, call: str) -> None:
        """Deletes what is left of a call, its recordings too. Raises `Conflict` while it is alive."""
        row = await self._database.read(partial(_require, principal=principal, call=call))
        if not CallState(row.state).terminal:
            raise Conflict("Hang up first", code="CALL_UNDER_WAY")
        await self._recordings.delete_of_call(CallId(row.id))
        await self._database.write(partial(call_rows.forget, call=row))
        await self._database.scrub()


def _require(conn: Connection, principal: Principal, call: str) -> Row[Any]:
    row = records.find(conn, principal.scope, call)
    if row is None:
        raise call_not_found()
    return row


def _call(row: Row[Any], counts: Counts) -> dict[str, object]:
    return {
        "call_id": row.id,
        "platform": row.platform,
        "direction": row.direction,
        "caller": row.caller,
        "agent_name": row.agent_name,
        "people": row.people or [],
        "state": row.state,
        "created_at": iso(row.created_at),
        "ended_at": iso(row.ended_at) if row.ended_at else None,
        "lines": counts.lines,
        "messages": counts.messages,
        "recordings": counts.recordings,
    }


def _moment(row: Row[Any], moment: Moment) -> Mapping[str, object]:
    return {
        "at": iso(moment.at),
        # A clock that was set back tells of nothing before the beginning.
        "offset_ms": max(0, round((moment.at - row.created_at).total_seconds() * 1000)),
        "kind": moment.kind,
        "who": moment.who,
        "mine": moment.mine,
        "text": moment.text,
        "attachments": list(moment.attachments),
        "code": moment.code,
        "recording_id": moment.recording,
    }
