"""Every line of the client to the gateway, each at its time, none behind another that is slow."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Final

from chamade_mcp_shim import failures, messages, policy
from chamade_mcp_shim.failures import Failed
from chamade_mcp_shim.gateway import Forward, Gateway, SessionGone
from chamade_mcp_shim.http import Http
from chamade_mcp_shim.messages import Kind, Malformed, Message, member
from chamade_mcp_shim.notices import Notices
from chamade_mcp_shim.push import Push

_GRACE_S: Final = 1.0
_FAREWELL_S: Final = 0.7
"""Both together stay below the 2 s after which clients kill what they have started."""

Task = asyncio.Task[None]


@dataclass(slots=True)
class _Pending:
    """A request on its way."""

    task: Task
    modern: bool
    resting: bool = False
    """Between two attempts."""


class Bridge:
    """`accept` each line in order, then `finish`."""

    def __init__(self, http: Http, forward: Forward, notices: Notices) -> None:
        self._forward = forward
        self._notices = notices
        self._gateway = Gateway(http, forward)
        self._push = Push(self._gateway, forward, self._renew, notices)
        self._pushing: Task | None = None
        self._tasks: set[Task] = set()
        self._pending: dict[tuple[str, messages.Id | None], _Pending] = {}
        self._gate: Task | None = None
        """The handshake: what follows it waits for it."""
        self._last_notice: Task | None = None
        self._initialize: Message | None = None
        self._initialized: Message | None = None
        self._renewing = asyncio.Lock()

    def accept(self, raw: bytes) -> None:
        """Take one line; the answer comes when it comes."""
        try:
            message = messages.read(raw)
        except Malformed as fault:
            self._start(self._forward(failures.error_line(fault.id, fault.code, str(fault))))
            return
        if message.kind is Kind.REQUEST:
            self._request(message)
        elif message.method != "notifications/cancelled" or not self._cancelled(message):
            self._last_notice = self._start(self._notify(message, self._gate, self._last_notice))
            if message.method == "notifications/initialized":
                self._gate = self._last_notice

    async def finish(self, *, patient: bool) -> None:
        """Let go of everything and end the session; `patient` gives running requests a moment."""
        if patient and self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_S)
        ending = [*self._tasks, *([self._pushing] if self._pushing else [])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        # Untold, it expires by itself.
        with contextlib.suppress(Failed, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                await self._gateway.end()

    def _request(self, message: Message) -> None:
        gate = self._gate
        if message.method == "initialize":
            self._initialize, self._initialized = message, None
        modern = message.own_version is not None
        task = self._start(self._answer(message, None if modern else gate))
        self._pending[message.key] = _Pending(task, modern)
        task.add_done_callback(lambda done: self._forget(message, done))
        if message.method == "initialize":
            self._gate = task

    def _forget(self, message: Message, task: Task) -> None:
        pending = self._pending.get(message.key)
        if pending is not None and pending.task is task:
            del self._pending[message.key]

    def _cancelled(self, message: Message) -> bool:
        """Stop what a cancellation names. True when there is nobody to tell.

        From 2026-07-28 on closing the connection is the signal. Before, the notification is, but without a
        session it would reach a server that knows nothing of the request.
        """
        id_ = member(message.params, "requestId")
        pending = self._pending.get((type(id_).__name__, id_)) if isinstance(id_, str | int | float) else None
        session = self._gateway.session
        in_session = session is not None and session.id is not None
        if pending is not None and (pending.modern or pending.resting or not in_session):
            pending.task.cancel()
        return not in_session or (pending is not None and pending.modern)

    async def _answer(self, message: Message, gate: Task | None) -> None:
        """See to it that a request gets one answer."""
        try:
            await _passed(gate)
            if message.method == "initialize":
                await self._drop_session()
            await self._deliver(message)
        except Exception as error:
            failed = failures.of(error).unsure(self._gateway.tools.may_repeat(message))
            self._notices.trouble(failed)
            await self._forward(failed.line(message.id))

    async def _notify(self, message: Message, gate: Task | None, before: Task | None) -> None:
        """One after the other: their order may matter, and nobody waits for them."""
        await _passed(gate)
        await _passed(before)
        try:
            await self._deliver(message)
        except Failed as failed:
            self._notices.trouble(failed)
        if message.method == "notifications/initialized":
            self._initialized = message
            session = self._gateway.session
            if session is not None and session.id is not None and self._pushing is None:
                self._pushing = asyncio.create_task(self._push.run(), name="push")

    async def _deliver(self, message: Message) -> None:
        """Send by the policy. Raises `Failed`."""
        renewed = False
        attempt = 0
        while True:
            try:
                try:
                    await self._gateway.send(message)
                except SessionGone as gone:
                    if renewed:
                        detail = f"The gateway at {self._gateway.where} forgets sessions at once"
                        raise Failed("SESSION_LOST", detail, "ask_human", status=404) from gone
                    await self._renew(gone.id)
                    renewed = True
                    continue
            except Failed as failed:
                attempt += 1
                repeatable = self._gateway.tools.may_repeat(message)
                delay = policy.delay_before(attempt, failed, may_repeat=repeatable)
                if delay is None:
                    raise
                self._notices.trouble(failed)
                await self._rest(message, delay)
            else:
                self._notices.well()
                self._push.stir()
                return

    async def _rest(self, message: Message, delay_s: float) -> None:
        pending = self._pending.get(message.key) if message.kind is Kind.REQUEST else None
        if pending is not None:
            pending.resting = True
        await asyncio.sleep(delay_s)
        if pending is not None:
            pending.resting = False

    async def _renew(self, gone: str) -> None:
        """Put a new session in the place of a lost one, by the client's own words; it need not know.

        Raises `Failed`.
        """
        async with self._renewing:
            session = self._gateway.session
            if session is None or session.id != gone or self._initialize is None:
                return
            try:
                await self._gateway.send(self._initialize, quiet=True)
                if self._initialized is not None:
                    await self._gateway.send(self._initialized, quiet=True)
            except Failed as failed:
                # Whatever became of this handshake, the request it was for has not been done.
                failed.outcome = failures.NOT_DONE
                raise
            except SessionGone as again:
                detail = f"The gateway at {self._gateway.where} forgets sessions at once"
                raise Failed("SESSION_LOST", detail, "ask_human", status=404) from again
            if self._pushing is not None and self._pushing is not asyncio.current_task():
                # It still listens to the old session.
                self._pushing.cancel()
                self._pushing = asyncio.create_task(self._push.run(), name="push")

    async def _drop_session(self) -> None:
        """A client that begins anew is done with what it had."""
        if self._pushing is not None:
            self._pushing.cancel()
            await asyncio.gather(self._pushing, return_exceptions=True)
            self._pushing = None
        if self._gateway.session is not None:
            # Untold, it expires by itself.
            with contextlib.suppress(Failed):
                await self._gateway.end()

    def _start(self, coroutine: Coroutine[None, None, None]) -> Task:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _passed(gate: Task | None) -> None:
    """Wait for another task, however it ends."""
    if gate is not None:
        await asyncio.wait((gate,))
