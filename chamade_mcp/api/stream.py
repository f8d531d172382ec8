"""The call WebSocket: events and audio of one call for one agent (CONTRACT section 3).

Closing the socket does not hang up the call.
"""

import logging
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from chamade_mcp.api.call_socket import CallSocket
from chamade_mcp.api.entrance import AUTH_FAILED, Entrance, Entry, Gone
from chamade_mcp.api.socket_door import BAD_KEY, Refused, last_of
from chamade_mcp.audio import wire
from chamade_mcp.core.calls import CallService
from chamade_mcp.core.standing import Standing
from chamade_mcp.core.streams import AgentStream
from chamade_mcp.kit.frames import frames_of
from chamade_mcp.model.errors import InvalidRequest, NotFound
from chamade_mcp.model.events import Cursor

log = logging.getLogger(__name__)

_PATH = re.compile(r"/api/call/([^/]{1,128})/stream/?")
_LARGEST_SEQ = 2**53

UNKNOWN_CALL = 4404
CALL_OVER = 4410
SESSION_SETUP_FAILED = 4500
BROKEN = 1011
_SETUP = "The call could not be opened; try again in a moment"


@dataclass(frozen=True, slots=True)
class CallStream:
    """ASGI, for scopes of type ``websocket``."""

    calls: CallService
    entrance: Entrance
    standing: Standing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _PATH.fullmatch(scope["path"])
        if (await receive())["type"] != "websocket.connect":
            return
        if path is None:
            await send({"type": "websocket.close", "code": UNKNOWN_CALL})
            return
        await send({"type": "websocket.accept"})
        try:
            entry = await self.entrance.admit(scope, receive, path[1])
            async with AsyncExitStack() as stack:
                socket = await self._open(entry, path[1], scope, receive, send, stack)
                socket.begin_with(_wishes(scope))
                await socket.run(self._void(entry))
        except Refused as refusal:
            await _close(send, refusal)
        except (Gone, OSError):
            return

    async def _void(self, entry: Entry) -> Refused:
        """Returns once what they came in with is good no more."""
        error = await self.standing.lost(entry.principal)
        if entry.by_token:
            return Refused(AUTH_FAILED, "The token's key or grant has ended", "AUTH_FAILED")
        return Refused(BAD_KEY, error.detail, error.code)

    async def _open(
        self, entry: Entry, call: str, scope: Scope, receive: Receive, send: Send, stack: AsyncExitStack
    ) -> CallSocket:
        """Tells what was missed, too. Raises `Refused`."""
        try:
            after = _cursor(entry.last_seq)
            stream = await self._stream(entry, call, after, send, stack)
            socket = CallSocket(stream, entry.principal, receive, send, frames_of(scope))
            if after is _UNKNOWN:
                await _tell(send, wire.call_error(_BAD_SEQ, "INVALID_CURSOR"))
            else:
                await _catch_up(stream, send)
        except (Refused, OSError):
            raise
        except Exception:
            log.exception("the socket of %s could not be set up", call)
            if entry.by_token:
                raise Refused(SESSION_SETUP_FAILED, _SETUP, "SESSION_SETUP_FAILED") from None
            raise Refused(BROKEN, "Internal error") from None
        return socket

    async def _stream(
        self, entry: Entry, call: str, after: Cursor | None, send: Send, stack: AsyncExitStack
    ) -> AgentStream:
        try:
            opening = self.calls.stream(entry.principal, call, None if after is _UNKNOWN else after)
        except NotFound as unknown:
            refusal = Refused(UNKNOWN_CALL, unknown.detail)
        else:
            return await stack.enter_async_context(opening)
        try:
            view = await self.calls.get(entry.principal, call, since=0)
        except NotFound:
            raise refusal from None
        if after is not None and after is not _UNKNOWN and await self._tell_the_end(entry, call, after, send):
            raise Refused(1000, "The call is over")
        raise Refused(CALL_OVER, f"The call is over: {view.state}")

    async def _tell_the_end(self, entry: Entry, call: str, after: Cursor, send: Send) -> bool:
        """What was missed of a call that is over. Whether its end was among it."""
        ended = False
        try:
            async for event, ends in self.calls.past(entry.principal, call, after):
                await _tell(send, event)
                ended = ended or ends
        except InvalidRequest as error:
            await _tell(send, wire.call_error(error.detail, error.code))
        return ended


_UNKNOWN = Cursor(-1)
"""Stands for a `last_seq` that is no number."""
_BAD_SEQ = "last_seq must be the seq of an event; events come from now on"


def _cursor(last_seq: object) -> Cursor | None:
    if last_seq is None:
        return None
    if isinstance(last_seq, str):
        # isdecimal alone lets digits of every script in, which int() reads as well
        last_seq = int(last_seq) if last_seq.isdecimal() and len(last_seq) < len(str(_LARGEST_SEQ)) else None
    if not isinstance(last_seq, int) or isinstance(last_seq, bool) or not 0 <= last_seq <= _LARGEST_SEQ:
        return _UNKNOWN
    return Cursor(last_seq)


_WORDS = {"true": True, "false": False}


def _wishes(scope: Scope) -> dict[str, object]:
    """Settings that the address has, as `audio_config` would."""
    given = {name: last_of(scope, name) for name in ("speech_events", "barge_in")}
    return {name: _WORDS.get(word, word) for name, word in given.items() if word is not None}


async def _catch_up(stream: AgentStream, send: Send) -> None:
    """Written before anything else, and waited for: thousands of events must not pile up in memory."""
    try:
        async for event in stream.missed():
            await _tell(send, event)
    except InvalidRequest as error:
        await _tell(send, wire.call_error(f"{error.detail}; events come from now on", error.code))


async def _tell(send: Send, message: wire.Wire) -> None:
    await send({"type": "websocket.send", "text": wire.encode(message)})


async def _close(send: Send, refusal: Refused) -> None:
    if refusal.name is not None:
        await _tell(send, wire.call_error(refusal.reason, refusal.name))
    await send({"type": "websocket.close", "code": refusal.code, "reason": refusal.reason})
