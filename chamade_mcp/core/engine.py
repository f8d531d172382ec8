"""The engine of live calls: takes each step of the state machine, stores it, tells it, and acts on it."""

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from chamade_mcp.audio.totals import SoundTotals
from chamade_mcp.audio.voice_activity import Judges
from chamade_mcp.core import event_log, records
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
from chamade_mcp.core.judge_pool import JudgePool
from chamade_mcp.core.live import LiveCall, new_mixer
from chamade_mcp.core.records import CallRecord
from chamade_mcp.core.studio import Studio
from chamade_mcp.core.supervisor import Supervisor, reaching
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import Calls as PlatformCalls
from chamade_mcp.kit.connector import EndReason, PlatformUnavailable
from chamade_mcp.kit.ticker import Ticker
from chamade_mcp.kit.waiting import race, to_the_end
from chamade_mcp.model.access import Scope
from chamade_mcp.model.audio import Engine
from chamade_mcp.model.errors import GatewayError, LimitReached, NotAvailable, Unavailable, call_not_found
from chamade_mcp.model.events import Envelope, Event, EventType
from chamade_mcp.model.ids import AccountId, CallId, ConnectionId, Platform
from chamade_mcp.model.recording import RecordingFormat
from chamade_mcp.store.database import Database
from chamade_mcp.store.refusals import BUSY
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
    studio: Studio
    resampler: Engine = "polyphase"
    """What converts between the rooms' rate and the agents'."""
    grace_s: float = 30
    """How long a call goes on without its agent, after the last socket broke; 0: for ever."""
    judges: Judges = field(default_factory=JudgePool)
    """What tells speech from other sounds."""


