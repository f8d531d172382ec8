"""Sessions as this process knows them: what is stored, and what lives only while somebody is connected."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from chamade_mcp.core.hub import EventHub
from chamade_mcp.core.mcp_sessions import McpSessions, Progress, SessionRecord, key_of
from chamade_mcp.core.notices import Kind
from chamade_mcp.kit.chores import background, forever
from chamade_mcp.kit.clock import Clock
from chamade_mcp.model.access import Principal, Scope
from chamade_mcp.model.events import Cursor
from chamade_mcp.model.ids import AccountId
from chamade_mcp.sessions.channel import verdict_message
from chamade_mcp.sessions.jsonrpc import RequestId, Response
from chamade_mcp.sessions.sse import frame
from chamade_mcp.sessions.streams import EventStream, Streams

_TRUST_S: Final = 10.0
"""How long a session is believed to go on without a look at the store: another process may have ended it."""
_NOTE_EVERY_S: Final = 2.0
_TIDY_EVERY_S: Final = 3600.0
_IDLE_S: Final = 30.0
"""After so long without a request or a stream a session is forgotten here; the store remembers it."""
_MOST_IDLE: Final = 1_000
_MOST_WAITING: Final = 256
_NEW_BEFORE_TIDY: Final = 100
_LONGEST_ID: Final = 128


class LiveSession:
    """One session, and its client's wishes (`handshake.Wishes`)."""

    __slots__ = (
        "checked_at",
        "log_level",
        "noted_stream",
        "position",
        "record",
        "running",
        "stream",
        "subscriptions",
        "used_at",
        "waiting",
        "waiting_frames",
    )

    def __init__(self, record: SessionRecord, now: float) -> None:
        self.record = record
        self.position: Cursor = record.position
        """The cursor of the last event pushed."""
        self.log_level: str = record.log_level
        self.subscriptions: set[str] = set(record.subscriptions)
        self.stream: EventStream | None = None
        self.noted_stream = ""
        """The name of the newest stream of this process, once the store knows it."""
        self.waiting: dict[RequestId, asyncio.Future[Response]] = {}
        """What the client was asked, by the id of our request."""
        self.running: dict[RequestId, asyncio.Future[Any]] = {}
        """What the client asked and may still cancel, by the id of its request."""
        self.waiting_frames: deque[bytes] = deque(maxlen=_MOST_WAITING)
        """For the next chance to send them on a stream."""
        self.checked_at = self.used_at = now

    @property
    def idle(self) -> bool:
        return self.stream is None and not self.waiting and not self.running

    def progress(self) -> Progress:
        return Progress(self.record.key, self.position)

    def wishes(self, record: SessionRecord) -> None:
        """As the client told them last, to whatever process."""
        self.log_level = record.log_level
        self.subscriptions = set(record.subscriptions)

    def close(self) -> None:
        """Whoever waits here is let go."""
        if self.stream is not None:
            self.stream.close()
        for asked in self.waiting.values():
            asked.cancel()
        for work in tuple(self.running.values()):
            work.cancel()


