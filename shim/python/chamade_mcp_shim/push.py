"""The stream of what the gateway says by itself, opened again after every outage while there is a session."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from chamade_mcp_shim import policy, sse
from chamade_mcp_shim.failures import Failed
from chamade_mcp_shim.gateway import Forward, Gateway, Session, SessionGone, message_in
from chamade_mcp_shim.notices import Notices

_MISSED_S: Final = 30.0
"""A server that pings and is silent for so long is gone; ours pings every 10 s."""
_SILENT_S: Final = 300.0
_FINAL: Final = (400, 401, 403, 405)

Renew = Callable[[str], Awaitable[None]]
"""Puts a new session in the place of the one with this id. Raises `Failed`."""


class Push:
    """`run` it in a task. `stir` tells that the gateway has just accepted something."""

    def __init__(self, gateway: Gateway, forward: Forward, renew: Renew, notices: Notices) -> None:
        self._gateway = gateway
        self._forward = forward
        self._renew = renew
        self._notices = notices
        self._stirred = asyncio.Event()
        self._last_id: str | None = None
        self._of: Session | None = None
        self._retry_s: float | None = None
        self._opened = False

    def stir(self) -> None:
        self._stirred.set()

    async def run(self) -> None:
        attempt = 0
        while (session := self._gateway.session) is not None:
            if session != self._of:
                # Ids belong to one session; another one knows nothing of them.
                self._of, self._last_id, self._retry_s = session, None, None
            self._opened = False
            self._stirred.clear()
            try:
                await self._listen(session)
                wait = True
            except Failed as failed:
                wait = await self._not_now(session, failed)
            attempt = 1 if self._opened else attempt + 1
            if wait:
                await asyncio.sleep(policy.pause_of_push(attempt, self._retry_s))

    async def _listen(self, session: Session) -> None:
        try:
            await self._read(session)
        except SessionGone as gone:
            await self._renew(gone.id)

    async def _read(self, session: Session) -> None:
        events = sse.Parser()
        async with self._gateway.listen(session, self._last_id) as stream:
            self._opened, self._retry_s = True, None
            self._notices.well()
            while piece := await stream.piece(_MISSED_S if events.pings else _SILENT_S):
                for event in events.feed(piece):
                    line = message_in(event)
                    if line is not None:
                        await self._forward(line)
                    self._last_id = event.id or self._last_id
                self._retry_s = events.retry_s

    async def _not_now(self, session: Session, failed: Failed) -> bool:
        """Is a pause due? What time does not heal waits until the gateway accepts something else."""
        if failed.status == 405:
            # There is no such stream for this session.
            while self._gateway.session == session:
                await self._stirred.wait()
                self._stirred.clear()
            return False
        if not self._opened:
            self._notices.trouble(failed)
        if failed.retry_after is not None:
            self._retry_s = failed.retry_after
        if failed.status in _FINAL:
            await self._stirred.wait()
        return True
