"""A client's requests for permission, taken to the operator by way of the REST API."""

import logging

from chamade_mcp.model.access import Caller
from chamade_mcp.model.permissions import PermissionRequest
from chamade_mcp.tools.client import CoreClient, CoreError

log = logging.getLogger(__name__)


class CoreDesk:
    """A `PermissionDesk`."""

    def __init__(self, client: CoreClient) -> None:
        self._client = client

    async def requested(self, caller: Caller, session: str, request: PermissionRequest) -> None:
        try:
            await self._client.ask_operator(
                caller,
                {
                    "session": session,
                    "request_id": request.id,
                    "tool_name": request.tool_name,
                    "description": request.description,
                    "input_preview": request.input_preview,
                },
            )
        except CoreError as error:
            # The notification has no answer that could tell; the client's own dialog stays.
            log.warning("a request for permission was not relayed: %s", error)
