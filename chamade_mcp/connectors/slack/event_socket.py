"""Socket Mode: events over a connection that the gateway opens, for machines without an address.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from chamade_mcp.connectors.slack.client import TITLE, WebApi
from chamade_mcp.connectors.slack.wire import Envelope, SocketEnvelope, Unreadable, read_frame, read_payload
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.http import certificates
from chamade_mcp.model.errors import GatewayError

log = logging.getLogger(__name__)

_MOST_BYTES: Final = 4 * 1024 * 1024
_OPEN_S: Final = 10.0
_PING_S: Final = 20.0
"""A connection that leaves a ping unanswered for so long is dead."""


class EventSocket:
    """`hear` gets each event, and returns once it is committed: only then is Slack told so."""

    def __init__(self, api: WebApi, hear: Callable[[Envelope], Awaitable[None]]) -> None:
        self._api = api
        self._hear = hear

    async def listen(self) -> None:
        """Until it breaks, with `PlatformUnavailable`; or with `AuthNeeded` where it is turned off.

        Slack ends each connection after some hours, and says so before: the next one is open by then. What
        came in over the old one and was not acknowledged, Slack sends again over the new one.
        """
        current = await self._open()
        async with AsyncExitStack() as stack:
            while True:
                stack.push_async_callback(current.close)
                await self._read(current)
                following = await self._open()
                await stack.aclose()
                current = following

    async def _open(self) -> ClientConnection:
        url = await self._api.socket_url()
        try:
            return await connect(
                url,
                ssl=certificates() if url.startswith("wss:") else None,
                compression=None,  # its buffers would be most of what an idle connection holds
                max_size=_MOST_BYTES,
                open_timeout=_OPEN_S,
                ping_interval=_PING_S,
                ping_timeout=_PING_S,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage) as error:
            raise PlatformUnavailable(f"{TITLE} cannot be reached ({type(error).__name__})") from None

    async def _read(self, socket: ClientConnection) -> None:
        """Until Slack wants another connection."""
        try:
            async for raw in socket:
                try:
                    frame = read_frame(raw)
                except Unreadable:
                    log.warning("a frame of Slack's could not be read and is left out")
                    continue
                if frame.type == "disconnect":
                    if frame.reason == "link_disabled":
                        raise AuthNeeded("Socket Mode is turned off for this app")
                    return
                await self._frame(socket, frame)
        except ConnectionClosed:
            pass
        raise PlatformUnavailable(f"{TITLE} closed the connection")

    async def _frame(self, socket: ClientConnection, frame: SocketEnvelope) -> None:
        if frame.envelope_id is None:
            return
        if frame.type == "events_api":
            try:
                await self._hear(read_payload(frame.payload))
            except Unreadable:
                log.warning("an event of Slack's could not be read and is left out")
            except GatewayError as error:
                # Slack brings it again, since it is told nothing.
                log.warning("an event waits for the gateway: %s", error.code)
                return
        await socket.send(json.dumps({"envelope_id": frame.envelope_id}))
