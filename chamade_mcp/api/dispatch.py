"""From an ASGI request to an operation and back. One pass, no middleware stack, no request object."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from chamade_mcp.api.access import Gate
from chamade_mcp.api.body import JSON_CAP_BYTES, read_body, require_json
from chamade_mcp.api.errors import NotThisMethod
from chamade_mcp.api.operation import AnyOperation, Asked, Json, Reply
from chamade_mcp.api.routing import Router
from chamade_mcp.api.validation import parse_body, parse_query
from chamade_mcp.core.keys import require
from chamade_mcp.kit.compact import compact
from chamade_mcp.kit.connection import HookReply
from chamade_mcp.model.access import Principal
from chamade_mcp.model.errors import FieldError, NotFound, ValidationFailed

_TYPE = (b"content-type", b"application/json")
_PRIVATE = (b"cache-control", b"no-store")


class Looks(Protocol):
    async def require_all(self, principal: Principal) -> None:
        """Raises `Forbidden` for who does not look after every agent of the account."""
        ...


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Pure ASGI; raises `GatewayError` and leaves the wording to `Problems`."""

    router: Router
    gate: Gate
    agents: Looks
    large_body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        found = self.router.find(scope["path"])
        if found is None:
            raise NotFound("There is nothing at this path")
        place, ids = found
        operation = place.methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise NotThisMethod(place.allow)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        caller = None
        if not operation.public:
            caller = await self.gate.admit(headers, method)
            if operation.permission is not None:
                require(caller, operation.permission)
            if operation.every_agent:
                await self.agents.require_all(caller)
        query = None
        if operation.query is not None:
            query = parse_query(operation.query, scope["query_string"])
        body = None
        if operation.body is not None:
            body = await self._body(operation, operation.body, receive, headers)
        answer = await operation.handler(Asked(ids, body, query, scope, receive, headers, caller))
        if isinstance(answer, Response):
            await answer(scope, receive, _bodiless(send) if method == "HEAD" else send)
        elif isinstance(answer, Reply):
            await _send_json(send, answer.status, answer.body, head=method == "HEAD")
        elif isinstance(answer, HookReply):
            await _send_raw(send, answer, head=method == "HEAD")
        else:
            await _send_json(send, operation.status, answer, head=method == "HEAD")

    async def _body(
        self,
        operation: AnyOperation,
        model: type[BaseModel],
        receive: Receive,
        headers: Mapping[bytes, bytes],
    ) -> BaseModel:
        cap = self.large_body_bytes if operation.large_body else JSON_CAP_BYTES
        raw = await read_body(receive, headers, cap)
        if not raw:
            if operation.body_optional:
                return model()
            required = [n for n, f in model.model_fields.items() if f.is_required()]
            words = "a JSON object is required" + (f" with {', '.join(required)}" if required else "")
            raise ValidationFailed([FieldError("body", words)])
        require_json(headers)
        return parse_body(model, raw)


async def _send_json(send: Send, status: int, body: Json, *, head: bool) -> None:
    raw = compact(body)
    length = (b"content-length", b"%d" % len(raw))
    await send({"type": "http.response.start", "status": status, "headers": [_TYPE, length, _PRIVATE]})
    await send({"type": "http.response.body", "body": b"" if head else raw})


async def _send_raw(send: Send, answer: HookReply, *, head: bool) -> None:
    headers = [
        (b"content-type", answer.media_type.encode("latin-1")),
        (b"content-length", b"%d" % len(answer.body)),
    ]
    for name, value in answer.headers.items():
        headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


def _bodiless(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {
                "type": "http.response.body",
                "body": b"",
                "more_body": message.get("more_body", False),
            }
        await send(message)

    return send_head
