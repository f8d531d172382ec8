"""A call's WebSocket that comes back by itself when it breaks."""

import asyncio

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from chamade_mcp.client.dial import Patience, dial
from chamade_mcp.client.errors import CallOver, Refused, Unreachable
from chamade_mcp.client.events import AudioConfig
from chamade_mcp.client.http import Http
from chamade_mcp.client.talk import Talk
from chamade_mcp.model.errors import Outcome


class Line:
    """One task keeps the socket open, and hands what arrives to `talk`."""

    def __init__(self, http: Http, path: str, talk: Talk) -> None:
        self._http = http
        self._path = path
        self._talk = talk
        self._socket: ClientConnection | None = None
        self._let_in = asyncio.Event()
        self._over: Exception | None = None
        self._changed = asyncio.Event()
        """`_socket` or `_over` has changed."""
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Until the gateway has let us in, or has told how the call ended. Raises `Refused`,
        `Unreachable`."""
        self._task = asyncio.create_task(self._keep())
        waiting = asyncio.create_task(self._let_in.wait())
        try:
            await asyncio.wait({self._task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            waiting.cancel()
        if self._over is not None and not isinstance(self._over, CallOver):
            raise self._over

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def send(self, message: str | bytes) -> None:
        """As soon as the socket is open. Raises `CallOver` when it will not be any more, what `open` raises
        when it cannot be, and `Unreachable` when it breaks meanwhile."""
        while self._socket is None:
            if self._over is not None:
                raise self._over
            self._changed.clear()
            await self._changed.wait()
        try:
            await self._socket.send(message)
        except ConnectionClosed as closed:
            raise Unreachable("The connection to the gateway broke", outcome=Outcome.UNKNOWN) from closed

    async def _keep(self) -> None:
        over: Exception = CallOver("The call is over, or its socket was closed")
        patience = Patience(self._http)
        try:
            while not await self._lives(patience):
                pass
        except Exception as error:
            over = error
        finally:
            self._socket, self._over = None, over
            self._changed.set()
            self._talk.end(over)

    async def _lives(self, patience: Patience) -> bool:
        """One connection. Whether the call has come to its end in it."""
        try:
            async with dial(self._http, self._path, self._talk.last_seq) as socket:
                await self._converse(socket, patience)
        except (Refused, Unreachable) as error:
            lost = error
        else:
            return True
        if self._socket is not None:
            self._socket = None
            self._talk.broke(lost)
        await patience.wait(lost)
        return False

    async def _converse(self, socket: ClientConnection, patience: Patience) -> None:
        """Returns never: a connection ends by an error."""
        declared = self._talk.ask(AudioConfig)
        declared.add_done_callback(self._declared)
        await socket.send(self._talk.settings())
        self._socket = socket
        self._changed.set()
        first = await socket.recv()
        if self._let_in.is_set():
            self._talk.came_back()
        self._talk.take(first)
        patience.restore()
        while True:
            self._talk.take(await socket.recv())

    def _declared(self, answer: "asyncio.Future[AudioConfig]") -> None:
        if not isinstance(answer.exception(), Unreachable):  # a call without sound has settings, too: none
            self._let_in.set()
