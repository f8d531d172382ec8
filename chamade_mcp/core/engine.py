"""The engine of live calls: takes each step of the state machine, stores it, tells it, and acts on it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from chamade_mcp.core import log as event_log
from chamade_mcp.core import records
from chamade_mcp.core.call import (
    CallSession,
    CallState,
    Decline,
    Direction,
    Effect,
    Entered,
    Failed,
    JoinRoom,
    LeaveRoom,
    Step,
    Verb,
)
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.live import LiveCall, new_mixer
from chamade_mcp.core.records import CallRecord
from chamade_mcp.core.supervisor import Supervisor
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import Calls as PlatformCalls
from chamade_mcp.kit.connector import EndReason, PlatformUnavailable
from chamade_mcp.kit.ticker import Ticker
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import GatewayError, NotAvailable, call_not_found
from chamade_mcp.model.events import Event, EventType
from chamade_mcp.model.ids import AccountId, CallId, Platform
from chamade_mcp.store.database import Database
from chamade_mcp.store.secrets import SecretBox

log = logging.getLogger(__name__)

Move = Callable[[CallSession], Step]
_LEAVE_S = 5.0


@dataclass(frozen=True, slots=True)
class EngineDeps:
    """What the engine works with."""

    database: Database
    box: SecretBox
    hub: EventHub
    clock: Clock
    ticker: Ticker
    supervisor: Supervisor


class CallEngine:
    """Every live call of this process. All changes of a call's state go through `apply`."""

    def __init__(self, deps: EngineDeps) -> None:
        self._d = deps
        self._live: dict[CallId, LiveCall] = {}

    # --- life of the process -------------------------------------------------------------------------------

    async def start(self) -> None:
        now = self._d.clock.now()
        self._d.hub.announce(
            await self._d.database.write(partial(records.disconnect_survivors, box=self._d.box, at=now))
        )

    async def stop(self) -> None:
        """Every live call loses its bridge, and is told so."""
        for live in list(self._live.values()):
            await self.apply(live, lambda s: s.leg_ended(EndReason.DISCONNECTED))
            await self._gone(live)

    async def end_all(self, account: AccountId) -> None:
        for live in [c for c in self._live.values() if c.record.scope.account == account]:
            await self.apply(live, lambda s: s.leg_ended(EndReason.ENDED))
            await self._gone(live)

    # --- looking -------------------------------------------------------------------------------------------

    def find(self, scope: Scope, call: str) -> LiveCall:
        """Raises `NotFound` for a call that is over, unknown or somebody else's, all alike."""
        live = self._live.get(CallId(call))
        if live is None or live.record.scope != scope:
            raise call_not_found()
        return live

    def get(self, call: CallId) -> LiveCall | None:
        return self._live.get(call)

    def of(self, scope: Scope) -> list[LiveCall]:
        return [c for c in self._live.values() if c.record.scope == scope]

    def count(self, account: AccountId) -> int:
        return sum(1 for c in self._live.values() if c.record.scope.account == account)

    def platform(self, platform: Platform) -> PlatformCalls:
        """The platform's side of calls; raises when there is none or it is down."""
        calls = self._d.supervisor.link(platform).calls
        if calls is None:
            raise NotAvailable(f"{platform} has no calls", platform=platform)
        return calls

    # --- changing ------------------------------------------------------------------------------------------

    async def open(self, record: CallRecord, first: Step) -> LiveCall:
        live = LiveCall(record, first.session, new_mixer(record))
        told: list[Event] = []
        if record.direction is Direction.INBOUND:
            told.append(
                records.event(
                    record,
                    EventType.CALL_INVITE,
                    record.created_at,
                    state=str(first.session.state),
                    caller=record.caller,
                )
            )
        told += self._events(live, first.effects)

        def store(conn: Connection) -> list[Any]:
            records.insert(conn, self._d.box, record, first.session.state)
            return event_log.append(conn, told, record.created_at)

        envelopes = await self._d.database.write(store)
        self._live[record.id] = live
        self._d.hub.announce(envelopes)
        self._act(live, first.effects)
        return live

    async def request(self, scope: Scope, call: str, verb: Verb) -> LiveCall:
        live = self.find(scope, call)
        state = await self.apply(live, lambda s: s.request(verb))
        if state.terminal:
            await self._gone(live)
        return live

    async def apply(self, live: LiveCall, move: Move) -> CallState:
        """Takes one step: stored first, then true, then told, then acted on."""
        async with live.lock:
            step = move(live.session)
            told = self._events(live, step.effects)
            now = self._d.clock.now()
            if told:

                def store(conn: Connection) -> list[Any]:
                    records.set_state(conn, live.record.id, step.session.state, now)
                    return event_log.append(conn, told, now)

                envelopes = await self._d.database.write(store)
                self._d.hub.announce(envelopes)
            live.session = step.session
            self._act(live, step.effects)
            return step.session.state

    def _events(self, live: LiveCall, effects: Sequence[Effect]) -> list[Event]:
        now = self._d.clock.now()
        told: list[Event] = []
        for effect in effects:
            if isinstance(effect, Entered):
                told.append(records.event(live.record, EventType.CALL_STATE, now, state=str(effect.state)))
            elif isinstance(effect, Failed):
                told.append(
                    records.event(
                        live.record, EventType.CALL_ERROR, now, code=effect.code, message=effect.message
                    )
                )
        return told

    def _act(self, live: LiveCall, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, JoinRoom):
                live.attending = asyncio.create_task(self._attend(live), name=f"leg of {live.record.id}")
            elif isinstance(effect, LeaveRoom):
                live.leave.set()
            elif isinstance(effect, Decline):
                live.attending = asyncio.create_task(self._decline(live))
        if live.session.state.terminal:
            self._live.pop(live.record.id, None)
            live.leave.set()
        self._watch_deadline(live)

    def _watch_deadline(self, live: LiveCall) -> None:
        if live.session.deadline is not None and live.timer is None:
            live.timer = asyncio.create_task(self._ring(live), name=f"ring of {live.record.id}")
        elif live.session.deadline is None and live.timer not in (None, asyncio.current_task()):
            live.timer.cancel()

    async def _attend(self, live: LiveCall) -> None:
        """The platform side of a call, from joining to the end of it."""
        record = live.record
        try:
            calls = self.platform(record.platform)
            async with calls.join(record.scope, record.room, record.id, record.agent_name) as leg:
                unplug = live.plug_in(leg, self._d.ticker)
                try:
                    await self.apply(live, lambda s: s.joined())
                    reason = await _first_of(leg.ended(), live.leave)
                finally:
                    unplug()
            if reason is not None:
                await self.apply(live, lambda s: s.leg_ended(reason))
        except PlatformUnavailable as error:
            text = str(error)
            await self.apply(live, lambda s: s.join_failed(text))
        except GatewayError as error:
            failure = error
            await self.apply(live, lambda s: s.join_failed(failure))
        except Exception:
            log.exception("the leg of %s broke", record.id)
            await self.apply(live, lambda s: s.leg_ended(EndReason.DISCONNECTED))

    async def _decline(self, live: LiveCall) -> None:
        try:
            await self.platform(live.record.platform).refuse(live.record.room)
        except (GatewayError, PlatformUnavailable) as error:
            log.warning("%s could not be told that nobody answers: %s", live.record.platform, error)

    async def _ring(self, live: LiveCall) -> None:
        while (deadline := live.session.deadline) is not None:
            await self._d.clock.sleep(max(0.0, deadline - self._d.clock.monotonic()))
            await self.apply(live, lambda s: s.expired(self._d.clock.monotonic()))

    async def _gone(self, live: LiveCall) -> None:
        """Waits, within reason, until the platform side is over too."""
        if live.attending is not None:
            done, _ = await asyncio.wait({live.attending}, timeout=_LEAVE_S)
            if not done:
                live.attending.cancel()


async def _first_of(ended: Awaitable[EndReason], leave: asyncio.Event) -> EndReason | None:
    """Why the platform side ended; None when the agent left first."""
    over = asyncio.ensure_future(ended)
    left = asyncio.create_task(leave.wait())
    try:
        await asyncio.wait({over, left}, return_when=asyncio.FIRST_COMPLETED)
        return over.result() if over.done() else None
    finally:
        over.cancel()
        left.cancel()
