"""Calls, as agents ask for them and as platforms report them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row

from chamade_mcp.core import event_log, records
from chamade_mcp.core.call import CallSession, CallState, Direction, Verb
from chamade_mcp.core.call_chat import CallChat
from chamade_mcp.core.call_deps import CallDeps
from chamade_mcp.core.call_tokens import PURPOSE, CallTokens
from chamade_mcp.core.live import LiveCall
from chamade_mcp.core.records import CallRecord, CallView, RecordingState
from chamade_mcp.core.streams import AgentStream, Streams, as_told, ends_call, past
from chamade_mcp.core.supervisor import reaching
from chamade_mcp.kit.connector import Dials
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.capabilities import Capability
from chamade_mcp.model.errors import (
    InvalidRequest,
    LimitReached,
    NotFound,
    bridge_not_ready,
    call_not_found,
    no_sound_to_record,
    speech_not_configured,
)
from chamade_mcp.model.events import Cursor, Envelope, EventType
from chamade_mcp.model.facts import (
    CallerGaveUp,
    CallInvited,
    ChatPosted,
    DigitPressed,
    ParticipantJoined,
    ParticipantLeft,
)
from chamade_mcp.model.ids import (
    CallId,
    ConnectionId,
    GrantId,
    KeyId,
    Platform,
    RoomRef,
    new_call_id,
    new_id,
)
from chamade_mcp.model.messages import plain_line, plain_text
from chamade_mcp.model.recording import RecordingFormat

KEPT = timedelta(hours=24)
"""How long the status of a finished call can be asked for."""


@dataclass(frozen=True, slots=True)
class NewCall:
    platform: str
    meeting_url: str | None = None
    agent_name: str = "AI Agent"
    stt_voice_config_id: str | None = None
    tts_voice_config_id: str | None = None
    record_as: RecordingFormat | None = None
    """None: it is not recorded."""


class CallService:
    def __init__(self, deps: CallDeps) -> None:
        self._d = deps
        self._engine = deps.engine
        self._streams = Streams(self, deps.engine, deps.database, deps.hub, deps.clock)
        self._chat = CallChat(deps)
        self._tokens = CallTokens(deps.box.derive(PURPOSE), deps.clock)
        self._stream_base = "ws" + deps.public_url.removeprefix("http")

    # --- what agents ask for -------------------------------------------------------------------------------

    async def create(self, principal: Principal, wanted: NewCall) -> CallView:
        """Starts to join; the answer's state is `connecting`, what follows comes as events."""
        manifest = self._d.platforms.require(wanted.platform)
        self._d.platforms.require_connected(manifest, principal.scope, wanted.meeting_url)
        if wanted.stt_voice_config_id or wanted.tts_voice_config_id:
            raise NotFound("Voice preset not found", code="PRESET_NOT_FOUND")
        if wanted.record_as is not None:
            if manifest.sample_rate_hz is None:
                raise no_sound_to_record(manifest.platform)
            await self._d.studio.require_space(principal.account)
        call = new_call_id()
        with self._engine.place(call, principal.account, self._d.limit):
            connection = self._d.platforms.link_of(principal.scope, manifest.platform)
            meeting_url, room = await self._room(principal.scope, manifest, connection, wanted)
            record = CallRecord(
                id=call,
                scope=principal.scope,
                platform=manifest.platform,
                direction=Direction.OUTBOUND,
                caller="",
                room=room,
                participant_id=new_id("part"),
                meeting_url=meeting_url,
                agent_name=wanted.agent_name,
                capabilities=manifest.capabilities,
                sample_rate_hz=manifest.sample_rate_hz,
                created_at=self._d.clock.now(),
                connection=connection,
            )
            live = await self._engine.open(record, CallSession.outbound(), wanted.record_as)
            return self._view(live)

    async def get(self, principal: Principal, call: str, since: int) -> CallView:
        """Serves finished calls too, for `KEPT`."""

        def query(conn: Connection) -> tuple[Row[Any], int, tuple[str, ...]] | None:
            row = records.find(conn, principal.scope, call)
            return None if row is None else (row, *records.transcript(conn, row.id, since))

        found = await self._d.database.read(query)
        if found is None:
            raise call_not_found()
        row, length, lines = found
        if row.ended_at is not None and self._d.clock.now() - row.ended_at > KEPT:
            raise call_not_found()
        record = records.from_row(row, self._d.box)
        live = self._engine.get(record.id)
        if live is not None:
            live.tended = True
        return CallView(
            record,
            CallState(row.state),
            row.ended_at,
            self._stream_url(record.id),
            live.people if live else (),
            length,
            lines,
            live.audio_stats() if live else None,
            live.recording if live else RecordingState(),
        )

    async def active(self, principal: Principal) -> Sequence[CallView]:
        """The agent's calls that are not over, ringing ones included, the oldest first."""
        return [self._view(live) for live in self._engine.of(principal.scope)]

    def alive(self, scope: Scope) -> list[LiveCall]:
        """The same, as they live in this process."""
        return self._engine.of(scope)

    def concurrent(self, principal: Principal) -> dict[str, int]:
        """`concurrent_calls` of GET /api/account."""
        return {"active": self._engine.count(principal.account), "limit": self._d.limit}

    async def chat(
        self,
        principal: Principal,
        call: str,
        text: str,
        sender_name: str = "",
        attachments: Sequence[Mapping[str, Any]] = (),
        message_id: str | None = None,
    ) -> dict[str, object]:
        """`message_id` is the one it must bear; the same twice is said once."""
        live = self._engine.find(principal.scope, call)
        self._require(live, Capability.WRITE)
        return await self._chat.send(live, text, sender_name, attachments, message_id)

    async def typing(self, principal: Principal, call: str) -> dict[str, object]:
        """Does nothing where the platform has no typing indicator."""
        live = self._engine.find(principal.scope, call)
        if Capability.TYPING in live.record.capabilities:
            if live.leg is None:
                raise bridge_not_ready()
            with reaching(live.record.platform):
                await live.leg.typing()
        return {"status": "ok"}

    async def say(self, principal: Principal, call: str, text: str) -> dict[str, object]:
        self._engine.find(principal.scope, call)
        raise speech_not_configured()

    async def stop_speaking(self, principal: Principal, call: str) -> dict[str, object]:
        """Forgets what this call's agents have said and nobody has heard yet; nothing to stop is success."""
        live = self._engine.find(principal.scope, call)
        stopped_s = sum(agent.clear() for agent in live.mixer.agents) if live.mixer else 0.0
        return {"status": "ok", "stopped_ms": round(stopped_s * 1000)}

    async def dial(self, principal: Principal, call: str, digits: str) -> None:
        """Presses ``0-9 * # A-D`` where the platform has keys."""
        live = self._engine.find(principal.scope, call)
        if live.leg is None:
            raise bridge_not_ready()
        if not isinstance(live.leg, Dials):
            raise InvalidRequest(
                "This call has no keys to press: the platform knows no DTMF",
                code="NO_DTMF",
                platform=live.record.platform,
            )
        with reaching(live.record.platform):
            await live.leg.dial(digits)

    def live(self, principal: Principal, call: str) -> LiveCall:
        """Raises `NotFound` for a call that is over, unknown or somebody else's, all alike."""
        return self._engine.find(principal.scope, call)

    async def accept(self, principal: Principal, call: str) -> dict[str, object]:
        return await self._request(principal, call, Verb.ACCEPT)

    async def refuse(self, principal: Principal, call: str) -> dict[str, object]:
        return await self._request(principal, call, Verb.REFUSE)

    async def leave(self, principal: Principal, call: str) -> dict[str, object]:
        return await self._request(principal, call, Verb.LEAVE)

    def stream(
        self, principal: Principal, call: str, after: Cursor | None = None
    ) -> AbstractAsyncContextManager[AgentStream]:
        """One agent socket on a live call; with `after`, from the event after that one on."""
        live = self._engine.find(principal.scope, call)
        return self._streams.open(live, principal, after)

    async def past(
        self, principal: Principal, call: str, after: Cursor
    ) -> AsyncGenerator[tuple[dict[str, Any], bool]]:
        """The events of a call, over or not, and with each whether it ends the call."""
        async for envelope in past(self._d.database, principal.scope, CallId(call), after):
            yield as_told(envelope), ends_call(envelope)

    def token(self, principal: Principal, call: str) -> dict[str, object]:
        """Opens this call's socket for five minutes, without a key."""
        live = self._engine.find(principal.scope, call)
        return self._tokens.issue(principal, live.record.id).to_wire()

    def authenticate(self, token: str, call: str) -> Principal:
        """Who was given a token for `call`. Raises `Unauthenticated`."""
        return self._tokens.open(token, call)

    async def revoke_tokens(self, holder: KeyId | GrantId) -> None:
        """A key or grant has ended: what it was given opens no socket any more."""
        self._tokens.revoke(holder)

    async def add_transcript(self, live: LiveCall, speaker: str, text: str) -> None:
        """A line of what was said: stored, told to every agent of the call, shown to the people."""
        await to_the_end(self._add_transcript(live, plain_line(speaker), plain_text(text)))

    async def _add_transcript(self, live: LiveCall, speaker: str, text: str) -> None:
        now = self._d.clock.now()
        told = records.event(live.record, EventType.CALL_TRANSCRIPT, now, speaker=speaker, text=text)

        def store(conn: Connection) -> list[Envelope]:
            records.add_line(conn, live.record, speaker, text, now)
            return event_log.append(conn, [told], now)

        self._d.hub.announce(await self._d.database.write(store))
        if live.leg is not None:
            await live.leg.caption(speaker, text)

    # --- what platforms report -----------------------------------------------------------------------------

    async def chat_posted(self, fact: ChatPosted) -> None:
        live = self._engine.get(fact.call)
        if live is not None:
            await self._chat.posted(live, fact)

    async def digit_pressed(self, fact: DigitPressed) -> None:
        live = self._engine.get(fact.call)
        if live is not None:
            who = {"sender": live.participants.get(fact.participant, ""), "participant": fact.participant}
            told = records.event(
                live.record, EventType.CALL_DTMF, self._d.clock.now(), digit=fact.digit, **who
            )
            await self._d.hub.publish(told)

    async def invited(self, scope: Scope, link: tuple[Platform, ConnectionId], fact: CallInvited) -> None:
        """Somebody rings. When the account has all the calls it may have, nobody will answer."""
        platform, connection = link
        manifest = self._d.platforms.require(platform)
        call = new_call_id()
        record = CallRecord(
            id=call,
            scope=scope,
            platform=platform,
            direction=Direction.INBOUND,
            caller=plain_line(fact.caller.name),
            room=fact.room,
            participant_id=new_id("part"),
            meeting_url=fact.meeting_url,
            agent_name=fact.agent_name,
            capabilities=manifest.capabilities,
            sample_rate_hz=manifest.sample_rate_hz,
            created_at=self._d.clock.now(),
            connection=connection,
        )
        try:
            with self._engine.place(call, scope.account, self._d.limit):
                first = CallSession.inbound(self._d.clock.monotonic(), auto_answer=fact.auto_answer)
                await self._engine.open(record, first)
        except LimitReached:
            await self._engine.platform(*link).refuse(fact.room)

    async def turn_away(self, link: tuple[Platform, ConnectionId], fact: CallInvited) -> None:
        """Nobody will answer; the agent does not hear of it."""
        with reaching(link[0]):
            await self._engine.platform(*link).refuse(fact.room)

    async def caller_gave_up(
        self, scope: Scope, link: tuple[Platform, ConnectionId], fact: CallerGaveUp
    ) -> None:
        for live in self._engine.of(scope):
            if live.record.link == link and live.record.room == fact.room:
                await self._engine.apply(live, lambda s: s.caller_gave_up())

    def participant_joined(self, fact: ParticipantJoined) -> None:
        live = self._engine.get(fact.call)
        if live is not None:
            live.name(fact.participant, plain_line(fact.name))

    def participant_left(self, fact: ParticipantLeft) -> None:
        live = self._engine.get(fact.call)
        if live is not None:
            live.name(fact.participant, None)

    # --- inside --------------------------------------------------------------------------------------------

    async def _room(
        self, scope: Scope, manifest: Manifest, connection: ConnectionId, wanted: NewCall
    ) -> tuple[str, RoomRef]:
        """The meeting URL, made where none was given, and the room it names."""
        calls = self._engine.platform(manifest.platform, connection)
        meeting_url = wanted.meeting_url
        with reaching(manifest.platform):
            if meeting_url is None:
                if not manifest.creates_rooms:
                    raise InvalidRequest(
                        "meeting_url required", code="MEETING_URL_REQUIRED", param="meeting_url"
                    )
                meeting_url = await calls.create(scope, wanted.agent_name)
            return meeting_url, await calls.locate(meeting_url)

    async def _request(self, principal: Principal, call: str, verb: Verb) -> dict[str, object]:
        live = await self._engine.request(principal.scope, call, verb)
        return {"call_id": live.record.id, "state": str(live.session.state)}

    @staticmethod
    def _require(live: LiveCall, capability: Capability) -> None:
        if capability not in live.record.capabilities:
            raise InvalidRequest(
                f"This call has no {capability!s} capability",
                code="CAPABILITY_MISSING",
                platform=live.record.platform,
            )

    def _stream_url(self, call: CallId) -> str:
        return f"{self._stream_base}/api/call/{call}/stream"

    def _view(self, live: LiveCall) -> CallView:
        return CallView(
            live.record,
            live.session.state,
            None,
            self._stream_url(live.record.id),
            live.people,
            recording=live.recording,
        )
