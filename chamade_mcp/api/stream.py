"""The call WebSocket: events and audio of one call for one agent (CONTRACT section 3).

Refusals are told by close codes, after the handshake, because a client sees nothing of a refused handshake.
Closing the socket does not hang up the call.
"""

import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from chamade_mcp.api.access import Gate, key_of
from chamade_mcp.api.call_socket import CallSocket
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.keys import require
from chamade_mcp.core.streams import AgentStream
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import Forbidden, NotFound, Unauthenticated

_PATH = re.compile(r"/api/call/([^/]{1,128})/stream/?")

BAD_KEY = 4401
FORBIDDEN = 4403
UNKNOWN_CALL = 4404
CALL_OVER = 4410


class Refused(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class CallStream:
    """ASGI, for scopes of type ``websocket``."""

    calls: CallService
    gate: Gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _PATH.fullmatch(scope["path"])
        if (await receive())["type"] != "websocket.connect":
            return
        if path is None:
            await send({"type": "websocket.close", "code": UNKNOWN_CALL})
            return
        await send({"type": "websocket.accept"})
        try:
            principal = await self._admit(scope)
            opening = await self._open(principal, path[1])
        except Refused as refusal:
            await send({"type": "websocket.close", "code": refusal.code, "reason": refusal.reason})
            return
        async with opening as stream:
            await CallSocket(stream, principal, receive, send).run()

    async def _admit(self, scope: Scope) -> Principal:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = parse_qs(scope["query_string"].decode("latin-1")).get("api_key")
        key = given[-1] if given else key_of(headers)
        session = self.gate.session_of(headers)
        try:
            if key is None and session is not None:
                # A handshake carries cookies from any site's page.
                self.gate.require_same_origin(headers)
                principal = await self.gate.accounts.authenticate_session(session)
            else:
                principal = await self.gate.accounts.authenticate(key)
            require(principal, Permission.CALL)
        except Unauthenticated as error:
            raise Refused(BAD_KEY, error.detail) from None
        except Forbidden as error:
            raise Refused(FORBIDDEN, error.detail) from None
        return principal

    async def _open(self, principal: Principal, call: str) -> AbstractAsyncContextManager[AgentStream]:
        try:
            return self.calls.stream(principal, call)
        except NotFound as unknown:
            refusal = Refused(UNKNOWN_CALL, unknown.detail)
        try:
            view = await self.calls.get(principal, call, since=0)
        except NotFound:
            raise refusal from None
        raise Refused(CALL_OVER, f"The call is over: {view.state}")
