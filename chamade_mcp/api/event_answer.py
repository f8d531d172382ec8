"""An answer that is a stream of server-sent events (WHATWG HTML section 9.2)."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chamade_mcp.core.credentials import credential_of
from chamade_mcp.model.access import Principal
from chamade_mcp.sessions.sse import STREAM_HEADERS, Reply
from chamade_mcp.sessions.streams import EventStream, Streams

Serve = Callable[[EventStream, Scope, Receive], Awaitable[None]]
"""Runs the stream until it is over."""


class EventAnswer(Response):
    def __init__(self, streams: Streams, principal: Principal, serve: Serve) -> None:
        super().__init__()
        self._streams = streams
        self._principal = principal
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": list(STREAM_HEADERS)})
            await send({"type": "http.response.body", "body": b""})
            return
        reply, who = Reply(send, takes_stream=True), self._principal
        stream = self._streams.new("", who.scope, credential_of(who), reply)
        await self._serve(stream, scope, receive)
        if not stream.gone:
            await reply.end()
