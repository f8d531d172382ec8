"""Sessions of the handshake era: a client that stays known, so that the gateway can speak first.

A session outlives the process. Whatever connection comes with its id, and its owner's credential, goes on
with it; only one that has ended, has expired or is somebody else's is not found.
"""

import asyncio
import logging
import secrets
from dataclasses import asdict
from typing import Final, cast

from starlette.types import Receive, Scope, Send

from chamade_mcp.core.credentials import credential_of
from chamade_mcp.core.notices import Kind
from chamade_mcp.model.access import Caller
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.permissions import PermissionRequest
from chamade_mcp.sessions import jsonrpc
from chamade_mcp.sessions.channel import missed_message
from chamade_mcp.sessions.desk import PermissionDesk
from chamade_mcp.sessions.handshake import WISHES, Handshake, negotiated
from chamade_mcp.sessions.jsonrpc import Message, Notification, Request, RequestId, Response
from chamade_mcp.sessions.live import LiveSession, LiveSessions
from chamade_mcp.sessions.methods import Methods
from chamade_mcp.sessions.protocol import (
    CHANNEL_PERMISSION_REQUEST,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
)
from chamade_mcp.sessions.push import Push, begin_at, opening
from chamade_mcp.sessions.sse import Reply, frame
from chamade_mcp.sessions.surface import JsonObject, ProtocolFault
from chamade_mcp.sessions.turn import HungUp, Turn, attended

log = logging.getLogger(__name__)

SESSION_NOT_FOUND: Final = -32001
"""With status 404; the code that Claude Code looks for before it initializes anew."""
ASK_S: Final = 300.0
"""How long a client, and the person before it, may think about a request of ours."""
_MOST_TOLD: Final = 8 * 1024
"""Bytes that a client may say about itself."""
_MOST_CHARACTERS: Final = 4_000
_MOST_PASSED_ON: Final = 256 * 1024
"""Bytes of an answer that is waited for in another process."""
_NEEDS: Final = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}


