"""MCP over Streamable HTTP without sessions: each POST stands alone, so a restart goes unnoticed.

Both protocol eras are served on one URL by the SDK's low-level server, in plain JSON: it is faster than a
stream and leaves no cyclic garbage. Only what may take long in the era of 2026-07-28 can turn into a stream
with pings, so that no proxy cuts a long-poll; the handshake era has no such thing without a session.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.caching import CacheHint
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from chamade_mcp.kit.problem import problem_response
from chamade_mcp.model.access import Caller
from chamade_mcp.model.errors import MethodNotAllowed, TooLarge
from chamade_mcp.sessions.surface import JsonObject, ProtocolFault, Surface

MAX_BODY_BYTES = 4 * 1024 * 1024
_HANDSHAKE_VERSIONS = frozenset(version.encode("ascii") for version in HANDSHAKE_PROTOCOL_VERSIONS)
_CALLER = "chamade_mcp.caller"
_COMPLETE: JsonObject = {"resultType": "complete"}
"""Required from 2026-07-28 on; the SDK leaves it out for older clients."""
_LISTS_STAY = CacheHint(ttl_ms=300_000, scope="public")

Context = ServerRequestContext[dict[str, object], Request]


class StatelessSessions:
    """The endpoint for authenticated callers; `run` holds it open and can be entered once."""

    def __init__(self, surface: Surface) -> None:
        server = _server(surface)
        self._slow_tools = frozenset(name.encode("ascii") for name in surface.slow_tools)
        self._json = StreamableHTTPSessionManager(
            server, stateless=True, json_response=True, max_request_body_size=MAX_BODY_BYTES
        )
        self._streaming = StreamableHTTPSessionManager(
            server, stateless=True, json_response=False, max_request_body_size=MAX_BODY_BYTES
        )

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        # At INFO the SDK writes several lines per request, which halves its throughput.
        logging.getLogger("mcp").setLevel(logging.WARNING)
        started, stop = asyncio.Event(), asyncio.Event()
        holding = asyncio.create_task(self._hold(started, stop), name="mcp sessions")
        starting = asyncio.create_task(started.wait())
        try:
            await asyncio.wait((holding, starting), return_when=asyncio.FIRST_COMPLETED)
            if holding.done():
                await holding
            yield
        finally:
            starting.cancel()
            stop.set()
            await holding

    async def _hold(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        """One task enters and leaves the SDK's cancel scopes, whatever tasks `run` is entered and left in."""
        async with self._json.run(), self._streaming.run():
            started.set()
            await stop.wait()

    async def __call__(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            # Without a session there is nothing to listen to or to end; the SDK lets a GET hang for ever.
            refusal = MethodNotAllowed("This endpoint takes POST only")
            await problem_response(refusal, request_id=caller.request_id, headers={"allow": "POST"})(
                scope, receive, send
            )
            return
        length = version = tool = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"mcp-protocol-version":
                version = value
            elif name == b"mcp-name":
                tool = value
        if length is not None and length.isdigit() and int(length) > MAX_BODY_BYTES:
            # A body sent in chunks has no length; the SDK counts it while reading.
            too_large = TooLarge(f"Request body exceeds max size ({MAX_BODY_BYTES} bytes)")
            await problem_response(too_large, request_id=caller.request_id)(scope, receive, send)
            return
        may_stream = tool in self._slow_tools and version is not None and version not in _HANDSHAKE_VERSIONS
        sessions = self._streaming if may_stream else self._json
        await sessions.handle_request({**scope, _CALLER: caller}, receive, send)


def _server(surface: Surface) -> Server[dict[str, object]]:
    server: Server[dict[str, object]] = Server(
        surface.name,
        title=surface.title,
        version=surface.version,
        instructions=surface.instructions,
        get_tool_input_schema=surface.input_schema,
        cache_hints={
            "tools/list": _LISTS_STAY,
            "resources/list": _LISTS_STAY,
            "resources/templates/list": _LISTS_STAY,
            "resources/read": CacheHint(),
        },
    )
    tools: JsonObject = {"tools": list(surface.tools), **_COMPLETE}
    templates: JsonObject = {"resourceTemplates": list(surface.resource_templates), **_COMPLETE}
    resources: JsonObject = {"resources": [], **_COMPLETE}

    async def list_tools(_: Context, __: types.PaginatedRequestParams) -> JsonObject:
        return tools

    async def list_templates(_: Context, __: types.PaginatedRequestParams) -> JsonObject:
        return templates

    async def list_resources(_: Context, __: types.PaginatedRequestParams) -> JsonObject:
        return resources

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> JsonObject:
        try:
            result = await surface.call(params.name, params.arguments or {}, _caller(context))
        except ProtocolFault as fault:
            raise MCPError(fault.code, fault.message, fault.data) from fault
        return {**result, **_COMPLETE}

    async def read_resource(context: Context, params: types.ReadResourceRequestParams) -> JsonObject:
        try:
            result = await surface.read(str(params.uri), _caller(context))
        except ProtocolFault as fault:
            raise MCPError(fault.code, fault.message, fault.data) from fault
        return {**result, **_COMPLETE}

    # Results are in wire form already, which the constructor's typed hooks do not take.
    server.add_request_handler("tools/list", types.PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", types.CallToolRequestParams, call_tool)
    server.add_request_handler("resources/list", types.PaginatedRequestParams, list_resources)
    server.add_request_handler("resources/templates/list", types.PaginatedRequestParams, list_templates)
    server.add_request_handler("resources/read", types.ReadResourceRequestParams, read_resource)
    return server


def _caller(context: Context) -> Caller:
    """Both eras hand the HTTP request to handlers, across whatever tasks they start in between."""
    if context.request is None:
        raise RuntimeError("the transport handed on no HTTP request")
    caller = context.request.scope[_CALLER]
    if not isinstance(caller, Caller):
        raise TypeError("the scope carries no caller")
    return caller
