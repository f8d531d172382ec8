"""An agent's presence in a room, as the core drives it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.port import DIRECT, AudioPort, PortPair
from chamade_mcp.connectors.web import wire
from chamade_mcp.connectors.web.post import Kind, Post
from chamade_mcp.connectors.web.room import Room
from chamade_mcp.connectors.web.seat import FORMAT
from chamade_mcp.connectors.web.wire import Participant
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import ROOM, EndReason
from chamade_mcp.model.access import Scope
from chamade_mcp.model.facts import ChatPosted, ParticipantJoined, ParticipantLeft
from chamade_mcp.model.ids import CallId, MessageRef, ParticipantRef, new_id
from chamade_mcp.model.messages import Delivery, DeliveryState, Outgoing, Sender

log = logging.getLogger(__name__)

CAPTION_CHARS = 2000


class Leg:
    """A `CallLeg`. Facts go out one after the other, so that nobody speaks before they have joined."""

    def __init__(self, room: Room, scope: Scope, call: CallId, agent_name: str) -> None:
        self.participant = Participant(new_id("leg"), agent_name, Kind.AGENT)
        self._room = room
        self._scope = scope
        self._call = call
        self._pair = PortPair(FORMAT, DIRECT)
        self.port: AudioPort = self._pair.far
        """The room's end."""
        self._overhear: Callable[[ParticipantRef, Samples], None] | None = None
        self._known: dict[str, str] = {}
        """Names by participant, as far as the core has been told."""
        self._waiting: deque[tuple[Post, asyncio.Future[bool]]] = deque()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._end: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()

    def ports(self) -> Mapping[ParticipantRef, AudioPort]:
        return {ROOM: self._pair.near}

    async def send_chat(self, message: Outgoing) -> Delivery:
        name = f"{self._scope.agent}.{message.key}"
        post = self._room.ledger.shown(name)
        if post is None:
            post = Post(
                id=f"{self.participant.id}.{message.key}",
                key=message.key,
                sender=message.sender_name or self.participant.name,
                sender_id=self.participant.id,
                kind=Kind.AGENT,
                text=message.text,
                attachments=message.attachments,
                at=iso(self._room.ctx.clock.now()),
            )
            self._room.show(name, post)
            try:
                await self._room.tell(post)
            except Exception:  # the people have it: for this agent it is delivered
                log.exception("a message of an agent did not reach another agent of the room")
        return Delivery(DeliveryState.DELIVERED, MessageRef(post.id))

    async def typing(self) -> None:
        self._room.broadcast(wire.typing(self.participant.id, self.participant.name))

    async def caption(self, speaker: str, text: str) -> None:
        self._room.broadcast(wire.caption(speaker, text[:CAPTION_CHARS]))

    async def show_recording(self, on: bool) -> None:
        self._room.show_recording(self, on=on)

    async def ended(self) -> EndReason:
        return await asyncio.shield(self._end)

    def end(self, reason: EndReason) -> None:
        """The first reason counts."""
        if not self._end.done():
            self._end.set_result(reason)

    def hear(self, samples: Samples | None, at: float) -> None:
        """The mixer's sink."""
        if samples is not None:
            self.port.push(samples, at)

    def overhear(self, sink: Callable[[ParticipantRef, Samples], None] | None) -> None:
        """Gives the core each participant's own sound."""
        self._overhear = sink

    def hear_each(self, audible: Sequence[tuple[str, Samples]]) -> None:
        if self._overhear is not None:
            for key, samples in audible:
                if key != self.participant.id:
                    self._overhear(ParticipantRef(key), samples)

    def look_around(self) -> None:
        """Somebody came, went or has a new name: the core shall know."""
        self._news.set()

    def report(self, post: Post) -> asyncio.Future[bool]:
        """True once the core has committed `post`, or fails as that failed. False: the agent left before."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((post, done))
        self._news.set()
        return done

    @asynccontextmanager
    async def present(self, token: str) -> AsyncGenerator[None, None]:
        """In the room, with the two tasks that belong to it; leaves it cleanly whatever happens."""
        self._tasks = [asyncio.create_task(self._report_all()), asyncio.create_task(self._watch(token))]
        self._room.add_leg(self)
        try:
            yield
        finally:
            self.end(EndReason.ENDED)
            await self.stop()

    async def stop(self) -> None:
        """Out of the room, and no task left. Twice is harmless."""
        self._room.remove_leg(self)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, done in self._waiting:
            _settle(done, told=False)
        self._waiting.clear()

    async def _watch(self, token: str) -> None:
        try:
            async with self._room.ctx.invites.watch(token) as gone:
                await gone
        except Exception:
            log.exception("the link of a room is not watched any more")
            self.end(EndReason.DISCONNECTED)
        else:
            self.end(EndReason.ENDED)

    async def _report_all(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._report_people()
            while self._waiting:
                post, done = self._waiting.popleft()
                try:
                    await self._emit_post(post)
                except asyncio.CancelledError:
                    _settle(done, told=True)  # what is begun the core finishes
                    raise
                except Exception as failure:
                    _fail(done, failure)
                else:
                    _settle(done, told=True)
                await self._report_people()  # the next writer may have come just now

    async def _emit_post(self, post: Post) -> None:
        sender = Sender(post.sender_id, post.sender)
        fact = ChatPosted(self._call, MessageRef(post.id), sender, post.text, post.attachments)
        await self._room.ctx.emit(self._scope, fact)

    async def _report_people(self) -> None:
        """Tells what has changed since it was told last: bounded, however often people come and go."""
        here = {p.id: p.name for p in self._room.participants() if p.id != self.participant.id}
        emit = self._room.ctx.emit
        try:
            for gone in [ref for ref in self._known if ref not in here]:
                await emit(self._scope, ParticipantLeft(self._call, ParticipantRef(gone)))
                del self._known[gone]
            for ref, name in here.items():
                if self._known.get(ref) != name:
                    await emit(self._scope, ParticipantJoined(self._call, ParticipantRef(ref), name))
                    self._known[ref] = name
        except Exception:
            log.exception("who is in the room was not stored; told again with the next change")


def _settle(done: asyncio.Future[bool], *, told: bool) -> None:
    if not done.done():
        done.set_result(told)


def _fail(done: asyncio.Future[bool], failure: Exception) -> None:
    if not done.done():
        done.set_exception(failure)
