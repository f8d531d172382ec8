"""`subscriptions/listen` (2026-07-28): a request whose answer is a stream of changes.

Of the four kinds of changes only one happens here: lists stay, but transcripts grow.
"""

from typing import cast

from starlette.types import Receive, Scope

from chamade_mcp.core.credentials import credential_of
from chamade_mcp.model.access import Principal
from chamade_mcp.model.events import Cursor, Envelope
from chamade_mcp.sessions import jsonrpc
from chamade_mcp.sessions.jsonrpc import Request, RequestId
from chamade_mcp.sessions.methods import MOST_URI_CHARACTERS, MOST_URIS
from chamade_mcp.sessions.protocol import INVALID_PARAMS, META_SUBSCRIPTION
from chamade_mcp.sessions.sse import Reply, frame
from chamade_mcp.sessions.streams import Streams
from chamade_mcp.sessions.surface import JsonObject, ProtocolFault, Surface


class _Changes:
    """A `Feed` of resource updates from now on; nothing is replayed, clients read anew."""

    def __init__(
        self, surface: Surface, uris: frozenset[str], subscription: RequestId, cursor: Cursor
    ) -> None:
        self.cursor = cursor
        self._surface = surface
        self._uris = uris
        self._meta: JsonObject = {META_SUBSCRIPTION: subscription}

    def render(self, envelope: Envelope) -> bytes:
        uri = self._surface.changed_resource(envelope.event)
        if uri is None or uri not in self._uris:
            return b""
        params: JsonObject = {"uri": uri, "_meta": self._meta}
        return frame(jsonrpc.notification("notifications/resources/updated", params))

    def moved(self, cursor: Cursor) -> None:
        self.cursor = cursor

    def take_waiting(self) -> bytes:
        return b""


class Listening:
    def __init__(self, surface: Surface, streams: Streams) -> None:
        self._surface = surface
        self._streams = streams

    async def serve(
        self, principal: Principal, message: Request, reply: Reply, scope: Scope, receive: Receive
    ) -> JsonObject:
        """Streams until the client leaves or the gateway closes; gives the `_meta` of the last word."""
        uris = _wanted(message.params)
        meta: JsonObject = {META_SUBSCRIPTION: message.id}
        honoured: JsonObject = {"resourceSubscriptions": sorted(uris)} if uris else {}
        acknowledged = jsonrpc.notification(
            "notifications/subscriptions/acknowledged", {"notifications": honoured, "_meta": meta}
        )
        stream = self._streams.new("", principal.scope, credential_of(principal), reply)
        head = await self._streams.head(principal.scope)
        changes = _Changes(self._surface, uris, message.id, head)
        await self._streams.serve(stream, changes, scope, receive, frame(acknowledged))
        return meta


def _wanted(params: JsonObject) -> frozenset[str]:
    filters = params.get("notifications")
    if not isinstance(filters, dict):
        raise ProtocolFault(INVALID_PARAMS, "Invalid params: notifications must be an object")
    wanted = cast(JsonObject, filters).get("resourceSubscriptions")
    if wanted is None:
        return frozenset()
    uris = cast(list[object], wanted) if isinstance(wanted, list) else [None]
    if len(uris) > MOST_URIS:
        raise ProtocolFault(INVALID_PARAMS, f"Invalid params: at most {MOST_URIS} resourceSubscriptions")
    for uri in uris:
        if not isinstance(uri, str) or len(uri) > MOST_URI_CHARACTERS:
            raise ProtocolFault(
                INVALID_PARAMS,
                f"Invalid params: resourceSubscriptions must be strings of at most {MOST_URI_CHARACTERS}",
            )
    return frozenset(cast(list[str], uris))
