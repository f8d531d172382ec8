"""Recordings in the database. Plain functions of a connection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from chamade_mcp.core.bounds import inside
from chamade_mcp.core.recorder import Recording
from chamade_mcp.model.access import Bounds, Scope
from chamade_mcp.model.ids import AccountId, CallId, RecordingId
from chamade_mcp.model.recording import StopReason
from chamade_mcp.store.reel import FoundTrack
from chamade_mcp.store.schema import accounts, recording_tracks, recordings


@dataclass(frozen=True, slots=True)
class KeptTrack:
    found: FoundTrack
    size_bytes: int


def add(conn: Connection, about: Recording) -> None:
    conn.execute(
        recordings.insert().values(
            id=about.id,
            account_id=about.call.scope.account,
            agent_id=about.call.scope.agent,
            call_id=about.call.id,
            format=str(about.format),
            announced=about.announced,
            started_at=about.started_at,
        )
    )


def stopped(
    conn: Connection, recording: RecordingId, reason: StopReason, *, duration_ms: int, lost_ms: int
) -> None:
    """Said before the tracks move, so that what a crash leaves of that can be taken up again."""
    values = {"end_reason": str(reason), "duration_ms": duration_ms, "lost_ms": lost_ms}
    mine = (recordings.c.id == recording) & recordings.c.end_reason.is_(None)
    conn.execute(update(recordings).where(mine).values(**values))


def complete(
    conn: Connection, recording: RecordingId, tracks: Sequence[KeptTrack], at: datetime
) -> Row[Any] | None:
    """Its row once all tracks are kept; None when it has gone meanwhile."""
    mine = (recordings.c.id == recording) & recordings.c.ended_at.is_(None)
    row = conn.execute(update(recordings).where(mine).values(ended_at=at).returning(recordings)).one_or_none()
    if row is None:
        return None
    for position, kept in enumerate(tracks):
        track = kept.found
        conn.execute(
            recording_tracks.insert().values(
                id=track.id,
                account_id=row.account_id,
                recording_id=recording,
                position=position,
                kind=str(track.kind),
                participant=track.participant,
                name=track.name,
                starts_ms=track.starts_ms,
                size_bytes=kept.size_bytes,
            )
        )
    return row


def used_bytes(conn: Connection, account: AccountId) -> int:
    sizes = select(func.coalesce(func.sum(recording_tracks.c.size_bytes), 0))
    return conn.execute(sizes.where(recording_tracks.c.account_id == account)).scalar_one()


def find(conn: Connection, scope: Scope, recording: str) -> Row[Any] | None:
    return conn.execute(select(recordings).where(_of(scope), recordings.c.id == recording)).one_or_none()


def newest(
    conn: Connection, scope: Scope, call: str | None, *, limit: int, offset: int
) -> Sequence[Row[Any]]:
    """The newest first."""
    query = select(recordings).where(_of(scope))
    if call is not None:
        query = query.where(recordings.c.call_id == call)
    order = (recordings.c.started_at.desc(), recordings.c.id)
    return conn.execute(query.order_by(*order).limit(limit).offset(offset)).all()


def tracks_of(conn: Connection, found: Sequence[Row[Any]]) -> dict[str, list[Row[Any]]]:
    """By recording, the mix first."""
    tracks: dict[str, list[Row[Any]]] = {row.id: [] for row in found}
    mine = recording_tracks.c.recording_id.in_(tracks)
    for row in conn.execute(select(recording_tracks).where(mine).order_by(recording_tracks.c.position)):
        tracks[row.recording_id].append(row)
    return tracks


def unfinished(conn: Connection) -> Sequence[Row[Any]]:
    return conn.execute(select(recordings).where(recordings.c.ended_at.is_(None))).all()


def of_call(conn: Connection, call: CallId) -> Sequence[Row[Any]]:
    return conn.execute(select(recordings).where(recordings.c.call_id == call)).all()


def within(conn: Connection, bounds: Bounds) -> list[RecordingId]:
    return _ids(conn, inside(recordings, bounds))


def out_of_date(conn: Connection, now: datetime) -> list[RecordingId]:
    """Those that are older than their account keeps them."""
    gone: list[RecordingId] = []
    keeping = select(accounts.c.id, accounts.c.recordings_days)
    for row in conn.execute(keeping.where(accounts.c.recordings_days.is_not(None))).all():
        old = recordings.c.started_at < now - timedelta(days=row.recordings_days)
        mine = (recordings.c.account_id == row.id) & recordings.c.ended_at.is_not(None)
        gone += _ids(conn, mine & old)
    return gone


def drop(conn: Connection, recording: RecordingId) -> None:
    conn.execute(delete(recordings).where(recordings.c.id == recording))


def track_ids(conn: Connection, recording: RecordingId) -> list[str]:
    mine = recording_tracks.c.recording_id == recording
    return list(conn.execute(select(recording_tracks.c.id).where(mine)).scalars())


def tracks_within(conn: Connection, bounds: Bounds) -> list[str]:
    theirs = select(recordings.c.id).where(inside(recordings, bounds))
    tracks = select(recording_tracks.c.id).where(recording_tracks.c.recording_id.in_(theirs))
    return list(conn.execute(tracks).scalars())


def _ids(conn: Connection, condition: ColumnElement[bool]) -> list[RecordingId]:
    return [RecordingId(i) for i in conn.execute(select(recordings.c.id).where(condition)).scalars()]


def _of(scope: Scope) -> ColumnElement[bool]:
    return (recordings.c.account_id == scope.account) & (recordings.c.agent_id == scope.agent)
