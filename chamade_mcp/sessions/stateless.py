"""Requests that stand alone, in both eras: a restart goes unnoticed, and nothing is remembered."""

import logging
from collections.abc import Awaitable

from starlette.types import Receive, Scope

from chamade_mcp.model.access import Caller
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.sessions import jsonrpc, modern
from chamade_mcp.sessions.handshake import Handshake
from chamade_mcp.sessions.jsonrpc import Message, Notification, Request
from chamade_mcp.sessions.listen import Listening
from chamade_mcp.sessions.methods import Methods
from chamade_mcp.sessions.modern import Modern
from chamade_mcp.sessions.param_headers import RawHeaders
from chamade_mcp.sessions.protocol import INTERNAL_ERROR, INVALID_REQUEST, MODERN_STATUS, MODERN_VERSIONS
from chamade_mcp.sessions.sse import Reply
from chamade_mcp.sessions.surface import ProtocolFault
from chamade_mcp.sessions.turn import HungUp, Turn, attended

log = logging.getLogger(__name__)


class Stateless:
    def __init__(self, methods: Methods, handshake: Handshake, listening: Listening) -> None:
        self._methods = methods
        self._handshake = handshake
        self._modern = Modern(methods)
        self._listening = listening

    async def handshake(self, caller: Caller, message: Message, reply: Reply, receive: Receive) -> None:
        if not isinstance(message, Request):
            await reply.empty(202)
            return
        turn = Turn(caller, message.params, reply)
        working = self._handshake.result(message, turn, None)
        try:
            await reply.answer(jsonrpc.answer(message.id, await self._done(working, message, reply, receive)))
        except ProtocolFault as fault:
            await reply.answer(jsonrpc.error(message.id, fault.code, fault.message, fault.data))
        except HungUp:
            return

    async def modern(
        self, caller: Caller, message: Message, scope: Scope, reply: Reply, receive: Receive
    ) -> None:
        headers: RawHeaders = scope["headers"]
        if isinstance(message, Notification):
            await self._note(headers, reply)
            return
        if not isinstance(message, Request):
            told = "Invalid request: clients send requests and notifications only"
            await reply.answer(jsonrpc.error(None, INVALID_REQUEST, told), 400)
            return
        try:
            meta = self._modern.envelope(message, headers)
            if message.method == modern.LISTEN:
                await self._listen(caller, message, reply, scope, receive)
                return
            turn = Turn(
                caller, message.params, reply, modern.client_capabilities(meta), modern.log_level(meta)
            )
            working = self._modern.result(message, turn)
            await reply.answer(jsonrpc.answer(message.id, await self._done(working, message, reply, receive)))
        except ProtocolFault as fault:
            told = jsonrpc.error(message.id, fault.code, fault.message, fault.data)
            await reply.answer(told, MODERN_STATUS.get(fault.code, 200))
        except HungUp:
            return

    async def _done(
        self, working: Awaitable[bytes], message: Request, reply: Reply, receive: Receive
    ) -> bytes:
        """The result; only what may take long costs a task. Raises `ProtocolFault` and `HungUp`."""
        try:
            if self._methods.may_take_long(message.method, message.params):
                return await attended(working, reply, receive)
            return await working
        except (ProtocolFault, HungUp):
            raise
        except GatewayError as error:
            if reply.streaming:
                raise ProtocolFault(INTERNAL_ERROR, error.detail, error.to_wire()) from error
            raise
        except Exception:
            log.exception("%s failed", message.method)
            raise ProtocolFault(INTERNAL_ERROR, "Internal error") from None

    async def _listen(
        self, caller: Caller, message: Request, reply: Reply, scope: Scope, receive: Receive
    ) -> None:
        if not reply.takes_stream:
            told = "Not Acceptable: subscriptions/listen needs text/event-stream"
            await reply.answer(jsonrpc.error(message.id, INVALID_REQUEST, told), 406)
            return
        meta = await self._listening.serve(caller.principal, message, reply, scope, receive)
        await reply.answer(jsonrpc.answer(message.id, self._modern.empty(meta)))

    async def _note(self, headers: RawHeaders, reply: Reply) -> None:
        """There is nothing that a notification could be about: a client cancels by closing the stream."""
        version = dict(headers).get(b"mcp-protocol-version", b"").decode("latin-1")
        if version in MODERN_VERSIONS:
            await reply.empty(202)
            return
        fault = modern.unsupported(version)
        await reply.answer(jsonrpc.error(None, fault.code, fault.message, fault.data), 400)
