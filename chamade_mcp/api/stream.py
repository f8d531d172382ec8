"""The call WebSocket: events and audio of one call for one agent (CONTRACT section 3).

Closing the socket does not hang up the call.
"""

import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from chamade_mcp.api.access import Gate
from chamade_mcp.api.call_socket import CallSocket
from chamade_mcp.api.socket_door import Refused, admit
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.streams import AgentStream
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import NotFound

_PATH = re.compile(r"/api/call/([^/]{1,128})/stream/?")

UNKNOWN_CALL = 4404
CALL_OVER = 4410


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
            principal = await admit(self.gate, scope, Permission.CALL)
            opening = await self._open(principal, path[1])
        except Refused as refusal:
            await send({"type": "websocket.close", "code": refusal.code, "reason": refusal.reason})
            return
        async with opening as stream:
            await CallSocket(stream, principal, receive, send).run()

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
