"""Calls in the database: rows, their events, their transcripts. Plain functions of a connection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select, update

from chamade_mcp.audio.frame import AudioFormat
from chamade_mcp.core import event_log
from chamade_mcp.core.call import BRIDGE_LOST, BRIDGE_LOST_CODE, CallState, Direction
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.manifest import capability_list
from chamade_mcp.model.access import Scope
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.events import Envelope, Event, EventType
from chamade_mcp.model.ids import (
    COMMON,
    AccountId,
    AgentId,
    CallId,
    ConnectionId,
    Platform,
    RecordingId,
    RoomRef,
)
from chamade_mcp.store.schema import calls, transcript_lines
from chamade_mcp.store.secrets import SealBroken, SecretBox

URL_PURPOSE = "calls.meeting_url"


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What does not change in a call's life."""

    id: CallId
    scope: Scope
    platform: Platform
    direction: Direction
    caller: str
    room: RoomRef
    participant_id: str
    meeting_url: str
    agent_name: str
    capabilities: frozenset[Capability]
    sample_rate_hz: int | None
    created_at: datetime
    connection: ConnectionId = COMMON

    @property
    def link(self) -> tuple[Platform, ConnectionId]:
        """By which the room is reached, as `Supervisor.link` takes it."""
        return self.platform, self.connection


@dataclass(frozen=True, slots=True)
class RecordingState:
    """Whether a call is recorded."""

    state: Literal["off", "pending", "on"] = "off"
    recording: RecordingId | None = None
    announced: bool = False

    def to_wire(self) -> dict[str, object]:
        return {"state": self.state, "recording_id": self.recording, "announced": self.announced}


@dataclass(frozen=True, slots=True)
class CallView:
    """A call as an agent sees it (CONTRACT section 1.1)."""

    record: CallRecord
    state: CallState
    ended_at: datetime | None
    stream_url: str
    participants: tuple[str, ...]
    """Names of the people in the room now."""
    transcript_length: int = 0
    transcript: tuple[str, ...] = ()
    audio_stats: dict[str, object] | None = None
    """What became of the sound, while there is any."""
    recording: RecordingState = RecordingState()

    def to_wire(self, *, transcript: bool) -> dict[str, Any]:
        """With `transcript`, the body of GET /api/call/{id}; without, that of POST /api/call."""
        r = self.record
        wire: dict[str, Any] = {
            "call_id": r.id,
            "room_id": r.room,
            "participant_id": r.participant_id,
            "text_ws_url": self.stream_url,
            "state": str(self.state),
            "capabilities": capability_list(r.capabilities),
            "platform": r.platform,
            "meeting_url": r.meeting_url,
            "agent_name": r.agent_name,
            "audio": AudioFormat(r.sample_rate_hz).to_wire() if r.sample_rate_hz else None,
            "participants": list(self.participants),
            "direction": str(r.direction),
            "caller": r.caller,
            "created_at": iso(r.created_at),
            "ended_at": iso(self.ended_at) if self.ended_at else None,
            "recording": self.recording.to_wire(),
        }
        if transcript:
            wire |= {
                "transcript": list(self.transcript),
                "transcript_length": self.transcript_length,
                "audio_stats": self.audio_stats,
            }
        return wire


def insert(conn: Connection, box: SecretBox, record: CallRecord, state: CallState) -> None:
    conn.execute(
        calls.insert().values(
            id=record.id,
            account_id=record.scope.account,
            agent_id=record.scope.agent,
            platform=record.platform,
            state=str(state),
            direction=str(record.direction),
            caller=record.caller,
            room_id=record.room,
            participant_id=record.participant_id,
            meeting_url_sealed=box.seal(URL_PURPOSE, record.meeting_url),
            agent_name=record.agent_name,
            capabilities=",".join(capability_list(record.capabilities)),
            sample_rate_hz=record.sample_rate_hz,
            created_at=record.created_at,
            connection_id=record.connection,
        )
    )


