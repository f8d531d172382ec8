"""uvicorn's HTTP protocol with the deadlines it lacks: slow and silent clients are let go.

uvicorn itself waits for ever for a request's head and body. Here a head must be complete `head_timeout_s`
after the connection or the request began; a body has `body_timeout_s` of grace, and a second more for
every `body_bytes_per_s` that came. While the application does not read, the clock stands still.
"""

import asyncio
import json
from typing import Any, ClassVar, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

_PROBLEM: Final = json.dumps(
    {
        "type": "about:blank",
        "title": "Request timeout",
        "status": 408,
        "detail": "The request did not arrive in time",
        "code": "REQUEST_TIMEOUT",
        "action": "retry",
        "outcome": "not_done",
    }
).encode()
_TIMED_OUT: Final = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_PROBLEM), _PROBLEM)
)


class GuardedProtocol(HttpToolsProtocol):
    """At most one timer per connection, armed only while a request is incomplete: one that arrives in a
    single piece, as nearly all do, never touches the event loop's timers."""

    head_timeout_s: ClassVar[float] = 10.0
    body_timeout_s: ClassVar[float] = 20.0
    body_bytes_per_s: ClassVar[float] = 1000.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._due: float | None = None
        """Loop time by which what is awaited must be here; None while nothing is."""
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = False
        self._in_body = False
        self._upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._due = self.loop.time() + self.head_timeout_s
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._upgraded:
            return
        if self._due is None and self.timeout_keep_alive_task is None and self._idle():
            # Bytes that begin no request (blank lines) have just stopped uvicorn's keep-alive timer.
            self._due = self.loop.time() + self.head_timeout_s
        if self._due is not None:
            self._arm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._due = self.loop.time() + self.head_timeout_s

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        self._due = self.loop.time() + self.body_timeout_s
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._due is not None:
            self._due += len(body) / self.body_bytes_per_s
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._due = None
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._disarm()
        super().handle_websocket_upgrade()

    def _open_cycle(self) -> RequestResponseCycle | None:
        """The request that is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None until the first request
        return None if cycle is None or cycle.response_complete else cycle

    def _idle(self) -> bool:
        return not self._in_head and not self._in_body and self._open_cycle() is None

    def _arm(self) -> None:
        if self._timer is None and self._due is not None and not self.transport.is_closing():
            self._timer = self.loop.call_at(self._due, self._on_timer)

    def _disarm(self) -> None:
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self.flow.read_paused:
            # The application is behind, not the client.
            self._due = self.loop.time() + self.body_timeout_s
        if self._due > self.loop.time():
            self._arm()
            return
        self._give_up()

    def _give_up(self) -> None:
        """Tells a client that had begun to speak, and the application that waits for the rest."""
        cycle = self._open_cycle()
        unanswered = cycle is None if self._in_head else cycle is not None and not cycle.response_started
        if (self._in_head or self._in_body) and unanswered:
            self.transport.write(_TIMED_OUT)
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self._disarm()
        self.transport.close()
