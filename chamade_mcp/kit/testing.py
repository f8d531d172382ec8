"""For tests: time under control, and a platform that behaves.

`ScriptedConnector` is a connector like any other towards the gateway. Towards the test it is the platform:
people ring, write and hang up, and what can go wrong goes wrong when told to.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chamade_mcp.audio.frame import AudioFormat
from chamade_mcp.audio.port import AudioPort, PortPair
from chamade_mcp.kit.connector import (
    ROOM,
    CallLeg,
    Context,
    EndReason,
    Link,
    PlatformUnavailable,
)
from chamade_mcp.kit.manifest import Window
from chamade_mcp.kit.scripted_manifest import scripted_manifest
from chamade_mcp.kit.scripted_messages import URL, ScriptedMessages, ref_of
from chamade_mcp.model.access import Scope
from chamade_mcp.model.capabilities import Capability, MessageFeature
from chamade_mcp.model.errors import FieldError, ValidationFailed
from chamade_mcp.model.facts import (
    CallerGaveUp,
    CallInvited,
    ChatPosted,
    DigitPressed,
    Fact,
    MessageReceived,
)
from chamade_mcp.model.ids import (
    CallId,
    ConversationRef,
    MessageRef,
    ParticipantRef,
    Platform,
    RoomRef,
    ThreadRef,
)
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing, Sender

_SETTLE_TURNS = 20
"""Turns of the event loop in which tasks that were woken go on as far as they can by themselves."""

SCRIPTED = Platform("scripted")


class VirtualClock:
    """A `Clock` that stands still until `advance`. `jump` moves the wall clock alone, as its owner may."""

    def __init__(self, start: datetime = datetime(2026, 11, 20, 12, tzinfo=UTC)) -> None:
        self._wall = start
        self._monotonic = 1000.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Due at `seconds` from now; already due with 0 or less."""
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if seconds <= 0:
            waking.set_result(None)
        else:
            heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._numbers), waking))
        return waking

    @property
    def sleeping(self) -> int:
        """How many are asleep now."""
        return sum(1 for _, _, waking in self._sleepers if not waking.done())

    def jump(self, seconds: float) -> None:
        self._wall += timedelta(seconds=seconds)

    async def advance(self, seconds: float) -> None:
        """Lets time pass. Whoever becomes due is woken at that very moment, in order, and goes on at once.

        What waits for another thread meanwhile is not waited for.
        """
        await _settle()
        end = self._monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, waking = heapq.heappop(self._sleepers)
            if not waking.done():
                self._move_to(due)
                waking.set_result(None)
                await _settle()
        self._move_to(end)
        await _settle()

    def _move_to(self, monotonic: float) -> None:
        self._wall += timedelta(seconds=monotonic - self._monotonic)
        self._monotonic = monotonic


async def _settle() -> None:
    for _ in range(_SETTLE_TURNS):
        await asyncio.sleep(0)


@dataclass(slots=True)
class Script:
    """What goes wrong, until it is reset: each is raised, or answered, where its name says."""

    open_error: Exception | None = None
    join_error: Exception | None = None
    send_error: Exception | None = None
    show_error: Exception | None = None
    delivery: DeliveryState = DeliveryState.DELIVERED
    hold: asyncio.Event | None = None
    """Joining and sending wait for it: a platform that is slow."""


class ScriptedLeg:
    """The agent in a room, as the room sees it."""

    def __init__(self, platform: "ScriptedConnector", call: CallId) -> None:
        self.call = call
        self.chat: list[Outgoing] = []
        self.captions: list[tuple[str, str]] = []
        self.typed = 0
        self.platform = platform
        rate_hz = platform.manifest.sample_rate_hz
        self._pair = PortPair(AudioFormat(rate_hz)) if rate_hz else None
        self._over: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()

    @property
    def far(self) -> AudioPort:
        """The room's end of the audio."""
        assert self._pair is not None, "this platform has no voice"
        return self._pair.far

    def ports(self) -> Mapping[ParticipantRef, AudioPort]:
        return {ROOM: self._pair.near} if self._pair else {}

    async def send_chat(self, message: Outgoing) -> Delivery:
        delivery = await self.platform.answer_send(message)
        self.chat.append(message)
        return delivery

    async def typing(self) -> None:
        self.typed += 1

    async def caption(self, speaker: str, text: str) -> None:
        self.captions.append((speaker, text))

    async def ended(self) -> EndReason:
        return await asyncio.shield(self._over)

    def end(self, reason: EndReason) -> None:
        if not self._over.done():
            self._over.set_result(reason)