def from_row(row: Row[Any], box: SecretBox) -> CallRecord:
    try:
        meeting_url = box.open(URL_PURPOSE, row.meeting_url_sealed)
    except SealBroken:
        meeting_url = ""  # the gateway's key was changed since; the rest of the call is still true
    return CallRecord(
        CallId(row.id),
        _scope(row),
        Platform(row.platform),
        Direction(row.direction),
        row.caller,
        RoomRef(row.room_id),
        row.participant_id,
        meeting_url,
        row.agent_name,
        frozenset(Capability(c) for c in row.capabilities.split(",") if c),
        row.sample_rate_hz,
        row.created_at,
        ConnectionId(row.connection_id),
    )


def find(conn: Connection, scope: Scope, call: str) -> Row[Any] | None:
    return conn.execute(
        select(calls).where(
            calls.c.id == call, calls.c.account_id == scope.account, calls.c.agent_id == scope.agent
        )
    ).one_or_none()


def platform_of(conn: Connection, call: str) -> str:
    return conn.execute(select(calls.c.platform).where(calls.c.id == call)).scalar_one()


def set_state(
    conn: Connection, call: CallId, state: CallState, at: datetime, met: Sequence[str] | None = None
) -> None:
    """`met`: names of those who were there, kept once it is over; None when nobody knows."""
    over = {"ended_at": at, "people": met} if state.terminal else {"ended_at": None}
    conn.execute(update(calls).where(calls.c.id == call).values(state=str(state), **over))


def event(record: CallRecord, type: EventType, at: datetime, **fields: Any) -> Event:
    """An event of this call, with what every event of a call carries."""
    return event_of(record.scope, record.id, record.platform, type, at, fields)


def event_of(
    scope: Scope, call: str, platform: str, type: EventType, at: datetime, fields: dict[str, Any]
) -> Event:
    """The same for a call that is known by its row alone."""
    payload = {"type": str(type), "call_id": call, "platform": platform, **fields, "timestamp": iso(at)}
    return Event(scope.account, scope.agent, type, payload)


def _scope(row: Row[Any]) -> Scope:
    return Scope(AccountId(row.account_id), AgentId(row.agent_id))


def transcript(conn: Connection, call: CallId, since: int) -> tuple[int, tuple[str, ...]]:
    """How many lines there are, and those from index `since` on."""
    total = _line_count(conn, call)
    rows = conn.execute(
        select(transcript_lines.c.speaker, transcript_lines.c.text)
        .where(transcript_lines.c.call_id == call, transcript_lines.c.position >= since)
        .order_by(transcript_lines.c.position)
    )
    return total, tuple(f"[{row.speaker}] {row.text}" for row in rows)


def _line_count(conn: Connection, call: CallId) -> int:
    # Positions have no gaps, and the newest is found in the index without counting.
    newest = conn.execute(
        select(func.max(transcript_lines.c.position)).where(transcript_lines.c.call_id == call)
    ).scalar_one()
    return 0 if newest is None else newest + 1


def add_line(conn: Connection, record: CallRecord, speaker: str, text: str, at: datetime) -> None:
    position = _line_count(conn, record.id)
    conn.execute(
        transcript_lines.insert().values(
            call_id=record.id,
            position=position,
            account_id=record.scope.account,
            speaker=speaker,
            text=text,
            created_at=at,
        )
    )


def disconnect_survivors(conn: Connection, at: datetime) -> list[Envelope]:
    """Calls that were alive when the last process ended lost their bridge with it."""
    alive = [str(s) for s in CallState if not s.terminal]
    envelopes: list[Envelope] = []
    for row in conn.execute(select(calls).where(calls.c.state.in_(alive)).order_by(calls.c.created_at)).all():
        tell = partial(event_of, _scope(row), row.id, row.platform, at=at)
        missed = CallState(row.state) is CallState.RINGING
        state = CallState.MISSED if missed else CallState.DISCONNECTED
        set_state(conn, row.id, state, at)
        told = [tell(EventType.CALL_STATE, fields={"state": str(state)})]
        if not missed:
            lost = {"code": BRIDGE_LOST_CODE, "message": BRIDGE_LOST}
            told.insert(0, tell(EventType.CALL_ERROR, fields=lost))
        envelopes += event_log.append(conn, told, at)
    return envelopes
