"""The live link: which rooms and chats are open, and what the core may do with them."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from starlette.types import ASGIApp

from chamade_mcp.connectors.web.address import Addresses, invalid_meeting_url
from chamade_mcp.connectors.web.chat import AGENT_ID, Bells, Chat, taken
from chamade_mcp.connectors.web.lately import Lately, Revise
from chamade_mcp.connectors.web.leg import Leg
from chamade_mcp.connectors.web.passes import PURPOSE, Passes
from chamade_mcp.connectors.web.place import Place
from chamade_mcp.connectors.web.post import Reaction
from chamade_mcp.connectors.web.room import Room
from chamade_mcp.connectors.web.text import is_emoji
from chamade_mcp.connectors.web.uploads import Uploads
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import CallLeg, Context, EndReason, Invite, InviteKind
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import NotFound, PlatformRefused
from chamade_mcp.model.ids import CallId, ConversationRef, MessageRef, RoomRef
from chamade_mcp.model.messages import Delivery, Outgoing

log = logging.getLogger(__name__)

MOST_KEPT: Final = 1000
"""Rooms that people wrote in and left before an agent came, and which are kept for it."""


class Places:
    """Everything that is open, and nothing else: a place goes with the last one who leaves it, but for a room
    in which people wrote what no agent has been told yet."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.addresses = Addresses(ctx.public_url)
        self.passes = Passes(ctx.secret(PURPOSE))
        self.uploads = Uploads(ctx.clock)
        self.bells = Bells(ctx, self._ring_room)
        self.lately = Lately()
        self.closing = False
        self.legs: set[Leg] = set()
        self._rooms: dict[RoomRef, Room] = {}
        self._chats: dict[ConversationRef, Chat] = {}
        self._kept: dict[RoomRef, asyncio.Task[None]] = {}
        """What ends with the link of a room that waits for an agent."""
        self._keys: dict[RoomRef, tuple[str, Invite]] = {}

    @property
    def open(self) -> list[Place]:
        return [*self._rooms.values(), *self._chats.values()]

    def of(self, invite: Invite) -> Place:
        """The room or chat that `invite` opens. Enter it before awaiting anything else."""
        return self.room(invite) if invite.kind is InviteKind.ROOM else self._chat(invite)

    def room(self, invite: Invite) -> Room:
        ref = RoomRef(invite.ref)
        if ref not in self._rooms:
            self._rooms[ref] = Room(self.ctx, invite, self.uploads)
        return self._rooms[ref]

    def open_chat(self, conversation: ConversationRef) -> Chat | None:
        return self._chats.get(conversation)

    def release(self, place: Place, token: str) -> None:
        """Forgets `place` when nobody is in it any more. What people wrote in a room and no agent has been
        told stays, for one that comes later, as long as its link, `token`, works."""
        if not place.empty:
            return
        if isinstance(place, Room) and place.untold and not self.closing and len(self._kept) < MOST_KEPT:
            self._keep(place, token)
        else:
            self._forget(place)

    def _keep(self, room: Room, token: str) -> None:
        room.clear()
        ref = RoomRef(room.invite.ref)
        if ref not in self._kept:
            self._kept[ref] = asyncio.create_task(self._until_gone(room, token), name="kept room")

    async def _until_gone(self, room: Room, token: str) -> None:
        try:
            async with self.ctx.invites.watch(token) as gone:
                await gone
        except Exception:
            log.exception("the link of a room that waits for an agent is not watched any more")
        del self._kept[RoomRef(room.invite.ref)]
        if room.empty:
            self._forget(room)

    def _forget(self, place: Place) -> None:
        ref = place.invite.ref
        if self._rooms.get(RoomRef(ref)) is place:
            del self._rooms[RoomRef(ref)]
            kept = self._kept.pop(RoomRef(ref), None)
            if kept is not None:
                kept.cancel()
        elif self._chats.get(ConversationRef(ref)) is place:
            del self._chats[ConversationRef(ref)]

    def remember(self, token: str, invite: Invite) -> RoomRef:
        """Keeps a room's token, which its ref does not tell, as long as the link may live."""
        now = self.ctx.clock.now()
        for ref in [ref for ref, (_, old) in self._keys.items() if old.expires_at <= now]:
            del self._keys[ref]
        self._keys[RoomRef(invite.ref)] = (token, invite)
        return RoomRef(invite.ref)

    def token_of(self, room: RoomRef) -> str | None:
        key = self._keys.get(room)
        return key[0] if key is not None else None

    async def issue_room(self, scope: Scope, agent_name: str) -> tuple[RoomRef, str]:
        """A new room: its ref and meeting URL."""
        token, invite = await self.ctx.invites.issue(
            scope, InviteKind.ROOM, title=f"Room with {agent_name}", agent_name=agent_name
        )
        return self.remember(token, invite), self.addresses.room(token)

    async def close(self) -> None:
        """Sends everybody home. The sockets end by themselves; what the core has joined is over."""
        self.closing = True
        for place in self.open:
            place.close()
        for leg in list(self.legs):
            leg.end(EndReason.DISCONNECTED)
            await leg.stop()
        kept = list(self._kept.values())
        for task in kept:
            task.cancel()
        await asyncio.gather(*kept, return_exceptions=True)

    def _chat(self, invite: Invite) -> Chat:
        ref = ConversationRef(invite.ref)
        if ref not in self._chats:
            self._chats[ref] = Chat(self.ctx, invite, self.uploads, self.bells, self.lately)
        return self._chats[ref]

    async def _ring_room(self, chat: Invite) -> tuple[RoomRef, str]:
        return await self.issue_room(chat.scope, chat.agent_name)


