"""Streamable HTTP: from an ASGI request to a message for the right era, with the refusals of the transport.

POST                                 stateless, both eras
POST ?stateful, or Mcp-Session-Id    a session of the handshake era; what is modern is told so
GET, DELETE with Mcp-Session-Id      a session's stream, its end
"""

from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from chamade_mcp.kit.problem import problem_response
from chamade_mcp.model.access import Caller
from chamade_mcp.model.errors import MethodNotAllowed, TooLarge
from chamade_mcp.sessions import jsonrpc
from chamade_mcp.sessions.jsonrpc import Malformed, Request, RequestId
from chamade_mcp.sessions.modern import claims_modern, unsupported
from chamade_mcp.sessions.protocol import ASSUMED_VERSION, HANDSHAKE_VERSIONS, INVALID_REQUEST
from chamade_mcp.sessions.sse import Reply
from chamade_mcp.sessions.stateful import Stateful
from chamade_mcp.sessions.stateless import Stateless
from chamade_mcp.sessions.surface import ProtocolFault
from chamade_mcp.sessions.turn import HungUp

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_HANDSHAKE: Final = {version.encode("ascii"): version for version in HANDSHAKE_VERSIONS}
_NEWEST_FIRST: Final = HANDSHAKE_VERSIONS[::-1]


class Head:
    """What the transport looks at in a request's head."""

    __slots__ = ("accept", "content_type", "last_event_id", "length", "session", "version")

    def __init__(self, scope: Scope) -> None:
        self.version: bytes | None = None
        self.session: str | None = None
        self.accept = b"*/*"  # absence means that anything goes (RFC 9110 section 12.5.1)
        self.content_type = b""
        self.length = b""
        self.last_event_id = b""
        for name, value in scope["headers"]:
            if name == b"accept":
                self.accept = value
            elif name == b"content-type":
                self.content_type = value
            elif name == b"mcp-protocol-version":
                self.version = value
            elif name == b"content-length":
                self.length = value
            elif name == b"mcp-session-id":
                self.session = value.decode("latin-1")
            elif name == b"last-event-id":
                self.last_event_id = value


class Endpoint:
    """A `CallerApp`: serves requests whose caller is known."""

    def __init__(self, stateless: Stateless, stateful: Stateful) -> None:
        self._stateless = stateless
        self._stateful = stateful

    async def __call__(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        head = Head(scope)
        if scope["method"] == "POST":
            await self._post(caller, head, scope, receive, send)
        elif head.session is None and not wants_session(scope["query_string"]):
            await _refuse_method(caller, "POST", scope, receive, send)
        elif scope["method"] == "GET":
            if not accepted(head.accept)[1]:
                await _refuse(send, 406, "Not Acceptable: the client must accept text/event-stream")
            else:
                await self._stateful.get(caller, head.session, head.last_event_id, scope, receive, send)
        elif scope["method"] == "DELETE":
            await self._stateful.delete(caller, head.session, send)
        else:
            await _refuse_method(caller, "GET, POST, DELETE", scope, receive, send)

    async def _post(self, caller: Caller, head: Head, scope: Scope, receive: Receive, send: Send) -> None:
        takes_json, takes_stream = accepted(head.accept)
        if not takes_json:
            await _refuse(send, 406, "Not Acceptable: the client must accept application/json")
            return
        if not is_json(head.content_type):
            await _refuse(send, 415, "Unsupported Media Type: Content-Type must be application/json")
            return
        try:
            body = await _read(head.length, receive)
        except HungUp:
            return
        except TooLarge as error:
            await problem_response(error, request_id=caller.request_id)(scope, receive, send)
            return
        reply = Reply(send, takes_stream=takes_stream)
        try:
            message = jsonrpc.parse(body)
        except Malformed as error:
            await reply.answer(jsonrpc.error(error.id, error.code, error.message), 400)
            return
        version = ASSUMED_VERSION if head.version is None else _HANDSHAKE.get(head.version)
        modern = version is None or (
            head.version is None and isinstance(message, Request) and claims_modern(message.params)
        )
        if head.session is None and not scope["query_string"]:
            session = False
        else:
            session = wants_session(scope["query_string"]) or (head.session is not None and not modern)
        if not session:
            if modern:
                await self._stateless.modern(caller, message, scope, reply, receive)
            else:
                await self._stateless.handshake(caller, message, reply, receive)
        elif modern:
            wanted = (head.version or b"").decode("latin-1")
            message_id = message.id if isinstance(message, Request) else None
            await _refuse_version(reply, message_id, unsupported(wanted, _NEWEST_FIRST))
        else:
            await self._stateful.post(caller, head.session, message, reply, receive)


async def _refuse_version(reply: Reply, request_id: RequestId | None, fault: ProtocolFault) -> None:
    await reply.answer(jsonrpc.error(request_id, fault.code, fault.message, fault.data), 400)


async def _refuse(send: Send, status: int, message: str) -> None:
    await Reply(send, takes_stream=False).answer(jsonrpc.error(None, INVALID_REQUEST, message), status)


async def _refuse_method(caller: Caller, allowed: str, scope: Scope, receive: Receive, send: Send) -> None:
    refusal = MethodNotAllowed(f"This endpoint takes {allowed} only")
    response = problem_response(refusal, request_id=caller.request_id, headers={"allow": allowed})
    await response(scope, receive, send)


async def _read(length: bytes, receive: Receive) -> bytes:
    """The whole body. Raises `TooLarge`, as early as it can be told, and `HungUp`."""
    too_large = f"Request body exceeds max size ({MAX_BODY_BYTES} bytes)"
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise TooLarge(too_large)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return message.get("body", b"")
    chunks: list[bytes] = []
    size = 0
    while message["type"] == "http.request":
        chunk: bytes = message.get("body", b"")
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TooLarge(too_large)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()
    raise HungUp


# The same few values come again and again.


@lru_cache(maxsize=256)
def accepted(accept: bytes) -> tuple[bool, bool]:
    """Whether a client takes JSON, and an event stream."""
    types: set[bytes] = set()
    for entry in accept.lower().split(b","):
        media_type, *parameters = (part.strip() for part in entry.split(b";"))
        if not any(part.replace(b" ", b"") in (b"q=0", b"q=0.0") for part in parameters):
            types.add(media_type)
    anything = b"*/*" in types
    return (
        anything or b"application/json" in types or b"application/*" in types,
        anything or b"text/event-stream" in types or b"text/*" in types,
    )


@lru_cache(maxsize=64)
def is_json(content_type: bytes) -> bool:
    return content_type.split(b";")[0].strip().lower() == b"application/json"


@lru_cache(maxsize=256)
def wants_session(query: bytes) -> bool:
    """Whether the key `stateful` is there, with any value or none."""
    if len(query) > 4096:
        return False
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return any(name == "stateful" for name, _ in pairs)
