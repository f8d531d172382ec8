"""One request while it is answered: the `Exchange` that a surface sees."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, TypeVar, cast

from starlette.types import Receive

from chamade_mcp.model.access import Caller
from chamade_mcp.sessions import jsonrpc
from chamade_mcp.sessions.protocol import INVALID_REQUEST, LOG_LEVELS, REQUEST_CANCELLED
from chamade_mcp.sessions.sse import Reply
from chamade_mcp.sessions.surface import JsonObject, ProtocolFault

T = TypeVar("T")

PING_EVERY_S: Final = 15.0
"""Proxies cut what is silent for 30 to 60 s."""
_LOUDNESS: Final = {level: loudness for loudness, level in enumerate(LOG_LEVELS)}
_NOTHING: Final[Mapping[str, object]] = {}

AskClient = Callable[[Reply, str, JsonObject], Awaitable[JsonObject]]
"""Sends a request to the client on the stream of a reply, and waits for what it answers to that."""


class Turn:
    """`log_level` is the least severe level the client wants, None for no log messages at all."""

    __slots__ = ("_ask", "_log_level", "_params", "caller", "client_capabilities", "reply")

    def __init__(
        self,
        caller: Caller,
        params: JsonObject,
        reply: Reply,
        client_capabilities: Mapping[str, object] = _NOTHING,
        log_level: str | None = None,
        ask: AskClient | None = None,
    ) -> None:
        self.caller = caller
        self.reply = reply
        self.client_capabilities = client_capabilities
        self._params = params
        self._log_level = log_level
        self._ask = ask

    @property
    def input_responses(self) -> Mapping[str, object]:
        given = self._params.get("inputResponses")
        return cast(JsonObject, given) if isinstance(given, dict) else _NOTHING

    @property
    def request_state(self) -> str | None:
        state = self._params.get("requestState")
        return state if isinstance(state, str) else None

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        meta = self._params.get("_meta")
        token = cast(JsonObject, meta).get("progressToken") if isinstance(meta, dict) else None
        if token is None or not self.reply.takes_stream:
            return
        params: JsonObject = {"progressToken": token, "progress": done}
        if total is not None:
            params["total"] = total
        if message is not None:
            params["message"] = message
        await self.reply.event(jsonrpc.notification("notifications/progress", params))

    async def log(self, level: str, data: object) -> None:
        if self._log_level is None or not self.reply.takes_stream:
            return
        if _LOUDNESS[level] >= _LOUDNESS[self._log_level]:
            params: JsonObject = {"level": level, "data": data}
            await self.reply.event(jsonrpc.notification("notifications/message", params))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        if self._ask is None or not self.reply.takes_stream:
            raise ProtocolFault(INVALID_REQUEST, f"{method} needs a session: connect with ?stateful")
        return await self._ask(self.reply, method, params)


class HungUp(Exception):
    """The client went away before the answer."""


async def attended(
    work: Awaitable[T],
    reply: Reply,
    receive: Receive,
    started: Callable[["asyncio.Future[T]"], None] = lambda _: None,
) -> T:
    """Awaits what may take long, pings meanwhile, and gives up when the client does. Raises `HungUp`.

    `started` is handed the work, which may be cancelled: that is a `ProtocolFault`.
    """
    working = asyncio.ensure_future(work)
    started(working)
    watching = asyncio.ensure_future(disconnected(receive))
    try:
        while True:
            await asyncio.wait((working, watching), timeout=PING_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if working.cancelled():
                raise ProtocolFault(REQUEST_CANCELLED, "Request cancelled")
            if working.done():
                return working.result()
            if watching.done():
                raise HungUp
            await reply.ping()
    finally:
        for task in (working, watching):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def disconnected(receive: Receive) -> None:
    """Returns once the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