class TelephoneLeg(ScriptedLeg):
    """A `ScriptedLeg` that `Dials`."""

    def __init__(self, platform: "ScriptedConnector", call: CallId) -> None:
        super().__init__(platform, call)
        self.dialled = ""

    async def dial(self, digits: str) -> None:
        await self.platform.wait_or_fail()
        self.dialled += digits


class ShowingLeg(ScriptedLeg):
    """One whose platform can tell people that they are recorded."""

    def __init__(self, platform: "ScriptedConnector", call: CallId) -> None:
        super().__init__(platform, call)
        self.shown: list[bool] = []
        """What they were told."""

    async def show_recording(self, on: bool) -> None:
        if self.platform.script.show_error is not None:
            raise self.platform.script.show_error
        self.shown.append(on)


@dataclass(slots=True)
class _ScriptedLink:
    calls: "ScriptedCalls | None"
    messages: "ScriptedMessages | None"


class ScriptedConnector:
    """A `Connector` of one platform, and that platform. Facets follow the capabilities, `inbox`, `dials`."""

    def __init__(
        self,
        capabilities: frozenset[Capability] = frozenset(Capability)
        - {Capability.HOSTED_STT, Capability.HOSTED_TTS},
        *,
        platform: Platform = SCRIPTED,
        creates_rooms: bool = True,
        inbox: bool = True,
        dials: bool = False,
        messages: frozenset[MessageFeature] = frozenset(MessageFeature),
        window: Window | None = None,
        shows_recording: bool = False,
    ) -> None:
        self.leg: type[ScriptedLeg] = (
            TelephoneLeg if dials else ShowingLeg if shows_recording else ScriptedLeg
        )
        self.manifest = scripted_manifest(
            capabilities,
            platform=platform,
            creates_rooms=creates_rooms,
            inbox=inbox,
            messages=messages if inbox else frozenset(),
            window=window,
        )
        self.script = Script()
        self.legs: dict[RoomRef, ScriptedLeg] = {}
        """Where the agent is now."""
        self.left: list[RoomRef] = []
        self.refused: list[RoomRef] = []
        self.messages = ScriptedMessages(lambda: self.context, self.wait_or_fail, self.answer_send)
        self.opened = 0
        self._numbers = itertools.count(1)
        self._ctx: Context | None = None
        self._broken: asyncio.Future[None] | None = None

    @property
    def delivered(self) -> list[tuple[ConversationRef, Outgoing]]:
        """Direct messages that arrived, each key once."""
        return self.messages.delivered

    @property
    def typed(self) -> list[ConversationRef]:
        return self.messages.typed

    # --- the gateway's side --------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncGenerator[Link]:
        if self.script.open_error is not None:
            raise self.script.open_error
        self.opened += 1
        self._ctx, self._broken = ctx, asyncio.get_running_loop().create_future()
        has_messages = self.manifest.inbox
        try:
            async with asyncio.TaskGroup() as group:
                breaking = group.create_task(_wait_for(self._broken))
                yield _ScriptedLink(ScriptedCalls(self), self.messages if has_messages else None)
                breaking.cancel()
        except ExceptionGroup as broken:
            raise broken.exceptions[0] from None
        finally:
            self._ctx = None
            for leg in self.legs.values():
                leg.end(EndReason.DISCONNECTED)

    async def answer_send(self, message: Outgoing) -> Delivery:
        """What the platform says to a message."""
        await self.wait_or_fail()
        return Delivery(self.script.delivery, ref_of(message))

    async def wait_or_fail(self) -> None:
        if self.script.hold is not None:
            await self.script.hold.wait()
        if self.script.send_error is not None:
            raise self.script.send_error

    # --- the people's side ---------------------------------------------------------------------------------

    async def ring(self, scope: Scope, caller: str = "Alice", *, auto_answer: bool = False) -> RoomRef:
        room = self.new_room()
        invited = CallInvited(
            room, Sender(caller, caller), f"{URL}{room}", "AI Agent", auto_answer=auto_answer
        )
        await self.context.emit(scope, invited)
        return room

    async def hang_up(self, scope: Scope, room: RoomRef) -> None:
        await self.context.emit(scope, CallerGaveUp(room))

    async def write(
        self,
        scope: Scope,
        text: str,
        *,
        conversation: str = "alice",
        ref: str | None = None,
        attachments: Sequence[Attachment] = (),
        reply_to: str | None = None,
        thread: str | None = None,
        group: str | None = None,
        mentions_me: bool = False,
        sent_at: datetime | None = None,
    ) -> None:
        """A person sends a direct message; with the `ref` of an earlier one, sends it again."""
        fact = MessageReceived(
            ConversationRef(conversation),
            MessageRef(ref or self._number("message")),
            Sender(conversation, conversation.title()),
            text,
            tuple(attachments),
            None if reply_to is None else MessageRef(reply_to),
            None if thread is None else ThreadRef(thread),
            group,
            mentions_me,
            sent_at,
        )
        await self.tell(scope, fact)

    async def tell(self, scope: Scope, fact: Fact) -> None:
        """Whatever a platform may say."""
        await self.context.emit(scope, fact)

    async def post(self, scope: Scope, room: RoomRef, text: str, *, sender: str = "Alice") -> None:
        """A person writes in the chat of a room."""
        call = self.legs[room].call
        await self.context.emit(
            scope, ChatPosted(call, MessageRef(self._number("post")), Sender(sender, sender), text)
        )

    async def press(self, scope: Scope, room: RoomRef, digit: str, *, participant: str = "alice") -> None:
        """A person presses a key of a telephone."""
        call = self.legs[room].call
        await self.context.emit(scope, DigitPressed(call, ParticipantRef(participant), digit))

    def close_room(self, room: RoomRef) -> None:
        self.legs[room].end(EndReason.ENDED)

    def drop_leg(self, room: RoomRef) -> None:
        """The tie to one room breaks."""
        self.legs[room].end(EndReason.DISCONNECTED)

    def break_link(self, retry_after: float | None = None) -> None:
        """The tie to the whole platform breaks."""
        assert self._broken is not None, "the link is not open"
        self._broken.set_exception(PlatformUnavailable("the scripted link broke", retry_after))

    def new_room(self) -> RoomRef:
        return RoomRef(self._number("room"))

    @property
    def context(self) -> Context:
        assert self._ctx is not None, "the link is not open"
        return self._ctx

    def _number(self, word: str) -> str:
        return f"{word}-{next(self._numbers)}"


class ScriptedCalls:
    def __init__(self, platform: ScriptedConnector) -> None:
        self._platform = platform

    async def create(self, scope: Scope, agent_name: str) -> str:
        return URL + self._platform.new_room()

    async def locate(self, meeting_url: str) -> RoomRef:
        if not meeting_url.startswith(URL):
            raise ValidationFailed([FieldError("meeting_url", "is no scripted room")])
        return RoomRef(meeting_url.removeprefix(URL))

    @asynccontextmanager
    async def join(
        self, scope: Scope, room: RoomRef, call: CallId, agent_name: str
    ) -> AsyncGenerator[CallLeg]:
        script = self._platform.script
        if script.hold is not None:
            await script.hold.wait()
        if script.join_error is not None:
            raise script.join_error
        leg = self._platform.legs[room] = self._platform.leg(self._platform, call)
        try:
            yield leg
        finally:
            if self._platform.legs.get(room) is leg:
                del self._platform.legs[room]
            self._platform.left.append(room)

    async def refuse(self, room: RoomRef) -> None:
        self._platform.refused.append(room)


async def _wait_for(broken: asyncio.Future[None]) -> None:
    await broken
