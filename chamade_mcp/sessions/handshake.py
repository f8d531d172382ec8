"""The era of `initialize`: revisions 2024-11-05 to 2025-11-25."""

from collections.abc import Mapping, MutableSet
from typing import Protocol, cast

from chamade_mcp.sessions import jsonrpc
from chamade_mcp.sessions.jsonrpc import Request
from chamade_mcp.sessions.methods import Methods, followed_uri, refuse_cursor, required_uri
from chamade_mcp.sessions.protocol import (
    EXPERIMENTAL,
    HANDSHAKE_VERSIONS,
    INVALID_PARAMS,
    LATEST_HANDSHAKE,
    LOG_LEVELS,
    METHOD_NOT_FOUND,
)
from chamade_mcp.sessions.surface import JsonObject, ProtocolFault
from chamade_mcp.sessions.turn import Turn

_EMPTY = b"{}"
WISHES = frozenset({"logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
"""Methods that change what a session remembers."""


class Wishes(Protocol):
    """What a session remembers for its client."""

    log_level: str

    @property
    def subscriptions(self) -> MutableSet[str]: ...


def negotiated(params: JsonObject) -> str:
    """The revision to speak. Raises `ProtocolFault` for params that are no initialize's."""
    wanted = params.get("protocolVersion")
    if not isinstance(wanted, str):
        raise ProtocolFault(INVALID_PARAMS, "Invalid params: protocolVersion must be a string")
    for field in ("capabilities", "clientInfo"):
        if not isinstance(params.get(field), dict):
            raise ProtocolFault(INVALID_PARAMS, f"Invalid params: {field} must be an object")
    return wanted if wanted in HANDSHAKE_VERSIONS else LATEST_HANDSHAKE


class Handshake:
    """Answers requests; results are JSON. `wishes` is None without a session."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self._lists = {name: jsonrpc.encode(found) for name, found in methods.lists.items()}
        self._initialized: Mapping[tuple[str, bool], bytes] = {
            (version, session): jsonrpc.encode(_initialize(methods, version, session))
            for version in HANDSHAKE_VERSIONS
            for session in (False, True)
        }

    def initialize(self, version: str, *, session: bool) -> bytes:
        return self._initialized[version, session]

    async def result(self, request: Request, turn: Turn, wishes: Wishes | None) -> bytes:
        """Raises `ProtocolFault`."""
        method, params = request.method, request.params
        compute = self._methods.answers.get(method)
        if compute is not None:
            return jsonrpc.encode(await compute(params, turn))
        found = self._lists.get(method)
        if found is not None:
            refuse_cursor(params)
            return found
        if method == "ping":
            return _EMPTY
        if method == "initialize":
            return self.initialize(negotiated(params), session=wishes is not None)
        if wishes is not None and self._wish(method, params, wishes):
            return _EMPTY
        raise ProtocolFault(METHOD_NOT_FOUND, "Method not found", method)

    def _wish(self, method: str, params: JsonObject, wishes: Wishes) -> bool:
        if method == "logging/setLevel" and self._methods.surface.logs:
            level = params.get("level")
            if level not in LOG_LEVELS:
                raise ProtocolFault(
                    INVALID_PARAMS, f"Invalid params: level must be one of {', '.join(LOG_LEVELS)}"
                )
            wishes.log_level = cast(str, level)
        elif method == "resources/subscribe":
            wishes.subscriptions.add(followed_uri(params, wishes.subscriptions))
        elif method == "resources/unsubscribe":
            wishes.subscriptions.discard(required_uri(params))
        else:
            return False
        return True


def _initialize(methods: Methods, version: str, session: bool) -> JsonObject:
    surface = methods.surface
    capabilities: JsonObject = {
        "tools": {"listChanged": False},
        "resources": {"subscribe": session, "listChanged": False},
        "prompts": {"listChanged": False},
        "completions": {},
    }
    if session:
        capabilities["experimental"] = {name: dict[str, object]() for name in EXPERIMENTAL}
        if surface.logs:
            capabilities["logging"] = {}
    return {
        "protocolVersion": version,
        "capabilities": capabilities,
        "serverInfo": {"name": surface.name, "title": surface.title, "version": surface.version},
        "instructions": surface.instructions,
    }