class LiveSessions:
    """To be used inside `run`. `retry_ms` is how long clients wait before they come back."""

    def __init__(self, store: McpSessions, hub: EventHub, clock: Clock, *, retry_ms: int = 5_000) -> None:
        self.streams = Streams(hub, clock)
        self.retry_ms = retry_ms
        self._store = store
        self._clock = clock
        self._live: dict[str, LiveSession] = {}
        self._unnoted: set[LiveSession] = set()
        self._new: Counter[AccountId] = Counter()
        self._checked = self._tidied = clock.monotonic()
        """When `_look_after` did last what is not for every round."""

    @property
    def known(self) -> int:
        return len(self._live)

    # --- life of the process -------------------------------------------------------------------------------

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        beating = asyncio.create_task(self.streams.look_after(), name="mcp streams")
        failed = "sessions were not looked after this time"
        noting = asyncio.create_task(
            forever(self._clock, _NOTE_EVERY_S, self._look_after, failed), name="mcp sessions"
        )
        async with background(beating, noting):
            yield
        self.streams.close_all()
        await self._note()

    def drain(self) -> None:
        """Ends every stream; the clients come back to whoever serves next."""
        self.streams.close_all()

    # --- sessions ------------------------------------------------------------------------------------------

    async def open(
        self, principal: Principal, version: str, info: Mapping[str, Any], capabilities: Mapping[str, Any]
    ) -> str:
        """A new session's id."""
        session_id, record = await self._store.create(principal, version, info, capabilities)
        self._live[record.key] = LiveSession(record, self._clock.monotonic())
        self._new[record.scope.account] += 1
        if len(self._live) > _MOST_IDLE + len(self.streams.open):
            await self._forget_idle(at_least=_MOST_IDLE // 10)
        return session_id

    async def find(
        self, principal: Principal, session_id: str, *, afresh: bool = False
    ) -> LiveSession | None:
        """None for a session that is over, and for somebody else's, alike."""
        if len(session_id) > _LONGEST_ID:
            return None
        key, now = key_of(session_id), self._clock.monotonic()
        live = self._live.get(key)
        if live is None or afresh or now - live.checked_at >= _TRUST_S:
            live = await self._look_up(key, now)
        if live is None or not live.record.belongs_to(principal):
            return None
        live.used_at = now
        self._unnoted.add(live)
        return live

    async def _look_up(self, key: str, now: float) -> LiveSession | None:
        record = await self._store.find(key)
        live = self._live.get(key)
        if record is None:
            if live is not None:
                self._drop(live)
            return None
        if live is None:
            live = self._live[key] = LiveSession(record, now)
        else:
            live.wishes(record)
            if live.stream is None and record.position > live.position:
                live.position = record.position  # another process has served it meanwhile
        live.checked_at = now
        return live

    async def opened_stream(self, live: LiveSession, stream: EventStream) -> None:
        """The newest takes over: whoever held the session's stream before lets go of it."""
        before, live.stream = live.stream, stream
        if before is not None:
            before.close()
        live.waiting_frames.extend(
            mail.encode() for mail in await self._store.opened_stream(live.record.key, stream.name)
        )
        live.noted_stream = stream.name

    def closed_stream(self, live: LiveSession, stream: EventStream) -> None:
        if live.stream is stream:
            live.stream = None
            live.used_at = self._clock.monotonic()

    def moved(self, live: LiveSession, stream: EventStream, cursor: Cursor) -> None:
        if live.stream is stream:
            live.position = cursor
            self._unnoted.add(live)

    async def wished(self, live: LiveSession) -> None:
        """The client has other wishes; kept before it is told so."""
        await self._store.wish(live.record.key, live.log_level, live.subscriptions)

    def live(self, credential: str) -> bool:
        """Whether events reach somebody who came with this key or grant."""
        return any(
            live.stream is not None and live.record.credential == credential for live in self._live.values()
        )

    def listening(self, scope: Scope) -> frozenset[str]:
        """The keys and grants by which this agent's events reach somebody."""
        return frozenset(
            live.record.credential
            for live in self._live.values()
            if live.stream is not None and live.record.scope == scope
        )

    # --- ends ----------------------------------------------------------------------------------------------

    async def end(self, live: LiveSession) -> None:
        await self._store.end(live.record.key)
        self._drop(live)

    async def end_sessions(self, credential: str) -> None:
        """A key or a grant is revoked: its sessions and streams are over at once."""
        self.drop_of(credential)
        await self._store.end_of(credential)

    def drop_of(self, credential: str) -> None:
        """The same as far as this process goes."""
        for live in tuple(self._live.values()):
            if live.record.credential == credential:
                self._drop(live)
        self.streams.close_of(credential)

    async def leave(self, account: AccountId) -> None:
        """The account goes; its records go with it."""
        for live in tuple(self._live.values()):
            if live.record.scope.account == account:
                self._drop(live)
        for stream in self.streams.open:
            if stream.owner.account == account:
                stream.close()

    def _drop(self, live: LiveSession) -> None:
        self._live.pop(live.record.key, None)
        self._unnoted.discard(live)
        live.close()

    # --- the way back, from whatever process has something to say ------------------------------------------

    async def tell_verdict(self, session: str, request_id: str, *, allow: bool) -> None:
        """`core.relay.VerdictLine`."""
        verdict = frame(verdict_message(request_id, allow=allow))
        live = self._live.get(session)
        if live is None or live.stream is None:
            await self._store.mail(session, verdict.decode())
        else:
            live.waiting_frames.append(verdict)
            live.stream.poke()

    async def pass_on(self, live: LiveSession, kind: Kind, body: object) -> None:
        """What came here for something that is not here: another process may be waiting for it."""
        await self._store.pass_on(live.record.key, kind, body)

    async def mailed(self, session: str) -> None:
        """There is mail; to be taken if this process can send it on."""
        live = self._live.get(session)
        if live is not None and live.stream is not None:
            live.waiting_frames.extend(mail.encode() for mail in await self._store.take_mail(session))
            live.stream.poke()

    async def changed(self, session: str) -> None:
        """Another process has ended it, has taken its stream over, or has heard other wishes."""
        live = self._live.get(session)
        if live is None:
            return
        record = await self._store.find(session)
        if record is None:
            self._drop(live)
            return
        live.wishes(record)
        # One that is being opened right now is not in the store yet.
        if live.stream is not None and record.stream != live.stream.name == live.noted_stream:
            live.stream.close()

    def answered(self, session: str, response: Response) -> bool:
        """Whether that was waited for here."""
        live = self._live.get(session)
        asked = None if live is None else live.waiting.pop(response.id, None)
        if asked is None or asked.done():
            return False
        asked.set_result(response)
        return True

    def cancelled(self, session: str, request: RequestId) -> bool:
        """Whether that was going on here."""
        live = self._live.get(session)
        work = None if live is None else live.running.get(request)
        if work is None:
            return False
        work.cancel()
        return True

    # --- housekeeping --------------------------------------------------------------------------------------

    async def _look_after(self) -> None:
        now = self._clock.monotonic()
        await self._note()
        if now - self._checked >= _TRUST_S:
            self._checked = now
            await self._check_streams()
            await self._forget_idle()
        many = [account for account, count in self._new.items() if count >= _NEW_BEFORE_TIDY]
        if many or now - self._tidied >= _TIDY_EVERY_S:
            self._tidied = now
            await self._note_listening()
            await self._store.tidy(many)
            self._new.clear()

    async def _note(self) -> None:
        unnoted, self._unnoted = self._unnoted, set()
        try:
            await self._store.note([live.progress() for live in unnoted])
        except Exception:
            self._unnoted |= unnoted
            raise

    async def _note_listening(self) -> None:
        """A client that listens is there, however little happens."""
        self._unnoted.update(live for live in self._live.values() if live.stream is not None)
        await self._note()

    async def _check_streams(self) -> None:
        """Closes streams whose session ended elsewhere or was taken over there, or whose key is void."""
        streams = self.streams.open
        if not streams:
            return
        credentials = {stream.credential for stream in streams}
        for credential in await self._store.void(credentials):
            await self.end_sessions(credential)
        for credential in await self._store.lapsed(credentials):
            self.streams.close_of(credential)  # the session waits for who comes back with a new token
        # One that is being opened right now is not in the store yet.
        holding = [
            (live, live.stream)
            for live in self._live.values()
            if live.stream is not None and live.stream.name == live.noted_stream
        ]
        current = await self._store.current([live.record.key for live, _ in holding])
        for live, stream in holding:
            newest = current.get(live.record.key)
            if newest is None:
                self._drop(live)
            elif newest != stream.name:
                stream.close()

    async def _forget_idle(self, *, at_least: int = 0) -> None:
        """The longest unused first; what is not noted yet is noted before, as what is not told yet."""
        now = self._clock.monotonic()
        idle = sorted((live for live in self._live.values() if live.idle), key=lambda live: live.used_at)
        going = [live for place, live in enumerate(idle) if place < at_least or now - live.used_at >= _IDLE_S]
        unnoted: Sequence[LiveSession] = [live for live in going if live in self._unnoted]
        await self._store.note([live.progress() for live in unnoted])
        for live in going:
            while live.idle and live.waiting_frames:
                await self._store.mail(live.record.key, live.waiting_frames.popleft().decode())
            if live.idle:
                self._live.pop(live.record.key, None)
                self._unnoted.discard(live)
