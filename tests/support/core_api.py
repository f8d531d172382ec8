"""A small REST API that behaves by the contract (sections 1, 4, 5, 6): what MCP tools talk to in tests."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chamade_mcp.kit.problem import problem_response
from chamade_mcp.model.access import ALL_PERMISSIONS, Principal, Scope
from chamade_mcp.model.errors import (
    FieldError,
    GatewayError,
    InvalidRequest,
    LimitReached,
    NotFound,
    Unauthenticated,
    ValidationFailed,
    bridge_not_ready,
    call_not_found,
    no_active_conversation,
)
from chamade_mcp.model.ids import AccountId, AgentId

KEY = "chmd_abcdefghij_0123456789"
PRINCIPAL = Principal(Scope(AccountId("acct_1"), AgentId("agent_1")), ALL_PERMISSIONS, email_verified=True)
CURSOR = "2026-11-20T10:00:00Z|msg_1"
TERMINAL = frozenset({"refused", "missed", "ended", "disconnected"})

_COUNTS = ("buffered_ms", "played_ms", "dropped_ms", "cleared_ms", "trimmed_ms", "padded_ms", "underruns")
_SILENT = dict.fromkeys(_COUNTS, 0)
AUDIO_STATS = {
    "agents": [],
    "legs": [{"participant": "room", "from_platform": _SILENT, "to_platform": _SILENT}],
}

Document = dict[str, object]
Endpoint = Callable[[Request], Awaitable[Response]]


async def authenticate(credential: str) -> Principal:
    if credential != KEY:
        raise Unauthenticated()
    return PRINCIPAL


@dataclass
class Seen:
    """One request as the API saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class FakeCore:
    """State in plain sight. `broken` makes every request fail inside the application."""

    calls: dict[str, Document] = field(default_factory=dict[str, Document])
    transcripts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    conversations: dict[str, Document] = field(default_factory=dict[str, Document])
    sent: list[Document] = field(default_factory=list[Document])
    seen: list[Seen] = field(default_factory=list[Seen])
    most_calls: int = 5
    broken: bool = False
    polling: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once somebody waits in the inbox."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to end the wait."""
    poll_over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a wait has ended, by news, by time or because the caller went away."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def app(self) -> Starlette:
        routes: list[tuple[str, str, Endpoint]] = [
            ("GET", "/api/account", self._account),
            ("POST", "/api/call", self._create),
            ("GET", "/api/calls", self._list),
            ("GET", "/api/call/{call_id}", self._status),
            ("DELETE", "/api/call/{call_id}", self._leave),
            ("POST", "/api/call/{call_id}/accept", self._accept),
            ("POST", "/api/call/{call_id}/refuse", self._refuse),
            ("POST", "/api/call/{call_id}/typing", self._call_typing),
            ("POST", "/api/call/{call_id}/chat", self._call_chat),
            ("POST", "/api/call/{call_id}/say", self._say),
            ("POST", "/api/call/{call_id}/stop_speaking", self._stop_speaking),
            ("GET", "/api/inbox", self._inbox),
            ("GET", "/api/inbox/{conversation_id}", self._conversation),
            ("POST", "/api/dm/chat", self._dm),
            ("POST", "/api/dm/typing", self._dm_typing),
            ("POST", "/api/files/reserve", self._reserve),
        ]
        return Starlette(routes=[Route(path, self._guard(run), methods=[verb]) for verb, path, run in routes])

    def add_call(self, state: str = "active", *, transcript: tuple[str, ...] = ()) -> str:
        call_id = f"call_{next(self._numbers)}"
        self.calls[call_id] = {
            "call_id": call_id,
            "room_id": "room_1",
            "participant_id": "part_1",
            "text_ws_url": f"ws://localhost/api/call/{call_id}/stream",
            "state": state,
            "capabilities": ["audio_in", "audio_out", "read", "write", "typing"],
            "platform": "web",
            "meeting_url": "http://localhost/r/abc",
            "agent_name": "AI Agent",
            "audio": {
                "sample_rate": 48000,
                "format": "pcm_s16le",
                "channels": 1,
                "frame_duration_ms": 20,
                "frame_bytes": 1920,
            },
            "participants": [] if state in ("connecting", "ringing") else ["Alice"],
            "direction": "inbound" if state == "ringing" else "outbound",
            "caller": "Alice" if state == "ringing" else "",
            "created_at": "2026-11-20T10:00:00Z",
            "ended_at": None,
            "recording": {"state": "off", "recording_id": None, "announced": False},
        }
        self.transcripts[call_id] = list(transcript)
        return call_id

    def add_conversation(self, platform: str, text: str) -> str:
        conversation_id = f"conv_{next(self._numbers)}"
        self.conversations[conversation_id] = {
            "conversation_id": conversation_id,
            "platform": platform,
            "remote_name": "Alice",
            "status": "active",
            "created_at": "2026-11-20T10:00:00Z",
            "last_message_at": "2026-11-20T10:00:00Z",
            "group": False,
            "messages": [
                {
                    "id": f"msg_{next(self._numbers)}",
                    "direction": "inbound",
                    "sender": "Alice",
                    "sender_id": "alice",
                    "sender_status": "invited",
                    "from_agent": False,
                    "text": text,
                    "attachments": [
                        {"name": "a.pdf", "mime": "application/pdf", "size": 3, "url": "http://localhost/a"}
                    ],
                    "status": "received",
                    "timestamp": "2026-11-20T10:00:00Z",
                }
            ],
        }
        return conversation_id

    def _guard(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            self.seen.append(
                Seen(request.method, request.url.path, dict(request.query_params), dict(request.headers))
            )
            if self.broken:
                raise RuntimeError("the fake is broken on purpose")
            try:
                await authenticate(request.headers.get("x-api-key", ""))
                return await endpoint(request)
            except GatewayError as error:
                return problem_response(error, request_id=request.headers.get("x-request-id", "req-none"))

        return guarded

    def _live(self, request: Request) -> Document:
        call = self.calls.get(request.path_params["call_id"])
        if call is None or call["state"] in TERMINAL:
            raise call_not_found()
        return call

    async def _account(self, _: Request) -> Response:
        features = ["reply", "edit"]
        platform = {"status": "ok", "capabilities": ["read", "write"], "messages": features, "files": True}
        return JSONResponse(
            {
                "plan": "self-hosted",
                "features": {"transport": "ready", "hosted_stt": "byok"},
                "features_note": "Add a provider key for hosted speech.",
                "platforms": {"web": platform, "telegram": {**platform, "status": "not_configured"}},
                "concurrent_calls": {"active": len(self.calls), "limit": self.most_calls},
                "identities": {"web": {"agent": "AI Agent", "operator": None}},
                "last_message_cursor": CURSOR,
            }
        )

    async def _create(self, request: Request) -> Response:
        body: Document = await request.json()
        if body["platform"] == "zoom" and "meeting_url" not in body:
            raise InvalidRequest("meeting_url required", code="MEETING_URL_REQUIRED")
        if len(self.calls) >= self.most_calls:
            raise LimitReached("Concurrent call limit reached", code="CALL_LIMIT_REACHED", retry_after=30)
        call_id = self.add_call("connecting")
        self.calls[call_id].update(body)
        return JSONResponse(self.calls[call_id])

    async def _list(self, _: Request) -> Response:
        return JSONResponse({"calls": [c for c in self.calls.values() if c["state"] not in TERMINAL]})

    async def _status(self, request: Request) -> Response:
        call = self.calls.get(request.path_params["call_id"])
        if call is None:
            raise call_not_found()
        lines = self.transcripts[str(call["call_id"])]
        since = int(request.query_params.get("since", 0))
        stats = None if call["state"] in TERMINAL else AUDIO_STATS
        return JSONResponse(
            {**call, "transcript": lines[since:], "transcript_length": len(lines), "audio_stats": stats}
        )

    async def _leave(self, request: Request) -> Response:
        call = self._live(request)
        call.update(state="ended", ended_at=datetime.now(UTC).isoformat())
        return JSONResponse({"call_id": call["call_id"], "state": "ended"})

    async def _accept(self, request: Request) -> Response:
        call = self._live(request)
        call["state"] = "active"
        return JSONResponse({"call_id": call["call_id"], "state": "active"})

    async def _refuse(self, request: Request) -> Response:
        call = self._live(request)
        call["state"] = "refused"
        return JSONResponse({"call_id": call["call_id"], "state": "refused"})

    async def _call_typing(self, request: Request) -> Response:
        self._live(request)
        return JSONResponse({"status": "ok"})

    async def _call_chat(self, request: Request) -> Response:
        if self._live(request)["state"] == "connecting":
            raise bridge_not_ready()
        self.sent.append(await request.json())
        return JSONResponse({"status": "delivered", "message_id": "msg_9"})

    async def _say(self, request: Request) -> Response:
        self._live(request)
        raise InvalidRequest("Hosted TTS not configured", code="HOSTED_TTS_NOT_CONFIGURED")

    async def _inbox(self, request: Request) -> Response:
        platform = request.query_params.get("platform")
        found = [c for c in self.conversations.values() if platform in (None, c["platform"])]
        wait = int(request.query_params.get("wait", 0))
        if wait and not found:
            await self._poll(wait)
        if platform is None and "last_message_cursor" not in request.query_params:
            found = [_snapshot(conversation) for conversation in found]
            return JSONResponse({"conversations": found, "last_message_cursor": CURSOR, "next": None})
        return JSONResponse({"conversations": found, "last_message_cursor": CURSOR})

    async def _poll(self, seconds: int) -> None:
        self.polling.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.news.wait()
        finally:
            self.poll_over.set()

    async def _conversation(self, request: Request) -> Response:
        conversation = self.conversations.get(request.path_params["conversation_id"])
        if conversation is None:
            raise NotFound("Conversation not found", code="CONVERSATION_NOT_FOUND")
        return JSONResponse(conversation)

    async def _dm(self, request: Request) -> Response:
        body: Document = await request.json()
        if not body.get("text") and not body.get("attachments"):
            raise ValidationFailed([FieldError("text", "is required unless attachments are given")])
        platform = str(body["platform"])
        if not any(c["platform"] == platform for c in self.conversations.values()):
            raise no_active_conversation(platform)
        self.sent.append(body)
        if platform == "whatsapp":
            queued = {"status": "queued", "message_id": "msg_8", "reason": "outside_24h_window"}
            return JSONResponse({**queued, "template_sent": True, "queue_position": 1}, status_code=202)
        return JSONResponse({"status": "delivered", "message_id": "msg_8", "delivery": "sync"})

    async def _dm_typing(self, request: Request) -> Response:
        body: Document = await request.json()
        if not any(c["platform"] == body["platform"] for c in self.conversations.values()):
            raise no_active_conversation(str(body["platform"]))
        return JSONResponse({"status": "ok"})

    async def _stop_speaking(self, request: Request) -> Response:
        self._live(request)
        return JSONResponse({"status": "ok", "stopped_ms": 0})

    async def _reserve(self, request: Request) -> Response:
        body: Document = await request.json()
        return JSONResponse(
            {
                "file_id": "f_1",
                "upload_url": "http://localhost/api/files/u/tok",
                "name": body.get("name", "file"),
                "mime": body.get("mime", "application/octet-stream"),
                "max_size": 26_214_400,
                "expires_at": "2026-11-20T10:05:00Z",
            }
        )


def _snapshot(conversation: Document) -> Document:
    """As the overview of the inbox tells it: with its newest message only."""
    messages = conversation["messages"]
    assert isinstance(messages, list)
    told = {name: value for name, value in conversation.items() if name != "messages"}
    return {**told, "last_message": messages[-1]}
