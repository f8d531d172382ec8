"""Recordings of calls: begin and end them, list, download and delete what is kept."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from chamade_mcp.api.fields import Body, FromText, Query, Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.api.serving import answer
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.studio import Studio
from chamade_mcp.model.access import Permission
from chamade_mcp.model.recording import RecordingFormat, StopReason, TrackKind
from chamade_mcp.store.tapes import MIMES


class StartRecordingBody(Body):
    format: RecordingFormat = RecordingFormat.OPUS


class PageQuery(Query):
    limit: Annotated[int, Field(ge=1, le=200), FromText] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000), FromText] = 0


class TrackWire(Wire):
    track_id: str
    kind: Annotated[TrackKind, Field(description="`mix` is all that was heard; `agent` what the agent said")]
    participant: Annotated[str, Field(description="Who it is; `room` where the platform tells nobody apart")]
    name: Annotated[str, Field(description="As first heard; empty for the mix")]
    starts_ms: Annotated[int, Field(description="Its first sound. The file itself begins with the recording")]
    size: int
    url: Annotated[str, Field(description="Needs a key")]


class RecordingWire(Wire):
    recording_id: str
    call_id: str
    format: RecordingFormat
    mime: str
    announced: Annotated[bool, Field(description="The platform showed it to the people")]
    started_at: str
    ended_at: Annotated[str | None, Field(description="null while it is under way: there are no tracks yet")]
    end_reason: StopReason | None
    duration_ms: int
    lost_ms: Annotated[int, Field(description="Silent in every track, since the disk was too slow")]
    size: Annotated[int, Field(description="Of all tracks")]
    tracks: Annotated[list[TrackWire], Field(description="All of one length and begun at one moment")]


class RecordingsWire(Wire):
    recordings: list[RecordingWire]


class RecordingStatusWire(Wire):
    status: Literal["ok"]


@dataclass(frozen=True, slots=True)
class RecordingGroup:
    calls: CallService
    studio: Studio

    async def start(self, asked: Asked[StartRecordingBody, None]) -> Answer:
        live = self.calls.live(asked.principal, asked.ids["call_id"])
        recording = await self.studio.start(live, asked.body.format)
        return await self.studio.recordings.get(asked.principal.scope, recording)

    async def stop(self, asked: Asked[None, None]) -> Answer:
        recording = await self.studio.stop(self.calls.live(asked.principal, asked.ids["call_id"]))
        return await self.studio.recordings.get(asked.principal.scope, recording)

    async def of_call(self, asked: Asked[None, PageQuery]) -> Answer:
        page = asked.query
        return await self.studio.recordings.newest(
            asked.principal, call=asked.ids["call_id"], limit=page.limit, offset=page.offset
        )

    async def every(self, asked: Asked[None, PageQuery]) -> Answer:
        return await self.studio.recordings.newest(
            asked.principal, limit=asked.query.limit, offset=asked.query.offset
        )

    async def get(self, asked: Asked[None, None]) -> Answer:
        return await self.studio.recordings.get(asked.principal.scope, asked.ids["recording_id"])

    async def serve(self, asked: Asked[None, None]) -> Answer:
        file = await self.studio.recordings.serve(
            asked.principal, asked.ids["recording_id"], asked.ids["track_id"]
        )
        read = partial(self.studio.recordings.read, file)
        return answer(file, read, asked.scope["method"], asked.headers, cache="private, no-cache")

    async def delete(self, asked: Asked[None, None]) -> Answer:
        await self.studio.recordings.delete(asked.principal, asked.ids["recording_id"])
        return {"status": "ok"}

    def group(self) -> Group:
        return Group(
            "Recordings",
            "Nothing is recorded unless it is asked for, with `recording` when a call is made or here. There "
            "is a track for each participant, one for the agent, and the mix.",
            (*self._recording(), *self._keeping()),
        )

    def _recording(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                "POST",
                "/api/call/{call_id}/start_recording",
                "Record a call from now on",
                self.start,
                Permission.CALL,
                body=StartRecordingBody,
                body_optional=True,
                reply=RecordingWire,
                notes="The people are shown it first where their platform can: `announced`. Where it cannot, "
                "tell them yourself. One that is on already goes on.",
                errors={
                    400: ("CAPABILITY_MISSING",),
                    409: ("BRIDGE_NOT_READY",),
                    413: ("RECORDING_QUOTA_EXCEEDED",),
                    501: ("NOT_AVAILABLE",),
                    502: ("SEND_FAILED",),
                    503: ("UNAVAILABLE", "RECONNECT_NEEDED"),
                },
            ),
            Operation(
                "POST",
                "/api/call/{call_id}/stop_recording",
                "End the recording of a call",
                self.stop,
                Permission.CALL,
                reply=RecordingWire,
                notes="Answers once the tracks are kept. The end of a call ends its recording too.",
                errors={409: ("NOT_RECORDING",)},
            ),
        )

    def _keeping(self) -> tuple[AnyOperation, ...]:
        read = Permission.READ
        return (
            Operation(
                "GET",
                "/api/call/{call_id}/recordings",
                "The recordings of a call",
                self.of_call,
                read,
                query=PageQuery,
                reply=RecordingsWire,
            ),
            Operation(
                "GET",
                "/api/recordings",
                "All recordings of the agent, the newest first",
                self.every,
                read,
                query=PageQuery,
                reply=RecordingsWire,
            ),
            Operation(
                "GET", "/api/recordings/{recording_id}", "One recording", self.get, read, reply=RecordingWire
            ),
            Operation(
                "GET",
                "/api/recordings/{recording_id}/tracks/{track_id}",
                "Download a track",
                self.serve,
                read,
                media={
                    mime: {"schema": {"type": "string", "contentMediaType": mime}} for mime in MIMES.values()
                },
                also={206: "One range of it", 304: "What `If-None-Match` names is still the same"},
                errors={410: ("RECORDING_GONE",), 416: ("RANGE_NOT_SATISFIABLE",)},
                notes="Takes one `Range`.",
            ),
            Operation(
                "DELETE",
                "/api/recordings/{recording_id}",
                "Delete a recording for good",
                self.delete,
                Permission.CALL,
                reply=RecordingStatusWire,
                errors={409: ("RECORDING_UNDER_WAY",)},
            ),
        )
