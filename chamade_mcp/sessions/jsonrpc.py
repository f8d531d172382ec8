"""JSON-RPC 2.0 as MCP uses it: bytes in, one message out; answers as bytes. No I/O."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from pydantic_core import to_json

from chamade_mcp.sessions.protocol import INVALID_REQUEST, PARSE_ERROR
from chamade_mcp.sessions.surface import JsonObject

RequestId = int | str

MAX_DEPTH = 64
"""Nested objects and arrays; deeper ones cost whoever walks through them."""


class Malformed(Exception):
    """The body is no message. `id` is the request's where it can be told."""

    def __init__(self, code: int, message: str, request_id: RequestId | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.id = request_id


@dataclass(slots=True)
class Request:
    id: RequestId
    method: str
    params: JsonObject


@dataclass(slots=True)
class Notification:
    method: str
    params: JsonObject


@dataclass(slots=True)
class Response:
    """What a client answers to a request of ours; exactly one of the two is there."""

    id: RequestId
    result: JsonObject | None
    error: JsonObject | None


Message = Request | Notification | Response


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode
_ascii = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def parse(body: bytes) -> Message:
    """Raises `Malformed`. Batches are refused: no revision since 2025-06-18 has them."""
    try:
        found: Any = _decode(body.decode())
    except (ValueError, RecursionError):
        raise Malformed(PARSE_ERROR, "Parse error: the body is not JSON") from None
    if not isinstance(found, dict):
        what = "a batch is not supported" if isinstance(found, list) else "the body must be an object"
        raise Malformed(INVALID_REQUEST, f"Invalid request: {what}")
    brackets = body.count(b"{") + body.count(b"[")
    if brackets > MAX_DEPTH and _deeper_than(cast(object, found), MAX_DEPTH):
        raise Malformed(INVALID_REQUEST, f"Invalid request: nested deeper than {MAX_DEPTH}")
    return _message(cast(JsonObject, found))


def _message(found: JsonObject) -> Message:
    request_id = found.get("id")
    known = request_id if type(request_id) in (int, str) else None
    if found.get("jsonrpc") != "2.0":
        raise Malformed(INVALID_REQUEST, 'Invalid request: jsonrpc must be "2.0"', cast(RequestId, known))
    if "id" in found and known is None:
        raise Malformed(INVALID_REQUEST, "Invalid request: id must be a string or a whole number")
    if "method" not in found:
        return _response(found, cast("RequestId | None", known))
    method, params = found["method"], found.get("params")
    if type(method) is not str:
        raise Malformed(INVALID_REQUEST, "Invalid request: method must be a string", cast(RequestId, known))
    if params is None:
        params = {}
    elif type(params) is not dict:
        raise Malformed(INVALID_REQUEST, "Invalid request: params must be an object", cast(RequestId, known))
    if known is None:
        return Notification(method, cast(JsonObject, params))
    return Request(cast(RequestId, known), method, cast(JsonObject, params))


def _response(found: JsonObject, known: RequestId | None) -> Response:
    result, error = found.get("result"), found.get("error")
    if known is None or (type(result) is dict) is (type(error) is dict):
        raise Malformed(INVALID_REQUEST, "Invalid request: it has no method, and is no response", known)
    return Response(known, cast("JsonObject | None", result), cast("JsonObject | None", error))


def _deeper_than(value: object, limit: int) -> bool:
    level: list[object] = [value]
    for _ in range(limit):
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(cast(JsonObject, each).values())
            elif isinstance(each, list):
                below.extend(cast(list[object], each))
        if not below:
            return False
        level = below
    return any(isinstance(each, dict | list) for each in level)


def encode(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    try:
        return to_json(value)
    except ValueError:
        # Half a surrogate pair, which only an escape can carry.
        return _ascii(value).encode()


def answer(request_id: RequestId, result: bytes) -> bytes:
    """The response with `result`, which is JSON already."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (_id(request_id), result)


def error(request_id: RequestId | None, code: int, message: str, data: object = None) -> bytes:
    told: JsonObject = {"code": code, "message": message}
    if data is not None:
        told["data"] = data
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (_id(request_id), encode(told))


def notification(method: str, params: JsonObject) -> bytes:
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def request(request_id: RequestId, method: str, params: JsonObject) -> bytes:
    return encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def _id(request_id: RequestId | None) -> bytes:
    if request_id is None:
        return b"null"
    return b"%d" % request_id if isinstance(request_id, int) else encode(request_id)
