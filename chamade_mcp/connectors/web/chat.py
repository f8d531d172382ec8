"""The private chat page: one conversation of the agent's inbox, and the bell to call it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from chamade_mcp.connectors.web import wire
from chamade_mcp.connectors.web.guest import Guest
from chamade_mcp.connectors.web.incoming import Change, Delete, Edit, React, Receipt, Say
from chamade_mcp.connectors.web.lately import Lately, Revise
from chamade_mcp.connectors.web.pace import within
from chamade_mcp.connectors.web.place import SHOWN_MESSAGES, Place
from chamade_mcp.connectors.web.post import Board, Kind, Post, Reaction
from chamade_mcp.connectors.web.uploads import Uploads
from chamade_mcp.connectors.web.wire import CallingState, ErrorCode, Participant, Refused
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import Context, Invite, PastMessage
from chamade_mcp.model.facts import (
    CallerGaveUp,
    CallInvited,
    DeliveryChanged,
    MessageDeleted,
    MessageEdited,
    MessageFact,
    MessageReceived,
    Reacting,
    ReactionChanged,
)
from chamade_mcp.model.ids import ConversationRef, MessageRef, RoomRef
from chamade_mcp.model.limits import RING_S
from chamade_mcp.model.messages import Delivery, DeliveryState, Outgoing, Sender

log = logging.getLogger(__name__)

AGENT_ID = "agent"
_GIVE_UP_S = 5.0
_REMEMBERED: Final = 2000
_FURTHER: Final = {
    DeliveryState.DELIVERED: (DeliveryState.SENT,),
    DeliveryState.READ: (DeliveryState.SENT, DeliveryState.DELIVERED),
}
"""What a receipt is news for."""


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

    can = ("reply", "edit", "delete", "react")

    def __init__(self, ctx: Context, invite: Invite, uploads: Uploads, bells: Bells, lately: Lately) -> None:
        super().__init__(ctx, invite, uploads)
        self.conversation = ConversationRef(invite.ref)
        self._bells = bells
        self._lately = lately
        self._board = Board(_REMEMBERED)

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
        posts = [self._take_up(message) for message in past if message.state is not DeliveryState.FAILED]
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
        """For as long as a page is open; the core keeps what is said in a conversation."""
        self._board.put(post)

    async def store(self, post: Post) -> None:
        fact = MessageReceived(
            self.conversation,
            MessageRef(post.id),
            Sender(post.sender_id, post.sender),
            post.text,
            post.attachments,
            None if post.reply_to is None else MessageRef(post.reply_to),
        )
        await self.ctx.emit(self.invite.scope, fact)

    def quoted(self, say: Say) -> str | None:
        post = self._board.get(say.reply_to or "")
        return None if post is None or post.deleted else post.id

    def deliver(self, message: Outgoing) -> Delivery:
        """What the agent says, to the open pages; once per key."""
        key = message.key
        if self.ledger.shown(key) is None:
            self.show(key, self._board.get(key) or self._agent_post(message))
        return taken(message)

    def revise(self, post_id: str, revise: Revise) -> None:
        """Shows what has become of a message; one that no page may show is none of ours."""
        before = self._board.get(post_id)
        after = None if before is None else revise(before, self.invite.agent_name)
        if after is not None and after != before:
            self._board.put(after)
            self.broadcast(wire.revised(after))

    async def change(self, guest: Guest, change: Change) -> None:
        """Done, shown and acknowledged once the core has it; the same again is harmless."""
        post = self._board.get(change.id)
        if post is None or not self._may(guest, change, post):
            raise Refused(ErrorCode.UNKNOWN_MESSAGE, "That message is not there, or not yours", change.key)
        if isinstance(change, Edit) and not change.text.strip() and not post.attachments:
            raise Refused(ErrorCode.INVALID_MESSAGE, "A message says something", change.key)
        fact, revise = self._meant(guest, change)
        try:
            await self.ctx.emit(self.invite.scope, fact)
        except Exception:
            log.exception("what a guest did to a message was not stored")
            raise Refused(ErrorCode.STORE_FAILED, "That was not stored; try again", change.key) from None
        self.revise(post.id, revise)
        guest.send(wire.ack(change.key, post.id))

    def _may(self, guest: Guest, change: Change, post: Post) -> bool:
        # What the core does not have it cannot change; what was sent again would be as it was.
        if post.kind is Kind.PERSON and not self.ledger.is_stored(post.id):
            return False
        if isinstance(change, React):
            return not post.deleted
        return post.sender_id == guest.id and (isinstance(change, Delete) or not post.deleted)

    def _meant(self, guest: Guest, change: Change) -> tuple[MessageFact, Revise]:
        """What the core is told, and what it makes of the message."""
        ref = MessageRef(change.id)
        match change:
            case Edit(text=text):
                at = iso(self.ctx.clock.now())
                return MessageEdited(self.conversation, ref, text), lambda post, _: post.edited(text, at)
            case Delete():
                return MessageDeleted(self.conversation, ref), lambda post, _: post.taken_back()
            case React(emoji=emoji, on=on):
                how = Reacting.ADDED if on else Reacting.REMOVED
                sender, mine = Sender(guest.id, guest.name), Reaction(emoji, guest.id, guest.name)
                fact = ReactionChanged(self.conversation, ref, sender, how, (emoji,))
                return fact, lambda post, _: post.with_reaction(mine, on=on)

    async def receipt(self, guest: Guest, receipt: Receipt) -> None:
        """What cannot be noted now the page tells again when it comes back."""
        state = DeliveryState.READ if receipt.read else DeliveryState.DELIVERED
        posts = [self._board.get(post_id) for post_id in dict.fromkeys(receipt.ids)]
        news = [post.id for post in posts if post is not None and post.receipt in _FURTHER[state]]
        facts = [DeliveryChanged(self.conversation, post_id, state) for post_id in news]
        told = [self.ctx.emit(self.invite.scope, fact) for fact in facts]
        for post_id, outcome in zip(news, await asyncio.gather(*told, return_exceptions=True), strict=True):
            post = self._board.get(post_id)
            if isinstance(outcome, Exception):
                log.warning("that a message is %s was not stored: %s", state, outcome)
            elif post is not None and post.receipt in _FURTHER[state]:
                self._board.put(replace(post, receipt=state))

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

    def _take_up(self, past: PastMessage) -> Post:
        """A stored message as it is now: what the board has of it is newer."""
        post = self._board.get(past.key)
        if post is None:
            post = self._past_post(past)
            for revise in self._lately.of(self.conversation, post.id):
                post = revise(post, self.invite.agent_name)
            self._board.put(post)
        # Only people's messages: one of the agent may be on its way to pages that are open already.
        if post.kind is Kind.PERSON:
            self.ledger.show(post.id, post)
            self.ledger.store(post.id)
        return post

    def _past_post(self, past: PastMessage) -> Post:
        agent = self.invite.agent_name
        sender_id, _, key = past.key.partition(".")
        reactions = tuple(
            Reaction(r.emoji, r.sender_ref or AGENT_ID, r.sender_name or agent) for r in past.reactions
        )
        post = Post(
            past.key,
            key if past.inbound else past.key,
            past.sender_name if past.inbound else past.sender_name or agent,
            sender_id if past.inbound else AGENT_ID,
            Kind.PERSON if past.inbound else Kind.HOST if past.by_hand else Kind.AGENT,
            past.text,
            past.attachments,
            iso(past.at),
            past.reply_to,
            None if past.edited_at is None else iso(past.edited_at),
            reactions=reactions,
            receipt=None if past.inbound else _receipt(past.state),
        )
        return post.taken_back() if past.deleted else post

    def _agent_post(self, message: Outgoing) -> Post:
        return Post(
            message.key,
            message.key,
            message.sender_name or self.invite.agent_name,
            AGENT_ID,
            Kind.HOST if message.by_hand else Kind.AGENT,
            message.text,
            message.attachments,
            iso(self.ctx.clock.now()),
            message.reply_to,
            receipt=DeliveryState.SENT,
        )


def _receipt(state: DeliveryState | None) -> DeliveryState:
    """What is on its way to the pages counts as there."""
    return DeliveryState.SENT if state is None or state not in _FURTHER else state


def taken(message: Outgoing) -> Delivery:
    """Stored, for the pages of now and later: whether one has shown it, the page tells."""
    return Delivery(DeliveryState.SENT, MessageRef(message.key))
