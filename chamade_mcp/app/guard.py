"""uvicorn's HTTP protocol with the deadlines it lacks: slow and silent clients are let go.

uvicorn itself waits for ever for a request's head and body. Here a head must be complete `head_timeout_s`
after the connection or the request began; a body has `body_timeout_s` of grace, and a second more for
every `body_bytes_per_s` that came. While the application does not read, the clock stands still.

An answer may set a deadline for its reader, too, under `WRITE_DEADLINE` in the scope's state, and under
`HANG_UP` what is called when its client goes.
"""

import asyncio
import json
from collections import deque
from enum import Enum, auto
from typing import Any, ClassVar, Final, cast

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from chamade_mcp.sessions.streams import HANG_UP, WRITE_DEADLINE

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


class Phase(Enum):
    """What the connection waits for, read off uvicorn's own state: a scope begins with a request's first
    byte, and its cycle with the end of the head."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    NEXT = auto()
    """The next request, of which nothing is here yet."""


_STATE: Final[dict[str, Any]] = {HANG_UP: None}
"""What the state of each request begins with."""


class _Pipeline(list[Any]):
    """As much of a deque as uvicorn needs, without the 600 bytes of an empty one."""

    def appendleft(self, item: object) -> None:
        self.insert(0, item)


class LeanFlow(FlowControl):
    """Without an event that most connections never wait for: it would be 800 bytes of each that waits."""

    __slots__ = ("_writable",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = False
        self.write_paused = False
        self._writable: asyncio.Event | None = None

    async def drain(self) -> None:
        if self.write_paused:
            self._writable = self._writable or asyncio.Event()
            await self._writable.wait()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None


class GuardedProtocol(HttpToolsProtocol):
    """At most one timer per connection, armed only while a request is incomplete: one that arrives in a
    single piece, as nearly all do, costs a few comparisons."""

    # Beside what uvicorn keeps: thirty attributes share their names among all connections, more do not.
    __slots__ = ("_due", "_stalled", "_timer", "_upgraded", "_was_paused", "_watched")

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
        super().__init__(config, server_state, app_state or _STATE, _loop)
        self.pipeline = cast("deque[Any]", _Pipeline())
        self._due: float | None = None
        """Loop time by which what is awaited must be here; None while nothing is."""
        self._watched: tuple[Phase, object] | None = None
        """The phase, and the request's scope, that `_due` was set for."""
        self._timer: asyncio.TimerHandle | None = None
        self._upgraded = False
        self._was_paused = False
        """The application was behind when last looked at."""
        self._stalled: asyncio.TimerHandle | None = None
        """Armed while bytes wait for a reader with a deadline."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.flow = LeanFlow(transport)
        self._due = self.loop.time() + self.head_timeout_s
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._relax()
        super().connection_lost(exc)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            hang_up = cycle.scope.get("state", {}).get(HANG_UP)
            if hang_up is not None:
                hang_up()

    def pause_writing(self) -> None:
        super().pause_writing()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        deadline_s = None if cycle is None else cycle.scope.get("state", {}).get(WRITE_DEADLINE)
        if deadline_s is not None:
            # Closing would wait for the very bytes that nobody takes.
            self._stalled = self.loop.call_later(deadline_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._relax()
        super().resume_writing()

    def _relax(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._phase() is Phase.ANSWER:
            self._disarm()
        elif not self._upgraded:
            self._watch(len(data))

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self._disarm()
        super().handle_websocket_upgrade()

    def _phase(self) -> Phase:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None until the first head
        if cycle is None or cycle.scope is not self.scope:
            return Phase.NEXT if cast("HTTPScope | None", self.scope) is None else Phase.HEAD
        if cycle.response_complete:
            return Phase.NEXT
        return Phase.BODY if cycle.more_body else Phase.ANSWER

    def _watch(self, size_bytes: int) -> None:
        """Sets when the rest must be here, or grants more time for what came."""
        watched = self._phase(), self.scope
        if self._due is None or self._watched != watched:
            patience = self.body_timeout_s if watched[0] is Phase.BODY else self.head_timeout_s
            self._due = self.loop.time() + patience
        elif watched[0] is Phase.BODY:
            self._due += size_bytes / self.body_bytes_per_s
        self._watched = watched
        self._arm()

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
        if self.flow.read_paused or self._was_paused:
            # The application is behind, not the client, or has only just caught up.
            self._due = self.loop.time() + self.body_timeout_s
            self._was_paused = self.flow.read_paused
        if self._due > self.loop.time():
            self._arm()
        else:
            self._give_up()

    def _give_up(self) -> None:
        """Tells a client that had begun to speak, and the application that waits for the rest."""
        phase = self._phase()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        answering = cycle is not None and not cycle.response_complete
        if (phase is Phase.HEAD and not answering) or (
            phase is Phase.BODY and not self.cycle.response_started
        ):
            self.transport.write(_TIMED_OUT)
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self._disarm()
        self.transport.close()
