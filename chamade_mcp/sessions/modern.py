"""The era from 2026-07-28 on: every request stands alone and says in `_meta` who sends it."""

from collections.abc import Mapping
from typing import Final, cast

from chamade_mcp.sessions import jsonrpc, param_headers
from chamade_mcp.sessions.jsonrpc import Request
from chamade_mcp.sessions.methods import Methods, refuse_cursor
from chamade_mcp.sessions.param_headers import RawHeaders
from chamade_mcp.sessions.protocol import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    LOG_LEVELS,
    META_CAPABILITIES,
    META_LOG_LEVEL,
    META_SERVER,
    META_VERSION,
    METHOD_NOT_FOUND,
    MODERN_VERSIONS,
    UNSUPPORTED_VERSION,
)
from chamade_mcp.sessions.surface import JsonObject, ProtocolFault
from chamade_mcp.sessions.turn import Turn

LISTEN: Final = "subscriptions/listen"
_LISTS_STAY: Final[JsonObject] = {"ttlMs": 300_000, "cacheScope": "public"}
_CHANGES: Final[JsonObject] = {"ttlMs": 0, "cacheScope": "private"}
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which of the params stands in `Mcp-Name`."""
_ROUTING: Final = (b"mcp-protocol-version", b"mcp-method", b"mcp-name")


def unsupported(requested: str, supported: tuple[str, ...] = MODERN_VERSIONS) -> ProtocolFault:
    """Tells a client which revisions it may fall back to."""
    data = {"supported": list(supported), "requested": requested}
    return ProtocolFault(UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def claims_modern(params: JsonObject) -> bool:
    """Whether a request without the version header belongs to this era all the same."""
    meta = params.get("_meta")
    return isinstance(meta, dict) and META_VERSION in meta


class Modern:
    """Checks and answers requests; results are JSON, errors are `ProtocolFault`."""

    def __init__(self, methods: Methods) -> None:
        surface = methods.surface
        self._methods = methods
        self._stamp: JsonObject = {
            META_SERVER: {"name": surface.name, "title": surface.title, "version": surface.version}
        }
        self._prepared = {
            name: jsonrpc.encode(self._complete({**found, **_LISTS_STAY}))
            for name, found in methods.lists.items()
        }
        self._prepared["server/discover"] = jsonrpc.encode(self._discover())
        declarations = {
            str(tool["name"]): param_headers.declared(cast(JsonObject, tool["inputSchema"]))
            for tool in surface.tools
        }
        self._declared = {name: found for name, found in declarations.items() if found}

    def _discover(self) -> JsonObject:
        return self._complete(
            {
                "supportedVersions": list(MODERN_VERSIONS),
                "capabilities": {
                    "tools": {"listChanged": False},
                    "resources": {"subscribe": True, "listChanged": False},
                    "prompts": {"listChanged": False},
                    "completions": {},
                },
                "instructions": self._methods.surface.instructions,
                **_LISTS_STAY,
            }
        )

    def _complete(self, result: JsonObject) -> JsonObject:
        meta = result.get("_meta")
        stamp = {**self._stamp, **cast(JsonObject, meta)} if isinstance(meta, dict) else self._stamp
        return {"resultType": "complete", **result, "_meta": stamp}

    def envelope(self, request: Request, headers: RawHeaders) -> JsonObject:
        """The request's `_meta`, once body and headers are known to agree.

        The order of the checks decides which error a client sees that makes several mistakes.
        """
        fields = dict(headers)
        if len(fields) != len(headers):
            _refuse_duplicates(headers)
        meta = _meta(request.params)
        version = meta[META_VERSION]
        header = fields.get(b"mcp-protocol-version")
        if header is None or header.decode("latin-1") != version:
            raise ProtocolFault(
                HEADER_MISMATCH, "The MCP-Protocol-Version header is not the version in params._meta"
            )
        if fields.get(b"mcp-method", b"").decode("latin-1") != request.method:
            raise ProtocolFault(HEADER_MISMATCH, "The Mcp-Method header is not the body's method")
        named = _NAMED.get(request.method)
        if named is not None:
            value = request.params.get(named)
            if value is not None and param_headers.decoded(fields.get(b"mcp-name")) != value:
                raise ProtocolFault(HEADER_MISMATCH, f"The Mcp-Name header is not the body's params.{named}")
        if version not in MODERN_VERSIONS:
            raise unsupported(cast(str, version))
        if self._declared and request.method == "tools/call":
            self._check_params(request.params, headers)
        return meta

    def _check_params(self, params: JsonObject, headers: RawHeaders) -> None:
        expected = self._declared.get(str(params.get("name")))
        arguments = params.get("arguments")
        if expected is not None and (arguments is None or isinstance(arguments, dict)):
            param_headers.check(expected, cast(JsonObject, arguments or {}), headers)

    async def result(self, request: Request, turn: Turn) -> bytes:
        method, params = request.method, request.params
        compute = self._methods.answers.get(method)
        if compute is not None:
            _check_input(params)
            found = await compute(params, turn)
            if method == "resources/read":
                found = {**_CHANGES, **found}
            return jsonrpc.encode(self._complete(found))
        prepared = self._prepared.get(method)
        if prepared is None:
            raise ProtocolFault(METHOD_NOT_FOUND, "Method not found", method)
        refuse_cursor(params)
        return prepared

    def empty(self, meta: JsonObject) -> bytes:
        """A result that says no more than that it is over."""
        return jsonrpc.encode(self._complete({"_meta": meta}))


def log_level(meta: JsonObject) -> str | None:
    """Log messages go only to requests that ask for them."""
    level = meta.get(META_LOG_LEVEL)
    if level is not None and level not in LOG_LEVELS:
        raise ProtocolFault(INVALID_PARAMS, f"Invalid params: {META_LOG_LEVEL} is no log level")
    return cast("str | None", level)


def client_capabilities(meta: JsonObject) -> Mapping[str, object]:
    return cast(JsonObject, meta[META_CAPABILITIES])


def _meta(params: JsonObject) -> JsonObject:
    meta = params.get("_meta")
    if not isinstance(meta, dict):
        raise ProtocolFault(
            INVALID_PARAMS,
            f"Invalid params: params._meta must be an object with {META_VERSION} and {META_CAPABILITIES}",
        )
    found = cast(JsonObject, meta)
    for key, kind, name in ((META_VERSION, str, "a string"), (META_CAPABILITIES, dict, "an object")):
        if key not in found:
            raise ProtocolFault(INVALID_PARAMS, f"Invalid params: params._meta lacks {key}")
        if not isinstance(found[key], kind):
            raise ProtocolFault(INVALID_PARAMS, f"Invalid params: {key} in params._meta must be {name}")
    return found


def _check_input(params: JsonObject) -> None:
    """What a client brings back for a result of kind ``input_required``."""
    if "inputResponses" in params:
        given = params["inputResponses"]
        if not isinstance(given, dict):
            raise ProtocolFault(INVALID_PARAMS, "Invalid params: inputResponses must be an object")
        for key, response in cast(JsonObject, given).items():
            if not isinstance(response, dict):
                raise ProtocolFault(INVALID_PARAMS, f"Invalid params: inputResponses.{key} must be an object")
    if not isinstance(params.get("requestState", ""), str):
        raise ProtocolFault(INVALID_PARAMS, "Invalid params: requestState must be a string")


def _refuse_duplicates(headers: RawHeaders) -> None:
    """Whoever reads the first and whoever reads the last would disagree."""
    names = [name for name, _ in headers]
    for name in _ROUTING:
        if names.count(name) > 1:
            raise ProtocolFault(HEADER_MISMATCH, f"The {name.decode()} header appears more than once")