class CallEngine:
    """Every live call of this process. All changes of a call's state go through `apply`."""

    def __init__(self, deps: EngineDeps) -> None:
        self._d = deps
        self._live: dict[CallId, LiveCall] = {}
        self.sound = SoundTotals()
        """Of all calls since the start."""
        self._places: dict[CallId, AccountId] = {}
        """Calls that are being made: they count already."""

    # --- life of the process -------------------------------------------------------------------------------

    @property
    def live_count(self) -> int:
        """Calls that are alive."""
        return len(self._live)

    @property
    def socket_count(self) -> int:
        """Agent sockets that are open on them."""
        return sum(len(live.listeners) for live in self._live.values())

    async def start(self) -> None:
        now = self._d.clock.now()
        self._d.hub.announce(await self._d.database.write(partial(records.disconnect_survivors, at=now)))

    async def stop(self) -> None:
        """Every live call loses its bridge, and is told so."""
        await self._end(list(self._live.values()), EndReason.DISCONNECTED)

    async def end_all(self, account: AccountId) -> None:
        """The account goes, and its calls with it."""
        await self._end(
            [c for c in self._live.values() if c.record.scope.account == account], EndReason.ENDED
        )

    async def _end(self, ending: Sequence[LiveCall], reason: EndReason) -> None:
        async def end(live: LiveCall) -> None:
            await self.apply(live, lambda s: s.leg_ended(reason))
            await self._gone(live)

        await asyncio.gather(*(end(live) for live in ending))

    # --- looking -------------------------------------------------------------------------------------------

    def find(self, scope: Scope, call: str) -> LiveCall:
        """Raises `NotFound` for a call that is over, unknown or somebody else's, all alike."""
        live = self._live.get(CallId(call))
        if live is None or live.record.scope != scope:
            raise call_not_found()
        live.tended = True
        return live

    def get(self, call: CallId) -> LiveCall | None:
        return self._live.get(call)

    def of(self, scope: Scope) -> list[LiveCall]:
        return [c for c in self._live.values() if c.record.scope == scope]

    def count(self, account: AccountId) -> int:
        """The account's calls that are not over, those included that are being made."""
        live = sum(1 for c in self._live.values() if c.record.scope.account == account)
        return live + sum(
            1 for call, owner in self._places.items() if owner == account and call not in self._live
        )

    @contextmanager
    def place(self, call: CallId, account: AccountId, limit: int) -> Generator[None]:
        """Keeps a place for a call while it is made. Raises `LimitReached` when there are `limit` already."""
        if self.count(account) >= limit:
            raise LimitReached("Concurrent call limit reached", code="CALL_LIMIT_REACHED")
        self._places[call] = account
        try:
            yield
        finally:
            del self._places[call]

    def platform(self, platform: Platform, connection: ConnectionId) -> PlatformCalls:
        """The platform's side of calls; raises when there is none or it is down."""
        calls = self._d.supervisor.link(platform, connection).calls
        if calls is None:
            raise NotAvailable(f"{platform} has no calls", platform=platform)
        return calls

    # --- changing ------------------------------------------------------------------------------------------

    async def open(
        self, record: CallRecord, first: Step, record_as: RecordingFormat | None = None
    ) -> LiveCall:
        """A new call, stored and told, with its first step taken; to be recorded once it is in the room."""
        return await to_the_end(self._open(record, first, record_as))

    async def _open(self, record: CallRecord, first: Step, record_as: RecordingFormat | None) -> LiveCall:
        mixer = new_mixer(record, self._d.resampler, self._d.judges, self.sound)
        live = LiveCall(record, first.session, mixer, record_as=record_as)
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

        def store(conn: Connection) -> list[Envelope]:
            records.insert(conn, self._d.box, record, first.session.state)
            return event_log.append(conn, told, record.created_at)

        envelopes = await self._d.database.write(store)
        live.stepped_at = envelopes[-1].cursor if envelopes else live.stepped_at
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

    async def agent_here(self, live: LiveCall) -> None:
        """An agent's socket is open."""
        await self.apply(live, lambda s: s.agent_back())

    async def agent_lost(self, live: LiveCall) -> None:
        """An agent's socket broke. Unless there is another one, the call ends soon: if nobody opens a socket
        and nobody asks for anything of it."""
        if self._d.grace_s and not live.listeners:
            live.tended = False
            until = self._d.clock.monotonic() + self._d.grace_s
            await self.apply(live, lambda s: s.agent_lost(until))

    async def apply(self, live: LiveCall, move: Move) -> CallState:
        """Takes one step: stored first, then true, then told, then acted on. Raises what `move` raises."""
        return await to_the_end(self._step(live, move))

    async def _report(self, live: LiveCall, move: Move) -> None:
        """Takes a step that has happened already on the platform: a busy database only delays it."""
        while True:
            try:
                await self.apply(live, move)
                return
            except Unavailable as error:
                if error.code != BUSY:
                    raise
                await self._d.clock.sleep(error.retry_after or 1)

    async def _step(self, live: LiveCall, move: Move) -> CallState:
        async with live.lock:
            step = move(live.session)
            told = self._events(live, step.effects)
            now = self._d.clock.now()
            if told:

                def store(conn: Connection) -> list[Envelope]:
                    records.set_state(conn, live.record.id, step.session.state, now, tuple(live.met))
                    return event_log.append(conn, told, now)

                envelopes = await self._d.database.write(store)
                live.stepped_at = envelopes[-1].cursor
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
                live.joining = True
                live.attending = asyncio.create_task(self._attend(live), name=f"leg of {live.record.id}")
            elif isinstance(effect, LeaveRoom):
                live.give_up()
            elif isinstance(effect, Decline):
                live.attending = asyncio.create_task(self._decline(live), name=f"decline {live.record.id}")
        if live.session.state.terminal:
            self._live.pop(live.record.id, None)
            live.give_up()
        self._watch_deadline(live)

    def _watch_deadline(self, live: LiveCall) -> None:
        if live.session.deadline is None:
            if live.timer is not None:
                live.timer.cancel()
                live.timer = None
        elif live.timer is None:
            live.timer = asyncio.create_task(self._wait(live), name=f"deadline of {live.record.id}")

    async def _attend(self, live: LiveCall) -> None:
        """The platform side of a call, from joining to the end of it."""
        try:
            move = await self._be_present(live)
        except Exception:
            log.exception("the leg of %s broke", live.record.id)
            move = _lost
        finally:
            live.joining = False
        await self._report(live, move)

    async def _be_present(self, live: LiveCall) -> Move:
        """Joins and stays until either side is over; returns what that means for the call."""
        record = live.record
        try:
            calls = self.platform(*record.link)
            async with calls.join(record.scope, record.room, record.id, record.agent_name) as leg:
                live.joining = False
                unplug = live.plug_in(leg, self._d.ticker)
                try:
                    await self._report(live, lambda s: s.joined())
                    self._d.studio.joined(live)
                    over, _ = await race(leg.ended(), live.leave.wait())
                finally:
                    unplug()
                    self._d.studio.left(live)
        except (GatewayError, PlatformUnavailable) as error:
            if not live.joining:
                log.warning("the leg of %s broke: %s", record.id, error)
                return _lost
            failure = error if isinstance(error, GatewayError) else str(error)
            return lambda s: s.join_failed(failure)
        if over.cancelled():
            return lambda s: s.leg_ended(EndReason.ENDED)
        reason: EndReason = over.result()
        return lambda s: s.leg_ended(reason)

    async def _decline(self, live: LiveCall) -> None:
        platform = live.record.platform
        try:
            with reaching(platform):
                await self.platform(*live.record.link).refuse(live.record.room)
        except GatewayError as error:
            log.warning("%s could not be told that nobody answers: %s", platform, error)

    async def _wait(self, live: LiveCall) -> None:
        while (deadline := live.session.deadline) is not None:
            await self._d.clock.sleep(max(0.0, deadline - self._d.clock.monotonic()))
            await self._report(live, partial(self._expire, live))

    def _expire(self, live: LiveCall, session: CallSession) -> Step:
        if live.tended and session.state is not CallState.RINGING:
            return session.agent_back()
        return session.expired(self._d.clock.monotonic())

    async def _gone(self, live: LiveCall) -> None:
        """Waits, within reason, until the platform side is over too."""
        if live.attending is None:
            return
        await race(asyncio.wait({live.attending}), self._d.clock.sleep(_LEAVE_S))
        if not live.attending.done():
            live.attending.cancel()
            await asyncio.gather(live.attending, return_exceptions=True)


def _lost(session: CallSession) -> Step:
    return session.leg_ended(EndReason.DISCONNECTED)