class WebCalls:
    """The `Calls` facet."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def create(self, scope: Scope, agent_name: str) -> str:
        _, url = await self._places.issue_room(scope, agent_name)
        return url

    async def locate(self, meeting_url: str) -> RoomRef:
        token = self._places.addresses.room_token(meeting_url)
        invite = await self._places.ctx.invites.admit(token)
        if invite is None:
            raise invalid_meeting_url("This room's link is unknown, has expired or was revoked")
        if invite.kind is not InviteKind.ROOM:
            raise invalid_meeting_url("This link opens a private chat, not a room")
        return self._places.remember(token, invite)

    @asynccontextmanager
    async def join(
        self, scope: Scope, room: RoomRef, call: CallId, agent_name: str
    ) -> AsyncGenerator[CallLeg, None]:
        """Raises `NotFound` for a room not created, located or rung for here, or whose link is gone."""
        places = self._places
        token = places.token_of(room)
        invite = await places.ctx.invites.admit(token) if token is not None else None
        if token is None or invite is None or places.closing:
            raise NotFound("This room is not open any more", platform="web")
        place = places.room(invite)
        leg = Leg(place, scope, call, agent_name)
        places.legs.add(leg)
        try:
            async with leg.present(token):
                places.bells.answer(room)
                yield leg
        finally:
            places.legs.discard(leg)
            places.release(place, token)

    async def refuse(self, room: RoomRef) -> None:
        self._places.bells.refuse(room)


class WebMessages:
    """The `Messages` facet, with `Edits`, `Deletes` and `Reacts`. What no page shows now is shown from
    history later."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        chat = self._places.open_chat(to)
        return chat.deliver(message) if chat is not None else taken(message)

    async def edit(self, to: ConversationRef, ref: MessageRef, message: Outgoing) -> None:
        at = iso(self._places.ctx.clock.now())
        self._revise(to, ref, lambda post, _: post.edited(message.text, at))

    async def delete(self, to: ConversationRef, ref: MessageRef) -> None:
        self._revise(to, ref, lambda post, _: post.taken_back())

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        if not is_emoji(emoji):
            raise PlatformRefused("A reaction is one emoji", platform="web")
        self._revise(to, ref, lambda post, agent: post.with_reaction(Reaction(emoji, AGENT_ID, agent), on=on))

    def _revise(self, to: ConversationRef, ref: MessageRef, revise: Revise) -> None:
        self._places.lately.note(to, ref, revise)
        chat = self._places.open_chat(to)
        if chat is not None:
            chat.revise(ref, revise)

    async def typing(self, to: ConversationRef) -> None:
        chat = self._places.open_chat(to)
        if chat is not None:
            chat.agent_typing()

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        token, invite = await self._places.ctx.invites.issue(
            scope, InviteKind.CHAT, title=f"Chat with {agent_name}", agent_name=agent_name
        )
        return self._places.addresses.chat(token), invite


class WebLink:
    """A `Link` that is `Served`."""

    def __init__(self, places: Places, app: ASGIApp) -> None:
        self.calls = WebCalls(places)
        self.messages = WebMessages(places)
        self.app = app
