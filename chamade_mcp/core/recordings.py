"""Recordings that are kept: taken over from the disk they were written to, listed, served, removed."""

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from chamade_mcp.core import event_log, records
from chamade_mcp.core import recording_rows as rows
from chamade_mcp.core.file_types import clean_name
from chamade_mcp.core.files import ServedFile
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.recording_rows import KeptTrack
from chamade_mcp.kit.chores import forever
from chamade_mcp.kit.clock import Clock, iso
from chamade_mcp.model.access import Bounds, Principal, Scope
from chamade_mcp.model.errors import Conflict, Gone, NotFound, call_not_found
from chamade_mcp.model.events import Envelope, EventType
from chamade_mcp.model.ids import AccountId, AgentId, CallId, RecordingId
from chamade_mcp.model.recording import RecordingFormat, StopReason
from chamade_mcp.store.blobs import Blobs
from chamade_mcp.store.database import Database
from chamade_mcp.store.reel import FoundTrack, read_back
from chamade_mcp.store.tapes import MIMES, SUFFIXES, settle

log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class RecordingsDeps:
    database: Database
    hub: EventHub
    clock: Clock
    blobs: Blobs
    folder: Path
    """Where recordings lie while they are written."""
    public_url: str


class Recordings:
    def __init__(self, deps: RecordingsDeps) -> None:
        self._d = deps
        self.under_way: set[RecordingId] = set()
        """Written by this process at the moment."""

    # --- what agents ask for -------------------------------------------------------------------------------

    async def newest(
        self, principal: Principal, *, call: str | None = None, limit: int = 50, offset: int = 0
    ) -> dict[str, object]:
        """The newest first. Raises `NotFound` for a call that is not the agent's."""

        def query(conn: Connection) -> list[dict[str, object]]:
            if call is not None and records.find(conn, principal.scope, call) is None:
                raise call_not_found()
            found = rows.newest(conn, principal.scope, call, limit=limit, offset=offset)
            tracks = rows.tracks_of(conn, found)
            return [self._to_wire(row, tracks[row.id]) for row in found]

        return {"recordings": await self._d.database.read(query)}

    async def get(self, scope: Scope, recording: str) -> dict[str, object]:
        def query(conn: Connection) -> dict[str, object]:
            row = _require(conn, scope, recording)
            return self._to_wire(row, rows.tracks_of(conn, [row])[row.id])

        return await self._d.database.read(query)

    async def serve(self, principal: Principal, recording: str, track: str) -> ServedFile:
        """Raises `NotFound` or `Gone`."""

        def query(conn: Connection) -> tuple[Row[Any], Row[Any] | None]:
            row = _require(conn, principal.scope, recording)
            return row, next((t for t in rows.tracks_of(conn, [row])[row.id] if t.id == track), None)

        row, found = await self._d.database.read(query)
        if found is None:
            raise NotFound("Track not found", code="TRACK_NOT_FOUND")
        if await self._d.blobs.size(found.id) != found.size_bytes:
            raise Gone("This recording is no longer kept", code="RECORDING_GONE")
        format = RecordingFormat(row.format)
        name = f"{row.started_at:%Y-%m-%d %H.%M.%S} {found.name or found.kind}"
        return ServedFile(found.id, clean_name(name) + SUFFIXES[format], MIMES[format], found.size_bytes)

    def read(self, file: ServedFile, start: int, end: int) -> AsyncGenerator[bytes]:
        """The bytes from `start` up to, not including, `end`."""
        return self._d.blobs.read(file.id, start, end)

    async def delete(self, principal: Principal, recording: str) -> None:
        """Raises `Conflict` while it is under way."""
        row = await self._d.database.read(partial(_require, scope=principal.scope, recording=recording))
        if row.ended_at is None:
            raise _under_way()
        await self._remove(RecordingId(row.id))

    async def delete_of_call(self, call: CallId) -> None:
        """All of a call that is over. Raises `Conflict` while one is under way."""
        found = await self._d.database.read(partial(rows.of_call, call=call))
        if any(row.ended_at is None for row in found):
            raise _under_way()
        for row in found:
            await self._remove(RecordingId(row.id))

    # --- what becomes of them ------------------------------------------------------------------------------

    async def collect(
        self,
        recording: RecordingId,
        format: RecordingFormat,
        reason: StopReason,
        *,
        duration_ms: int | None = None,
        lost_ms: int = 0,
    ) -> None:
        """Takes over what lies on the disk, and tells that the recording is there. May be tried again after
        any failure."""
        folder = self.folder_of(recording)
        found, seconds = await asyncio.to_thread(_settle_all, folder, format)
        length = round(seconds * 1000) if duration_ms is None else duration_ms
        write = partial(rows.stopped, recording=recording, reason=reason, duration_ms=length, lost_ms=lost_ms)
        await self._d.database.write(write)
        kept: list[KeptTrack] = []
        for track in found:
            if await asyncio.to_thread(track.path.exists):
                await self._d.blobs.adopt(track.id, track.path)
            if size := await self._d.blobs.size(track.id):
                kept.append(KeptTrack(track, size))
        self._d.hub.announce(await self._d.database.write(partial(self._complete, recording, kept)))
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _complete(
        self, recording: RecordingId, kept: Sequence[KeptTrack], conn: Connection
    ) -> list[Envelope]:
        now = self._d.clock.now()
        row = rows.complete(conn, recording, kept, now)
        if row is None:
            return []
        told = records.event_of(
            Scope(AccountId(row.account_id), AgentId(row.agent_id)),
            row.call_id,
            records.platform_of(conn, row.call_id),
            EventType.RECORDING_STOPPED,
            now,
            {"recording_id": recording, "reason": row.end_reason, "duration_ms": row.duration_ms},
        )
        return event_log.append(conn, [told], now)

    def folder_of(self, recording: RecordingId) -> Path:
        return self._d.folder / recording

    async def used_bytes(self, account: AccountId) -> int:
        """Of what is kept."""
        return await self._d.database.read(partial(rows.used_bytes, account=account))

    async def remove_all(self, bounds: Bounds) -> None:
        """Deletes recordings with their bytes, before what they belong to goes."""
        for recording in await self._d.database.read(partial(rows.within, bounds=bounds)):
            await self._remove(recording)

    async def remove_bytes(self, tracks: Sequence[str]) -> None:
        """Of tracks whose rows have gone."""
        await self._d.blobs.delete(tracks)

    async def sweep_forever(self) -> None:
        """Takes up what a crash left, and removes what its account keeps no longer."""
        await forever(self._d.clock, _SWEEP_EVERY_S, self.sweep, "recordings were not looked after this time")

    async def sweep(self) -> int:
        """How many recordings went because of their age."""
        for row in await self._d.database.read(rows.unfinished):
            if row.id not in self.under_way:
                await self._take_up(RecordingId(row.id), RecordingFormat(row.format))
        gone = await self._d.database.read(partial(rows.out_of_date, now=self._d.clock.now()))
        for recording in gone:
            await self._remove(recording)
        if gone:
            await self._d.database.scrub()
        return len(gone)

    async def _take_up(self, recording: RecordingId, format: RecordingFormat) -> None:
        try:
            await self.collect(recording, format, StopReason.INTERRUPTED)
        except Exception:  # whatever it was: others are taken up, and what is too old goes, all the same
            log.exception("the recording %s is not taken up yet", recording)

    async def _remove(self, recording: RecordingId) -> None:
        # The bytes first: a crash in between leaves a row by which it is tried again.
        await self._d.blobs.delete(await self._d.database.read(partial(rows.track_ids, recording=recording)))
        await asyncio.to_thread(shutil.rmtree, self.folder_of(recording), ignore_errors=True)
        await self._d.database.write(partial(rows.drop, recording=recording))

    def _to_wire(self, row: Row[Any], tracks: Sequence[Row[Any]]) -> dict[str, object]:
        format, here = RecordingFormat(row.format), f"{self._d.public_url}/api/recordings/{row.id}/tracks"
        return {
            "recording_id": row.id,
            "call_id": row.call_id,
            "format": row.format,
            "mime": MIMES[format],
            "announced": row.announced,
            "started_at": iso(row.started_at),
            "ended_at": iso(row.ended_at) if row.ended_at else None,
            "end_reason": row.end_reason if row.ended_at else None,
            "duration_ms": row.duration_ms,
            "lost_ms": row.lost_ms,
            "size": sum(track.size_bytes for track in tracks),
            "tracks": [
                {
                    "track_id": track.id,
                    "kind": track.kind,
                    "participant": track.participant,
                    "name": track.name,
                    "starts_ms": track.starts_ms,
                    "size": track.size_bytes,
                    "url": f"{here}/{track.id}",
                }
                for track in tracks
            ],
        }


def _under_way() -> Conflict:
    return Conflict("Stop the recording first", code="RECORDING_UNDER_WAY")


def _require(conn: Connection, scope: Scope, recording: str) -> Row[Any]:
    row = rows.find(conn, scope, recording)
    if row is None:
        raise NotFound("Recording not found", code="RECORDING_NOT_FOUND")
    return row


def _settle_all(folder: Path, format: RecordingFormat) -> tuple[list[FoundTrack], float]:
    """The tracks, each a whole file, and how long the longest of them is."""
    found, seconds = read_back(folder, format), 0.0
    for track in found:
        if track.path.exists():
            seconds = max(seconds, settle(format, track.path))
    return found, seconds
