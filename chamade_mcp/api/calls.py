"""Calls: make, watch, answer, talk, write, leave (CONTRACT section 1.1)."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from chamade_mcp.api.fields import (
    Body,
    FromText,
    Line,
    MessageBody,
    OptionalLine,
    PlatformName,
    Query,
    State,
    Text,
    Uri,
    Wire,
)
from chamade_mcp.api.once import Once
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.core.call import Direction
from chamade_mcp.core.calls import CallService, NewCall
from chamade_mcp.model.access import Permission
from chamade_mcp.model.recording import RecordingFormat

_NEW_CALL = "The call WebSocket at `text_ws_url` carries events as JSON and, where there is voice, PCM."


class NewCallBody(Body):
    platform: PlatformName
    meeting_url: Annotated[Uri | None, Field(description="Needed where the platform opens no rooms")] = None
    agent_name: Line = "AI Agent"
    stt_voice_config_id: Annotated[UUID | None, Field(description="Speech-to-text preset of this call")] = (
        None
    )
    tts_voice_config_id: Annotated[UUID | None, Field(description="Text-to-speech preset of this call")] = (
        None
    )
    recording: Annotated[
        bool, Field(description="Record the call, and show the people so where their platform can")
    ] = False
    recording_format: RecordingFormat = RecordingFormat.OPUS
    transcripts: Annotated[
        bool | None, Field(description="Accepted, and without effect while there is no hosted speech-to-text")
    ] = None


class SinceQuery(Query):
    since: Annotated[
        int, Field(ge=0, le=1_000_000_000, description="First transcript line wanted"), FromText
    ] = 0


class SayBody(Body):
    text: Text


class ChatBody(MessageBody):
    sender_name: Annotated[OptionalLine, Field(description="Name on the chat card, where there is one")] = ""


class AudioWire(Wire):
    sample_rate: Annotated[int, Field(description="Native rate of the room in Hz")]
    format: str
    channels: int
    frame_duration_ms: int
    frame_bytes: int


class RecordingStateWire(Wire):
    state: Annotated[
        Literal["off", "pending", "on"],
        Field(description="`pending`: it begins once the agent is in the room"),
    ]
    recording_id: str | None
    announced: Annotated[
        bool, Field(description="The platform shows it to the people; where it cannot, tell them yourself")
    ]


class CallWire(Wire):
    call_id: str
    state: State
    platform: str
    meeting_url: str | None
    agent_name: str
    capabilities: list[str]
    room_id: str
    participant_id: str
    text_ws_url: str
    audio: AudioWire | None
    participants: Annotated[
        list[str], Field(description="Names of the people in the room now; the agent is not among them")
    ]
    direction: Direction
    caller: Annotated[str, Field(description="Who rang; empty for outbound calls")]
    created_at: str
    ended_at: str | None
    recording: RecordingStateWire


class PlayoutWire(Wire):
    """Milliseconds of sound since the start."""

    buffered_ms: Annotated[int, Field(description="Waits to be played")]
    played_ms: int
    dropped_ms: Annotated[int, Field(description="Lost because too much waited")]
    cleared_ms: Annotated[int, Field(description="Dropped because the agent asked for it")]
    trimmed_ms: Annotated[int, Field(description="Left out to bring a delay down")]
    padded_ms: Annotated[int, Field(description="Silence added where a frame was not full")]
    underruns: Annotated[int, Field(description="How often the sound came too late")]


class AgentAudioWire(PlayoutWire):
    """One agent socket."""

    sample_rate: int
    receive: bool | Literal["participants"]
    marks: Annotated[int, Field(description="Marks that wait")]
    heard_ms: int
    unread_ms: Annotated[int, Field(description="Dropped because the socket was not read")]


class LegAudioWire(Wire):
    participant: Annotated[str, Field(description="`room` for everybody")]
    from_platform: PlayoutWire
    to_platform: PlayoutWire


class AudioStatsWire(Wire):
    agents: list[AgentAudioWire]
    legs: list[LegAudioWire]


class CallRecordWire(CallWire):
    transcript: Annotated[list[str], Field(description="`[Speaker] text`, from line `since` on")]
    transcript_length: Annotated[int, Field(description="The next `since`")]
    audio_stats: Annotated[
        AudioStatsWire | None, Field(description="What became of the sound; null once the call is over")
    ]


class CallsWire(Wire):
    calls: list[CallWire]


class CallStateWire(Wire):
    call_id: str
    state: State


class ChatSentWire(Wire):
    status: str
    message_id: str | None = None


class DoneWire(Wire):
    status: str


class TokenWire(Wire):
    token: Annotated[str, Field(description="Opens this call's WebSocket, as its first message")]
    expires_at: str
    expires_in: Annotated[int, Field(description="Seconds")]


class StoppedWire(DoneWire):
    stopped_ms: Annotated[int, Field(description="How much speech was dropped unheard")]


@dataclass(frozen=True, slots=True)
class CallGroup:
    calls: CallService
    once: Once

    async def create(self, asked: Asked[NewCallBody, None]) -> Answer:
        body = asked.body
        wanted = NewCall(
            platform=body.platform,
            meeting_url=body.meeting_url,
            agent_name=body.agent_name,
            stt_voice_config_id=_text(body.stt_voice_config_id),
            tts_voice_config_id=_text(body.tts_voice_config_id),
            record_as=body.recording_format if body.recording else None,
        )
        view = await self.calls.create(asked.principal, wanted)
        return view.to_wire(transcript=False)

    async def get(self, asked: Asked[None, SinceQuery]) -> Answer:
        view = await self.calls.get(asked.principal, asked.ids["call_id"], since=asked.query.since)
        return view.to_wire(transcript=True)

    async def active(self, asked: Asked[None, None]) -> Answer:
        views = await self.calls.active(asked.principal)
        return {"calls": [view.to_wire(transcript=False) for view in views]}

    async def say(self, asked: Asked[SayBody, None]) -> Answer:
        return await self.calls.say(asked.principal, asked.ids["call_id"], asked.body.text)

    async def stop_speaking(self, asked: Asked[None, None]) -> Answer:
        return await self.calls.stop_speaking(asked.principal, asked.ids["call_id"])

    async def chat(self, asked: Asked[ChatBody, None]) -> Answer:
        body = asked.body
        return await self.calls.chat(
            asked.principal,
            asked.ids["call_id"],
            text=body.text,
            sender_name=body.sender_name,
            attachments=body.attached(),
            message_id=asked.repeat,
        )

    async def typing(self, asked: Asked[None, None]) -> Answer:
        return await self.calls.typing(asked.principal, asked.ids["call_id"])

    async def token(self, asked: Asked[None, None]) -> Answer:
        return self.calls.token(asked.principal, asked.ids["call_id"])

    async def accept(self, asked: Asked[None, None]) -> Answer:
        return await self.calls.accept(asked.principal, asked.ids["call_id"])

    async def refuse(self, asked: Asked[None, None]) -> Answer:
        return await self.calls.refuse(asked.principal, asked.ids["call_id"])

    async def leave(self, asked: Asked[None, None]) -> Answer:
        return await self.calls.leave(asked.principal, asked.ids["call_id"])

    def group(self) -> Group:
        return Group(
            "Calls",
            "Bring the agent into a meeting, or answer one that rings. A call that is over stays readable "
            "for a day; to come back, create a new one.",
            (*self._making(), *self._talking()),
        )

    def _making(self) -> tuple[AnyOperation, ...]:
        read, call = Permission.READ, Permission.CALL
        return (
            Operation(
                "POST",
                "/api/call",
                "Join or start a call",
                self.once("/api/call", self.create),
                call,
                repeatable=True,
                body=NewCallBody,
                reply=CallWire,
                notes=_NEW_CALL,
                errors={
                    400: (
                        "MEETING_URL_REQUIRED",
                        "MEETING_URL_INVALID",
                        "NO_BOT_REGISTERED",
                        "NO_SIP_TRUNK",
                        "PLATFORM_NOT_CONNECTED",
                        "CAPABILITY_MISSING",
                    ),
                    413: ("RECORDING_QUOTA_EXCEEDED",),
                    404: ("PRESET_NOT_FOUND",),
                    429: ("CALL_LIMIT_REACHED",),
                    501: ("NOT_AVAILABLE",),
                    503: ("UNAVAILABLE", "RECONNECT_NEEDED"),
                },
            ),
            Operation(
                "GET",
                "/api/call/{call_id}",
                "One call and its transcript",
                self.get,
                read,
                query=SinceQuery,
                reply=CallRecordWire,
            ),
            Operation(
                "GET", "/api/calls", "Active calls, ringing ones included", self.active, read, reply=CallsWire
            ),
            Operation(
                "POST",
                "/api/call/{call_id}/accept",
                "Answer a ringing call",
                self.accept,
                call,
                reply=CallStateWire,
                errors={409: ("CALL_NOT_RINGING",), 503: ("UNAVAILABLE", "RECONNECT_NEEDED")},
            ),
            Operation(
                "POST",
                "/api/call/{call_id}/refuse",
                "Refuse a ringing call",
                self.refuse,
                call,
                reply=CallStateWire,
                errors={409: ("CALL_NOT_RINGING",)},
            ),
            Operation(
                "POST",
                "/api/call/{call_id}/token",
                "A token for this call's WebSocket",
                self.token,
                call,
                reply=TokenWire,
                notes="For a page that shall not see an API key. It may do in this call what the key may.",
            ),
            Operation("DELETE", "/api/call/{call_id}", "Hang up", self.leave, call, reply=CallStateWire),
        )

    def _talking(self) -> tuple[AnyOperation, ...]:
        call, message = Permission.CALL, Permission.MESSAGE
        return (
            Operation(
                "POST",
                "/api/call/{call_id}/say",
                "Speak by hosted text-to-speech",
                self.say,
                call,
                body=SayBody,
                reply=DoneWire,
                errors={400: ("HOSTED_TTS_NOT_CONFIGURED",), 409: ("BRIDGE_NOT_READY",)},
            ),
            Operation(
                "POST",
                "/api/call/{call_id}/stop_speaking",
                "Stop speaking",
                self.stop_speaking,
                call,
                reply=StoppedWire,
                notes="Drops what is queued. Nothing playing is a success too.",
            ),
            Operation(
                "POST",
                "/api/call/{call_id}/chat",
                "Write in the meeting's chat",
                self.once("/api/call/{call_id}/chat", self.chat),
                message,
                repeatable=True,
                body=ChatBody,
                large_body=True,
                reply=ChatSentWire,
                errors={
                    400: ("CAPABILITY_MISSING", "INVALID_URL", "FETCH_REFUSED"),
                    404: ("FILE_NOT_FOUND",),
                    409: ("BRIDGE_NOT_READY",),
                    413: ("FILE_TOO_LARGE", "FILE_QUOTA_EXCEEDED"),
                    429: ("RATE_LIMITED",),
                    501: ("NOT_AVAILABLE",),
                    502: ("SEND_FAILED", "DELIVERY_UNKNOWN", "FETCH_FAILED"),
                    503: ("UNAVAILABLE", "RECONNECT_NEEDED"),
                    504: ("FETCH_TIMED_OUT",),
                },
            ),
            Operation(
                "POST",
                "/api/call/{call_id}/typing",
                "Show that the agent is typing",
                self.typing,
                message,
                reply=DoneWire,
                errors={409: ("BRIDGE_NOT_READY",)},
                notes="Accepted without effect where the platform has no such thing.",
            ),
        )


def _text(preset: UUID | None) -> str | None:
    return None if preset is None else str(preset)
