"""`CoreClient`: the REST operations that MCP tools need, and nothing that the REST API cannot do.

    reply = await core.say(caller, call_id, "Good morning")

Every method takes the `Caller` on whose behalf it asks, and returns a `Reply` or raises `CoreError`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import NotRequired, TypedDict, cast
from urllib.parse import quote, urlencode

from chamade_mcp.model.access import Caller
from chamade_mcp.model.errors import Action, GatewayError, Outcome, Unavailable
from chamade_mcp.tools.transport import Answer, CoreTransport, CoreUnreachable

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx answer. `document` is always an object: a bare array stands under `items_key`, no body is {}."""

    status: int
    document: JsonObject
    text: str
    """`document` as JSON; the API's own bytes where it sent an object."""


class CoreError(Exception):
    """The API said no, or said nothing. `problem` is the object of DESIGN section 4, ready to hand on."""

    def __init__(self, problem: JsonObject) -> None:
        super().__init__(str(problem.get("detail", "")))
        self.problem = problem

    @property
    def status(self) -> int:
        status = self.problem.get("status")
        return status if isinstance(status, int) else 500

    @classmethod
    def of(cls, error: GatewayError) -> "CoreError":
        return cls(error.to_wire())


class Attachment(TypedDict, total=False):
    """Exactly one of `file_id`, `url`, `bytes_b64`; the last needs `name` and `mime`."""

    file_id: str
    url: str
    bytes_b64: str
    name: str
    mime: str


class NewCall(TypedDict):
    platform: str
    meeting_url: NotRequired[str]
    agent_name: NotRequired[str]
    stt_voice_config_id: NotRequired[str]
    tts_voice_config_id: NotRequired[str]


class CallMessage(TypedDict):
    text: NotRequired[str]
    sender_name: NotRequired[str]
    attachments: NotRequired[list[Attachment]]


class DirectMessage(TypedDict):
    platform: str
    text: NotRequired[str]
    keep_typing: NotRequired[bool]
    attachments: NotRequired[list[Attachment]]
    conversation_id: NotRequired[str]


class InboxQuery(TypedDict):
    platform: NotRequired[str]
    last_message_cursor: NotRequired[str]
    wait: NotRequired[int]
    limit: NotRequired[int]
    status: NotRequired[str]
    offset: NotRequired[int]


class NewFile(TypedDict):
    name: NotRequired[str]
    mime: NotRequired[str]


class OperatorQuestion(TypedDict):
    session: str
    request_id: str
    tool_name: str
    description: str
    input_preview: str


