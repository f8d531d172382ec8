"""The private chat page: one conversation of the agent's inbox, and the bell to call it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chamade_mcp.connectors.web import wire
from chamade_mcp.connectors.web.guest import Guest
from chamade_mcp.connectors.web.pace import within
from chamade_mcp.connectors.web.place import SHOWN_MESSAGES, Place
from chamade_mcp.connectors.web.uploads import Uploads
from chamade_mcp.connectors.web.wire import CallingState, ErrorCode, Kind, Participant, Post, Refused
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import Context, Invite, PastMessage
from chamade_mcp.model.facts import CallerGaveUp, CallInvited, MessageReceived
from chamade_mcp.model.ids import ConversationRef, MessageRef, RoomRef
from chamade_mcp.model.limits import RING_S
from chamade_mcp.model.messages import Delivery, DeliveryState, Outgoing, Sender

log = logging.getLogger(__name__)

AGENT_ID = "agent"
_GIVE_UP_S = 5.0


@dataclass(slots=True)
class Ring:
    """A call on its way to the agent. Over once `state` is anything but ringing."""

    chat: "Chat"
    caller_id: str
    room: RoomRef
    meeting_url: str
    since: float
    state: CallingState = CallingState.RINGING


OpenRoom = Callable[[Invite], Awaitable[tuple[RoomRef, str]]]
"""Makes a new room like the one of a chat's agent: its ref and meeting URL."""


class Bells:
    """The calls that ring, by the room they are for: what ties the core's answer to the page that asked."""

    def __init__(self, ctx: Context, open_room: OpenRoom) -> None:
        self._ctx = ctx
        self._open_room = open_room
        self._rings: dict[RoomRef, Ring] = {}

    def of(self, chat: "Chat", caller_id: str) -> Ring | None:
        return next((r for r in self._rings.values() if r.chat is chat and r.caller_id == caller_id), None)

    async def start(self, chat: "Chat", guest: Guest) -> Ring:
        """Rings; returns once the core has committed it. Raises what `emit` raised."""
        room, url = await self._open_room(chat.invite)
        ring = Ring(chat, guest.id, room, url, self._ctx.clock.monotonic())
        self._rings[room] = ring
        try:
            caller = Sender(guest.id, guest.name)
            fact = CallInvited(room, caller, url, chat.invite.agent_name)
            await self._ctx.emit(chat.invite.scope, fact)
        except Exception:
            self._rings.pop(room, None)
            raise
        return ring

    async def give_up(self, chat: "Chat", caller_id: str) -> bool:
        """Tells the core that the caller has hung up; False when that failed. Harmless when nothing rings."""
        ring = self.of(chat, caller_id)
        if ring is None:
            return True
        del self._rings[ring.room]  # first, so that an answer that crosses calls nobody back
        try:
            await self._ctx.emit(chat.invite.scope, CallerGaveUp(ring.room))
        except Exception:
            log.exception("a caller's hanging up was not stored")
            self._rings[ring.room] = ring
            return False
        return True

    def answer(self, room: RoomRef) -> None:
        """The agent is in `room`: the caller may come too. Harmless for a room nobody rang for."""
        self._settle(room, CallingState.ACCEPTED)

    def refuse(self, room: RoomRef) -> None:
        ring = self._rings.get(room)
        if ring is not None:
            waited = self._ctx.clock.monotonic() - ring.since
            self._settle(room, CallingState.MISSED if waited >= RING_S else CallingState.REFUSED)

    def _settle(self, room: RoomRef, state: CallingState) -> None:
        ring = self._rings.pop(room, None)
        if ring is not None:
            ring.state = state
            ring.chat.tell_caller(ring)


class Chat(Place):
    """Open while a page shows it; what was said lives in the core and is read again from there."""

    def __init__(self, ctx: Context, invite: Invite, uploads: Uploads, bells: Bells) -> None:
        super().__init__(ctx, invite, uploads)
        self.conversation = ConversationRef(invite.ref)
        self._bells = bells

    @property
    def empty(self) -> bool:
        return not self.guests

    def agents(self) -> list[Participant]:
        return [Participant(AGENT_ID, self.invite.agent_name, Kind.AGENT)]

    async def enter(self, guest: Guest) -> None:
        # Among the others first: what is said while the past is read waits behind the welcome.
        if not self.admit(guest):
            return
        past = await self.ctx.history.recent(self.invite.scope, self.conversation, SHOWN_MESSAGES)
        posts = [self._past_post(message) for message in past]
        # Only people's messages: one of the agent may be on its way to pages that are open already.
        for post in posts:
            if post.kind is Kind.PERSON:
                self.ledger.show(post.id, post)
                self.ledger.store(post.id)
        guest.outbox.put_first(self.welcome(guest, posts))
        ring = self._bells.of(self, guest.id)
        if ring is not None:
            self.tell_caller(ring)

    async def leave(self, guest: Guest) -> None:
        if not self.dismiss(guest):
            return
        try:
            await within(self.ctx.clock, _GIVE_UP_S, self._bells.give_up(self, guest.id))
        except TimeoutError:
            log.warning("a caller left, but the store did not take it in time")

    def keep(self, post: Post) -> None:
        """Nothing: the core keeps what is said in a conversation."""

    async def store(self, post: Post) -> None:
        sender = Sender(post.sender_id, post.sender)
        fact = MessageReceived(self.conversation, MessageRef(post.id), sender, post.text, post.attachments)
        await self.ctx.emit(self.invite.scope, fact)

    def deliver(self, message: Outgoing) -> Delivery:
        """What the agent says, to the open pages; once per key."""
        if self.ledger.shown(message.key) is None:
            sender = message.sender_name or self.invite.agent_name
            at = iso(self.ctx.clock.now())
            key = message.key
            post = Post(key, key, sender, AGENT_ID, Kind.AGENT, message.text, message.attachments, at)
            self.show(key, post)
        return delivered(message)

    def agent_typing(self) -> None:
        self.broadcast(wire.typing(AGENT_ID, self.invite.agent_name))

    def tell_caller(self, ring: Ring) -> None:
        """What became of `ring` so far, to the page that rang, if it is still there."""
        guest = self.guests.get(ring.caller_id)
        if guest is not None:
            url = ring.meeting_url if ring.state is CallingState.ACCEPTED else None
            guest.send(wire.calling(ring.state, url))

    async def ring(self, guest: Guest) -> None:
        ring = self._bells.of(self, guest.id)
        if ring is None:
            try:
                ring = await self._bells.start(self, guest)
            except Exception:
                log.exception("a call from a chat page was not stored")
                raise Refused(ErrorCode.STORE_FAILED, "The call could not be placed; try again") from None
            if ring.state is not CallingState.RINGING:  # answered before the core was back
                return
        self.tell_caller(ring)

    async def hang_up(self, guest: Guest) -> None:
        if not await self._bells.give_up(self, guest.id):
            raise Refused(ErrorCode.STORE_FAILED, "The agent could not be told; hang up again")

    def _past_post(self, past: PastMessage) -> Post:
        at = iso(past.at)
        if not past.inbound:
            name = past.sender_name or self.invite.agent_name
            key = past.key or past.ref
            return Post(key, key, name, AGENT_ID, Kind.AGENT, past.text, past.attachments, at)
        sender_id, _, key = past.key.partition(".")
        return Post(
            past.key or past.ref,
            key,
            past.sender_name,
            sender_id,
            Kind.PERSON,
            past.text,
            past.attachments,
            at,
        )


def delivered(message: Outgoing) -> Delivery:
    return Delivery(DeliveryState.DELIVERED, MessageRef(message.key))
