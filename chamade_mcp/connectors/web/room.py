"""A voice room: guests, the agents' legs, their mix and the chat."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.mixer import Mixer
from chamade_mcp.audio.port import AudioPort
from chamade_mcp.connectors.web import wire
from chamade_mcp.connectors.web.guest import Guest
from chamade_mcp.connectors.web.place import SHOWN_MESSAGES, Place
from chamade_mcp.connectors.web.post import Post
from chamade_mcp.connectors.web.seat import FORMAT, Seat
from chamade_mcp.connectors.web.uploads import Uploads
from chamade_mcp.connectors.web.wire import Participant
from chamade_mcp.kit.connector import Context, Invite
from chamade_mcp.kit.ticker import Phase

log = logging.getLogger(__name__)

_BEATS_PER_LEVEL = 5
_SOFTEST = 0.005
_QUIET_BEATS = 50
"""After a second of silence a room without an agent leaves the clock."""


class AgentLeg(Protocol):
    """An agent in the room, as the room sees it."""

    @property
    def participant(self) -> Participant: ...

    @property
    def port(self) -> AudioPort:
        """Pulled for what the agent says."""
        ...

    def hear(self, samples: Samples | None, at: float) -> None:
        """20 ms of everybody else; None for silence. Called on every beat."""
        ...

    def hear_each(self, audible: Sequence[tuple[str, Samples]]) -> None:
        """Who is audible in this beat, and what they say. Called after `hear`."""
        ...

    def look_around(self) -> None:
        """Somebody came, went or has a new name."""
        ...

    def report(self, post: Post) -> "asyncio.Future[bool]":
        """True once the agent's side has `post` safe, False when it left before; fails when that failed."""
        ...


class Room(Place):
    """Its chat is kept here alone, and goes when the last one leaves."""

    def __init__(self, ctx: Context, invite: Invite, uploads: Uploads) -> None:
        super().__init__(ctx, invite, uploads)
        self.legs: dict[str, AgentLeg] = {}
        self._recording: set[str] = set()
        """Legs of agents that record."""
        self._chat: deque[Post] = deque(maxlen=SHOWN_MESSAGES)
        self._untold: deque[Post] = deque(maxlen=SHOWN_MESSAGES)
        """What people wrote while no agent was here: the first who enters is told."""
        self._mixer: Mixer[str] = Mixer(FORMAT)
        self._seats: dict[str, Seat] = {}
        self._now = asyncio.get_running_loop().time
        self._stop_beat: Callable[[], None] | None = None
        self._closed = False
        self._quiet = 0
        self._beats = 0
        self._levels_shown = False

    @property
    def empty(self) -> bool:
        return not self.guests and not self.legs

    @property
    def untold(self) -> bool:
        """Whether there is something to tell an agent who enters."""
        return bool(self._untold)

    @property
    def recorded(self) -> bool:
        return bool(self._recording)

    def agents(self) -> list[Participant]:
        return [leg.participant for leg in self.legs.values()]

    async def enter(self, guest: Guest) -> None:
        if not self.admit(guest):
            return
        seat = self._seats[guest.id] = Seat(guest.outbox)
        self._mixer.add(guest.id, seat.microphone.pull, seat.sink)
        guest.outbox.put_first(self.welcome(guest, list(self._chat)))
        self._tell_legs()

    async def leave(self, guest: Guest) -> None:
        if not self.dismiss(guest):
            return
        del self._seats[guest.id]
        self._mixer.remove(guest.id)
        self._tell_legs()
        self._rest_if_empty()

    def add_leg(self, leg: AgentLeg) -> None:
        self.legs[leg.participant.id] = leg
        self._mixer.add(leg.participant.id, leg.port.pull, leg.hear)
        self.broadcast(wire.joined(leg.participant))
        self._tell_legs()
        self._catch_up(leg)
        self._start_beat()

    def remove_leg(self, leg: AgentLeg) -> None:
        if self.legs.pop(leg.participant.id, None) is None:
            return
        self._mixer.remove(leg.participant.id)
        self.show_recording(leg, on=False)
        self.broadcast(wire.left(leg.participant.id))
        self._tell_legs()
        self._rest_if_empty()

    def show_recording(self, leg: AgentLeg, *, on: bool) -> None:
        """Everybody sees whether anything is recorded; by how many agents does not matter to them."""
        before = self.recorded
        (self._recording.add if on else self._recording.discard)(leg.participant.id)
        if self.recorded != before:
            self.broadcast(wire.recorded(self.recorded))

    def hear(self, guest: Guest, samples: Samples) -> None:
        self._seats[guest.id].microphone.push(samples, self._now())
        if self._stop_beat is None:
            self._start_beat()

    def changed(self, guest: Guest) -> None:
        if guest.muted:
            self._seats[guest.id].microphone.clear()
        super().changed(guest)
        self._tell_legs()

    def keep(self, post: Post) -> None:
        self._chat.append(post)

    def clear(self) -> None:
        """What was written is shown to nobody who comes later."""
        self._chat.clear()

    async def store(self, post: Post) -> None:
        """Once every agent in the room has it; where there is none, it is kept for the first who enters."""
        if not await self.tell(post):
            self._untold.append(post)

    async def tell(self, post: Post) -> bool:
        """Reports `post` to every leg but its writer's; whether one has it. Raises the first failure, after
        all have ended."""
        reports = [leg.report(post) for leg in self.legs.values() if leg.participant.id != post.sender_id]
        outcomes = await asyncio.gather(*reports, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return any(outcomes)

    def _catch_up(self, leg: AgentLeg) -> None:
        """Before all that is said from now on. What it cannot be told now the next one is."""
        for post in self._untold:
            leg.report(post).add_done_callback(partial(self._caught_up, post))

    def _caught_up(self, post: Post, told: "asyncio.Future[bool]") -> None:
        failure = told.exception()
        if failure is not None:
            log.error("an agent was not told what was written before it came", exc_info=failure)
        elif told.result() and post in self._untold:
            self._untold.remove(post)

    def close(self) -> None:
        super().close()
        self._closed = True
        self._rest()

    def _tell_legs(self) -> None:
        for leg in self.legs.values():
            leg.look_around()

    def _start_beat(self) -> None:
        self._quiet = 0
        if self._stop_beat is None and not self._closed:
            self._stop_beat = self.ctx.ticker.register(Phase.MIX, self._beat)

    def _rest(self) -> None:
        if self._stop_beat is not None:
            self._stop_beat()
            self._stop_beat = None

    def _rest_if_empty(self) -> None:
        if self.empty:
            self._rest()

    def _beat(self, at: float) -> None:
        self._quiet = 0 if self._mixer.tick(at) else self._quiet + 1
        for leg in self.legs.values():
            leg.hear_each(self._mixer.audible)
        self._beats += 1
        if self._beats % _BEATS_PER_LEVEL == 0:
            self._show_levels()
        if self._quiet >= _QUIET_BEATS and not self.legs:
            self._rest()

    def _show_levels(self) -> None:
        levels = {key: level for key, level in self._mixer.levels().items() if level >= _SOFTEST}
        if not levels and not self._levels_shown:
            return
        self._levels_shown = bool(levels)
        message = wire.levels(levels)
        for guest in self.guests.values():
            guest.outbox.put_newest(message)
