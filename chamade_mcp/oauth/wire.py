"""What the OAuth endpoints read and say: forms in, JSON out, errors in the shape of RFC 6749 section 5.2."""

import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import cast
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from chamade_mcp.kit.compact import compact
from chamade_mcp.model.errors import Unavailable

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024
_MAX_FIELDS = 40
_FORM = "application/x-www-form-urlencoded"

CORS: Mapping[str, str] = {"access-control-allow-origin": "*"}
"""Pages of any origin may ask: nothing here looks at cookies."""
PREFLIGHT: Mapping[str, str] = {
    **CORS,
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, mcp-protocol-version",
    "access-control-max-age": "86400",
}
NO_STORE: Mapping[str, str] = {**CORS, "cache-control": "no-store", "pragma": "no-cache"}

ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""For routes that tell themselves what they do not take."""

Endpoint = Callable[[Request], Awaitable[Response]]


class OAuthError(Exception):
    """`code` is one of an RFC; `description` is for developers, ASCII without quotes or backslashes."""

    def __init__(
        self, code: str, description: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.status = status
        self.headers = headers or {}

    def to_response(self) -> Response:
        body = {"error": self.code, "error_description": self.description}
        return answer(body, status=self.status, headers=self.headers)


def answer(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        compact(body), status, headers={**NO_STORE, **(headers or {})}, media_type="application/json"
    )


def guarded(endpoint: Endpoint) -> Endpoint:
    """POST for programs: preflights answered, every `OAuthError` told in its form."""

    async def run(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=PREFLIGHT)
        if request.method != "POST":
            allow = {"allow": "POST, OPTIONS"}
            return OAuthError("invalid_request", "use POST", status=405, headers=allow).to_response()
        try:
            return await endpoint(request)
        except OAuthError as error:
            return error.to_response()
        except Unavailable as error:
            # Not in the list of RFC 6749, but the only one a client reads as "try again".
            wait = {"retry-after": str(math.ceil(error.retry_after or 1))}
            return OAuthError("temporarily_unavailable", error.detail, status=503, headers=wait).to_response()
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception:
            log.exception("%s failed", request.url.path)
            return OAuthError("server_error", "something went wrong on our side", status=500).to_response()

    return run


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields; empty ones count as absent. Raises `OAuthError`, also for a field that comes twice."""
    if _media_type(request) != _FORM:
        raise OAuthError("invalid_request", f"send the parameters as {_FORM}")
    return single((await _read(request)).decode("latin-1"))


def single(encoded: str, *, repeatable: frozenset[str] = frozenset()) -> dict[str, str]:
    """Parameters by name (RFC 6749 section 3.1: at most once each). Of a `repeatable` one the last counts."""
    try:
        pairs = parse_qsl(
            encoded, keep_blank_values=True, max_num_fields=_MAX_FIELDS, encoding="utf-8", errors="strict"
        )
    except ValueError:
        raise OAuthError("invalid_request", "the parameters are malformed") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found and name not in repeatable:
            raise OAuthError("invalid_request", "a parameter is there twice")
        if "\x00" in value:
            raise OAuthError("invalid_request", "a parameter has a NUL character")
        found[name] = value
    return {name: value for name, value in found.items() if value}


async def read_json(request: Request) -> Mapping[str, object]:
    """A JSON object. Raises `OAuthError`."""
    if _media_type(request) != "application/json":
        raise OAuthError("invalid_client_metadata", "send the metadata as application/json")
    document = parse_object(await _read(request))
    if document is None:
        raise OAuthError("invalid_client_metadata", "the body is no JSON object")
    return document


def parse_object(raw: bytes) -> Mapping[str, object] | None:
    """A JSON object in UTF-8, or None: also for one that nests too deep to be meant."""
    try:
        parsed: object = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return cast(Mapping[str, object], parsed) if isinstance(parsed, dict) else None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise OAuthError("invalid_request", f"the body exceeds {MAX_BODY_BYTES} bytes", status=413)
    return bytes(body)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
