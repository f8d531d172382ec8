"""Recording of live calls: who asks for it, who is told of it, and what ends it."""

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection

from chamade_mcp.core import event_log, records
from chamade_mcp.core import recording_rows as rows
from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.live import LiveCall
from chamade_mcp.core.recorder import Recorder, Recording
from chamade_mcp.core.recordings import Recordings
from chamade_mcp.core.records import CallRecord
from chamade_mcp.core.supervisor import reaching
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connector import CallLeg, ShowsRecording
from chamade_mcp.kit.waiting import to_the_end
from chamade_mcp.model.access import Bounds, Scope
from chamade_mcp.model.errors import (
    Action,
    Conflict,
    GatewayError,
    TooLarge,
    Unavailable,
    bridge_not_ready,
    no_sound_to_record,
)
from chamade_mcp.model.events import Envelope, EventType
from chamade_mcp.model.ids import AccountId, RecordingId, new_recording_id
from chamade_mcp.model.recording import RecordingFormat, StopReason
from chamade_mcp.store.database import Database
from chamade_mcp.store.reel import AGENT, Reel

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0


class Studio:
    """One thread writes all recordings, so that no disk is ever waited for on the event loop."""

    def __init__(
        self, database: Database, hub: EventHub, clock: Clock, recordings: Recordings, quota_bytes: int
    ) -> None:
        self._database = database
        self._hub = hub
        self._clock = clock
        self.recordings = recordings
        self._quota_bytes = quota_bytes
        self._hands = ThreadPoolExecutor(1, thread_name_prefix="chamade-recorder")
        self._live: dict[RecordingId, Recorder] = {}
        self._watches: dict[RecordingId, asyncio.Task[None]] = {}
        self._tasks: dict[asyncio.Task[Any], AccountId] = {}

    # --- what is asked -------------------------------------------------------------------------------------

    async def start(self, live: LiveCall, format: RecordingFormat) -> RecordingId:
        """From now on; when it is on already, that goes on.

        Raises `InvalidRequest` on a call without voice, `Conflict` before it is in the room, `TooLarge`,
        `Unavailable`, and what telling the people raises.
        """
        return await to_the_end(self._start(live, format))

    async def stop(self, live: LiveCall) -> RecordingId:
        """Returns once the recording is kept. Raises `Conflict` when the call is not recorded."""
        recording = await to_the_end(self._stop(live, StopReason.ASKED))
        if recording is None:
            raise Conflict("The call is not recorded", code="NOT_RECORDING")
        return recording

    async def require_space(self, account: AccountId) -> None:
        """Raises `TooLarge` when the account's recordings have no room left."""
        if await self._used_bytes(account) >= self._quota_bytes:
            raise TooLarge(
                f"The recordings of this account have {self._quota_bytes} bytes and no more. Delete some, or "
                "raise CHAMADE_RECORDINGS_QUOTA_MB",
                code="RECORDING_QUOTA_EXCEEDED",
                action=Action.ASK_HUMAN,
            )

    async def space(self, account: AccountId) -> tuple[int, int]:
        """Bytes that the account's recordings have, those under way included, and how many they may have."""
        return await self._used_bytes(account), self._quota_bytes

    # --- what calls report ---------------------------------------------------------------------------------

    def joined(self, live: LiveCall) -> None:
        """The agent is in the room: what was asked for with the call begins."""
        if live.record_as is not None:
            self._spawn(live.record, self._begin(live, live.record_as))

    def left(self, live: LiveCall) -> None:
        """The agent is in the room no more."""
        live.record_as = None
        recorder = self._detach(live)
        if recorder is not None:
            self._spawn(live.record, self._keep(recorder, StopReason.CALL_ENDED))

    async def forget(self, account: AccountId) -> None:
        """The account goes, after its calls, and its recordings with it."""
        await self._settled([task for task, owner in self._tasks.items() if owner == account])
        await self.recordings.remove_all(Bounds(account, None))

    async def forget_agent(self, scope: Scope) -> None:
        """The agent goes, which is in no call."""
        await self._settled([task for task, owner in self._tasks.items() if owner == scope.account])
        await self.recordings.remove_all(Bounds(scope.account, scope.agent))

    async def close(self) -> None:
        """After the last call is over: returns once everything is kept."""
        await self._settled(list(self._tasks))
        await asyncio.to_thread(self._hands.shutdown)

    # --- inside --------------------------------------------------------------------------------------------

    async def _begin(self, live: LiveCall, format: RecordingFormat) -> None:
        try:
            await self._start(live, format)
        except GatewayError as error:
            live.record_as = None
            if not live.session.state.terminal:
                told = {"code": error.code, "message": f"The call is not recorded. {error.detail}"}
                event = records.event(live.record, EventType.CALL_ERROR, self._clock.now(), **told)
                await self._hub.publish(event)

    async def _start(self, live: LiveCall, format: RecordingFormat) -> RecordingId:
        async with live.recording_lock:
            if live.recorder is not None:
                return live.recorder.about.id
            mixer, leg = live.mixer, live.leg
            if mixer is None:
                raise no_sound_to_record(live.record.platform)
            if leg is None:
                raise bridge_not_ready()
            await self.require_space(live.record.scope.account)
            announced = await self._show(live, leg, on=True)
            now = self._clock.now()
            about = Recording(new_recording_id(), live.record, format, announced, now)
            self.recordings.under_way.add(about.id)
            try:
                recorder = await self._open(live, about, mixer.format.rate_hz)
            except BaseException:
                self.recordings.under_way.discard(about.id)
                await self._take_back(live, leg)
                raise
            if live.leg is not leg:
                await self._finish(recorder, StopReason.CALL_ENDED)
                raise bridge_not_ready()
            live.recorder, live.record_as = recorder, None
            self._live[about.id] = recorder
            mixer.set_keep(recorder.take)
            self._watches[about.id] = asyncio.create_task(self._watch(live, recorder))
            return about.id

    async def _open(self, live: LiveCall, about: Recording, rate_hz: int) -> Recorder:
        names = {AGENT: live.record.agent_name}
        reel = Reel(self.recordings.folder_of(about.id), about.format, rate_hz)
        recorder = Recorder(about, reel, self._hands, lambda ref: (names | live.participants).get(ref, ""))
        try:
            await recorder.open()
        except OSError as error:
            log.exception("a recording could not be begun")
            raise Unavailable("Recordings cannot be stored at the moment") from error
        told = records.event(
            live.record,
            EventType.RECORDING_STARTED,
            about.started_at,
            recording_id=about.id,
            format=str(about.format),
            announced=about.announced,
        )

        def store(conn: Connection) -> list[Envelope]:
            rows.add(conn, about)
            return event_log.append(conn, [told], about.started_at)

        self._hub.announce(await self._database.write(store))
        return recorder

    async def _stop(self, live: LiveCall, reason: StopReason) -> RecordingId | None:
        async with live.recording_lock:
            live.record_as = None
            recorder = self._detach(live)
            if recorder is None:
                return None
            if live.leg is not None:
                await self._take_back(live, live.leg)
            await self._finish(recorder, reason)
            return recorder.about.id

    def _detach(self, live: LiveCall) -> Recorder | None:
        recorder, live.recorder = live.recorder, None
        if recorder is None:
            return None
        if live.mixer is not None:
            live.mixer.set_keep(None)
        watch = self._watches.pop(recorder.about.id)
        if watch is not asyncio.current_task():
            watch.cancel()
        return recorder

    async def _finish(self, recorder: Recorder, reason: StopReason) -> None:
        await asyncio.shield(self._spawn(recorder.about.call, self._keep(recorder, reason)))

    async def _keep(self, recorder: Recorder, reason: StopReason) -> None:
        about = recorder.about
        try:
            await recorder.close()
            await self.recordings.collect(
                about.id,
                about.format,
                reason,
                duration_ms=recorder.duration_ms if recorder.failure is None else None,
                lost_ms=recorder.lost_ms,
            )
        except Exception:  # whatever it was: the next sweep takes up what lies on the disk
            log.exception("the recording %s is not kept yet", about.id)
        finally:
            self._live.pop(about.id, None)
            self.recordings.under_way.discard(about.id)

    async def _watch(self, live: LiveCall, recorder: Recorder) -> None:
        while live.recorder is recorder:
            await self._clock.sleep(_LOOK_EVERY_S)
            try:
                reason = recorder.failure or await self._over_quota(recorder)
            except GatewayError as error:
                log.warning("a recording was not looked at this time: %s", error)
                continue
            if reason is not None:
                log.warning("the recording %s stops: %s", recorder.about.id, reason)
                await self._stop(live, reason)
                return

    async def _over_quota(self, recorder: Recorder) -> StopReason | None:
        used = await self._used_bytes(recorder.about.call.scope.account)
        return StopReason.QUOTA_EXCEEDED if used >= self._quota_bytes else None

    async def _used_bytes(self, account: AccountId) -> int:
        mine = [r for r in self._live.values() if r.about.call.scope.account == account]
        return await self.recordings.used_bytes(account) + sum(r.size_bytes for r in mine)

    async def _show(self, live: LiveCall, leg: CallLeg, *, on: bool) -> bool:
        """Whether the platform can."""
        if not isinstance(leg, ShowsRecording):
            return False
        with reaching(live.record.platform):
            await leg.show_recording(on)
        return True

    async def _take_back(self, live: LiveCall, leg: CallLeg) -> None:
        try:
            await self._show(live, leg, on=False)
        except GatewayError as error:
            log.warning("%s still says that it is recorded: %s", live.record.id, error)

    def _spawn(self, call: CallRecord, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"recording of {call.id}")
        self._tasks[task] = call.scope.account
        task.add_done_callback(self._tasks.pop)
        return task

    async def _settled(self, tasks: list[asyncio.Task[Any]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