class Stateful:
    def __init__(
        self, methods: Methods, handshake: Handshake, sessions: LiveSessions, desk: PermissionDesk
    ) -> None:
        self._methods = methods
        self._handshake = handshake
        self._sessions = sessions
        self._desk = desk

    async def post(
        self, caller: Caller, session_id: str | None, message: Message, reply: Reply, receive: Receive
    ) -> None:
        if session_id is None:
            if isinstance(message, Request) and message.method == "initialize":
                await self._open(caller, message, reply)
            else:
                await _refuse(reply, 400, INVALID_REQUEST, "Mcp-Session-Id is missing: initialize first")
            return
        live = await self._sessions.find(caller.principal, session_id)
        if live is None:
            await _not_found(reply)
        elif isinstance(message, Request):
            await self._answer(caller, live, message, reply, receive)
        else:
            await reply.empty(202)
            if isinstance(message, Response):
                await self._take(live, message)
            else:
                await self._note(caller, live, message)

    async def get(
        self,
        caller: Caller,
        session_id: str | None,
        last_event_id: bytes,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """The session's stream of events; the newest one takes over."""
        reply = Reply(send, takes_stream=True)
        if session_id is None:
            await _refuse(reply, 400, INVALID_REQUEST, "Mcp-Session-Id is missing: initialize first")
            return
        live = await self._sessions.find(caller.principal, session_id, afresh=True)
        if live is None:
            await _not_found(reply)
            return
        streams = self._sessions.streams
        owner = caller.principal.scope
        stream = streams.new(secrets.token_hex(8), owner, credential_of(caller.principal), reply)
        oldest, newest = await streams.kept(owner)
        await self._sessions.opened_stream(live, stream)
        try:
            cursor = begin_at(live, last_event_id, newest)
            push = Push(self._methods.surface, self._sessions, live, stream, cursor)
            first = opening(live, cursor, self._sessions.retry_ms)
            if cursor < oldest - 1:
                first += frame(missed_message(oldest))
            await streams.serve(stream, push, scope, receive, first)
        finally:
            self._sessions.closed_stream(live, stream)
        await reply.end()

    async def delete(self, caller: Caller, session_id: str | None, send: Send) -> None:
        reply = Reply(send, takes_stream=False)
        if session_id is None:
            await _refuse(reply, 400, INVALID_REQUEST, "Mcp-Session-Id is missing")
            return
        live = await self._sessions.find(caller.principal, session_id)
        if live is None:
            await _not_found(reply)
            return
        await self._sessions.end(live)
        await reply.empty(200)

    # --- requests ------------------------------------------------------------------------------------------

    async def _open(self, caller: Caller, message: Request, reply: Reply) -> None:
        try:
            version = negotiated(message.params)
            info = cast(JsonObject, message.params["clientInfo"])
            capabilities = cast(JsonObject, message.params["capabilities"])
            if len(jsonrpc.encode([info, capabilities])) > _MOST_TOLD:
                raise ProtocolFault(
                    INVALID_PARAMS, "Invalid params: clientInfo and capabilities are too long"
                )
        except ProtocolFault as fault:
            await reply.answer(jsonrpc.error(message.id, fault.code, fault.message, fault.data))
            return
        session_id = await self._sessions.open(caller.principal, version, info, capabilities)
        reply.extra = ((b"mcp-session-id", session_id.encode("ascii")),)
        result = self._handshake.initialize(version, session=True)
        await reply.answer(jsonrpc.answer(message.id, result))

    async def _answer(
        self, caller: Caller, live: LiveSession, message: Request, reply: Reply, receive: Receive
    ) -> None:
        if message.method == "initialize":
            told = jsonrpc.error(message.id, INVALID_REQUEST, "Invalid request: this session is initialized")
            await reply.answer(told, 400)
            return

        async def ask(reply: Reply, method: str, params: JsonObject) -> JsonObject:
            return await _ask(live, reply, method, params)

        turn = Turn(caller, message.params, reply, live.record.client_capabilities, live.log_level, ask)
        try:
            result = await self._done(live, message, turn, receive)
            if message.method in WISHES:
                await self._sessions.wished(live)
            await reply.answer(jsonrpc.answer(message.id, result))
        except ProtocolFault as fault:
            await reply.answer(jsonrpc.error(message.id, fault.code, fault.message, fault.data))
        except HungUp:
            return

    async def _done(self, live: LiveSession, message: Request, turn: Turn, receive: Receive) -> bytes:
        working = self._handshake.result(message, turn, live)
        try:
            if not self._methods.may_take_long(message.method, message.params):
                return await working

            def started(work: "asyncio.Future[bytes]") -> None:
                live.running[message.id] = work

            try:
                return await attended(working, turn.reply, receive, started)
            finally:
                live.running.pop(message.id, None)
        except (ProtocolFault, HungUp):
            raise
        except GatewayError as error:
            if turn.reply.streaming:
                raise ProtocolFault(INTERNAL_ERROR, error.detail, error.to_wire()) from error
            raise
        except Exception:
            log.exception("%s failed", message.method)
            raise ProtocolFault(INTERNAL_ERROR, "Internal error") from None

    async def _take(self, live: LiveSession, response: Response) -> None:
        """To whoever asked: a client's connections may end in different processes."""
        if not self._sessions.answered(live.record.key, response):
            told = asdict(response)
            if len(jsonrpc.encode(told)) <= _MOST_PASSED_ON:
                await self._sessions.pass_on(live, Kind.ANSWER, told)

    # --- notifications -------------------------------------------------------------------------------------

    async def _note(self, caller: Caller, live: LiveSession, message: Notification) -> None:
        if message.method == "notifications/cancelled":
            request_id = message.params.get("requestId")
            if type(request_id) not in (int, str):
                return
            if not self._sessions.cancelled(live.record.key, cast(RequestId, request_id)):
                await self._sessions.pass_on(live, Kind.CANCEL, request_id)
        elif message.method == CHANNEL_PERMISSION_REQUEST:
            request = _permission_request(message.params)
            if request is not None:
                await self._desk.requested(caller, live.record.key, request)


def _permission_request(params: JsonObject) -> PermissionRequest | None:
    """None for one that could not be answered."""
    words = [params.get(field) for field in ("request_id", "tool_name", "description", "input_preview")]
    if not isinstance(words[0], str) or not 0 < len(words[0]) <= 64:
        return None
    told = [word[:_MOST_CHARACTERS] if isinstance(word, str) else "" for word in words[1:]]
    return PermissionRequest(words[0], *told)


async def _ask(live: LiveSession, reply: Reply, method: str, params: JsonObject) -> JsonObject:
    needed = _NEEDS.get(method)
    if needed is not None and needed not in live.record.client_capabilities:
        raise ProtocolFault(INVALID_REQUEST, f"The client has no {needed}")
    request_id = secrets.token_hex(8)
    answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    live.waiting[request_id] = answered
    try:
        await reply.event(jsonrpc.request(request_id, method, params))
        async with asyncio.timeout(ASK_S):
            response = await answered
    except TimeoutError:
        raise ProtocolFault(INTERNAL_ERROR, f"The client did not answer {method} in time") from None
    finally:
        live.waiting.pop(request_id, None)
    if response.result is None:
        said = (response.error or {}).get("message")
        raise ProtocolFault(INTERNAL_ERROR, f"The client refused {method}: {said}")
    return response.result


async def _refuse(reply: Reply, status: int, code: int, message: str) -> None:
    await reply.answer(jsonrpc.error(None, code, message), status)


async def _not_found(reply: Reply) -> None:
    await _refuse(reply, 404, SESSION_NOT_FOUND, "Session not found")