class CoreClient:
    def __init__(self, transport: CoreTransport) -> None:
        self._transport = transport

    async def account(self, caller: Caller) -> Reply:
        return await self._ask(caller, "GET", "/api/account")

    async def create_call(self, caller: Caller, call: NewCall) -> Reply:
        return await self._ask(caller, "POST", "/api/call", body=call)

    async def calls(self, caller: Caller) -> Reply:
        """The active calls, ringing ones included, under ``calls``."""
        return await self._ask(caller, "GET", "/api/calls", items_key="calls")

    async def call(self, caller: Caller, call_id: str, *, since: int = 0) -> Reply:
        """One call with the transcript lines from index `since` on."""
        return await self._ask(caller, "GET", _call(call_id), query={"since": since})

    async def accept_call(self, caller: Caller, call_id: str) -> Reply:
        return await self._ask(caller, "POST", _call(call_id, "/accept"))

    async def refuse_call(self, caller: Caller, call_id: str) -> Reply:
        return await self._ask(caller, "POST", _call(call_id, "/refuse"))

    async def leave_call(self, caller: Caller, call_id: str) -> Reply:
        return await self._ask(caller, "DELETE", _call(call_id))

    async def say(self, caller: Caller, call_id: str, text: str) -> Reply:
        return await self._ask(caller, "POST", _call(call_id, "/say"), body={"text": text})

    async def stop_speaking(self, caller: Caller, call_id: str) -> Reply:
        return await self._ask(caller, "POST", _call(call_id, "/stop_speaking"))

    async def call_chat(self, caller: Caller, call_id: str, message: CallMessage) -> Reply:
        return await self._ask(caller, "POST", _call(call_id, "/chat"), body=message)

    async def call_typing(self, caller: Caller, call_id: str) -> Reply:
        return await self._ask(caller, "POST", _call(call_id, "/typing"))

    async def inbox(self, caller: Caller, query: InboxQuery) -> Reply:
        """Snapshot, detail or delta (CONTRACT section 4.1); with `wait` it may take that many seconds."""
        return await self._ask(caller, "GET", "/api/inbox", query=query, items_key="conversations")

    async def conversation(self, caller: Caller, conversation_id: str, *, limit: int | None = None) -> Reply:
        path = f"/api/inbox/{quote(conversation_id, safe='')}"
        return await self._ask(caller, "GET", path, query=None if limit is None else {"limit": limit})

    async def send_dm(self, caller: Caller, message: DirectMessage) -> Reply:
        return await self._ask(caller, "POST", "/api/dm/chat", body=message)

    async def dm_typing(self, caller: Caller, platform: str, *, conversation_id: str | None = None) -> Reply:
        body = {"platform": platform}
        if conversation_id is not None:
            body["conversation_id"] = conversation_id
        return await self._ask(caller, "POST", "/api/dm/typing", body=body)

    async def reserve_file(self, caller: Caller, file: NewFile) -> Reply:
        return await self._ask(caller, "POST", "/api/files/reserve", body=file)

    async def ask_operator(self, caller: Caller, question: OperatorQuestion) -> Reply:
        return await self._ask(caller, "POST", "/api/operator/questions", body=question)

    async def _ask(
        self,
        caller: Caller,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        items_key: str = "items",
    ) -> Reply:
        payload = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = _headers(caller, payload)
        try:
            answer = await self._transport.request(
                method, path, urlencode(query) if query else "", headers, payload
            )
        except CoreUnreachable as error:
            unsure = error.sent and method != "GET"
            raise CoreError.of(
                Unavailable(
                    str(error),
                    code="CORE_UNREACHABLE",
                    outcome=Outcome.UNKNOWN if unsure else Outcome.NOT_DONE,
                )
            ) from error
        if answer.status >= 300:
            raise CoreError(_problem(answer))
        return _reply(answer, items_key)


def _call(call_id: str, verb: str = "") -> str:
    return f"/api/call/{quote(call_id, safe='')}{verb}"


def _headers(caller: Caller, payload: bytes) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-api-key", caller.credential.encode("latin-1")), (b"accept", b"application/json")]
    if payload:
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(payload)).encode("ascii")),
        ]
    if caller.request_id is not None:
        headers.append((b"x-request-id", caller.request_id.encode("latin-1")))
    if caller.traceparent is not None:
        headers.append((b"traceparent", caller.traceparent.encode("latin-1")))
    return headers


def _reply(answer: Answer, items_key: str) -> Reply:
    if not answer.body:
        return Reply(answer.status, {}, "{}")
    try:
        text = answer.body.decode()
        parsed: object = json.loads(text)
    except ValueError as error:
        raise CoreError.of(
            Unavailable(
                "The API's answer is not JSON", code="CORE_ANSWER_UNREADABLE", outcome=Outcome.UNKNOWN
            )
        ) from error
    if isinstance(parsed, dict):
        return Reply(answer.status, cast(JsonObject, parsed), text)
    document: JsonObject = {items_key: parsed}
    return Reply(answer.status, document, json.dumps(document, ensure_ascii=False, separators=(",", ":")))


def _problem(answer: Answer) -> JsonObject:
    """The API's problem object, or one made from the status where something else answered."""
    try:
        parsed: object = json.loads(answer.body)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict) and "code" in parsed:
        return cast(JsonObject, parsed)
    try:
        title = HTTPStatus(answer.status).phrase
    except ValueError:
        title = "Error"
    transient = answer.status >= 500 or answer.status == HTTPStatus.TOO_MANY_REQUESTS
    detail = cast(JsonObject, parsed).get("detail") if isinstance(parsed, dict) else None
    return {
        "type": "about:blank",
        "title": title,
        "status": answer.status,
        "detail": detail if isinstance(detail, str) else title,
        "code": f"HTTP_{answer.status}",
        "action": str(Action.RETRY if transient else Action.GIVE_UP),
        "outcome": str(Outcome.UNKNOWN if answer.status >= 500 else Outcome.NOT_DONE),
    }
