"""Where guests are together: what a room and a private chat have in common."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

from chamade_mcp.audio.frame import Samples
from chamade_mcp.connectors.web import wire
from chamade_mcp.connectors.web.guest import FULL, REPLACED, SHUTDOWN, Guest
from chamade_mcp.connectors.web.incoming import Change, Receipt, Say
from chamade_mcp.connectors.web.ledger import Ledger
from chamade_mcp.connectors.web.post import Kind, Post
from chamade_mcp.connectors.web.uploads import Uploads
from chamade_mcp.connectors.web.wire import ErrorCode, Participant, Refused
from chamade_mcp.kit.clock import iso
from chamade_mcp.kit.connector import Context, Invite

log = logging.getLogger(__name__)

MAX_GUESTS = 100
SHOWN_MESSAGES = 200


class Place(ABC):
    """Guests by id, and the messages they have seen. Lives only while somebody is in it."""

    can: Sequence[str] = ()
    """What a page may do to messages here."""

    def __init__(self, ctx: Context, invite: Invite, uploads: Uploads) -> None:
        self.ctx = ctx
        self.invite = invite
        self.guests: dict[str, Guest] = {}
        self.ledger = Ledger()
        self._uploads = uploads

    @property
    @abstractmethod
    def empty(self) -> bool:
        """Nobody holds this place open any more."""

    @abstractmethod
    async def enter(self, guest: Guest) -> None:
        """Takes `guest` in and welcomes it, or parts it when there is no room."""

    @abstractmethod
    async def leave(self, guest: Guest) -> None:
        """Harmless for a guest who has been replaced, or never came in."""

    @abstractmethod
    async def store(self, post: Post) -> None:
        """Returns once all who must know of `post` have it safe; raises otherwise."""

    @abstractmethod
    def keep(self, post: Post) -> None:
        """Called once for each new message, before anybody sees it."""

    @abstractmethod
    def agents(self) -> list[Participant]: ...

    @property
    def recorded(self) -> bool:
        """What is said here is kept."""
        return False

    def participants(self) -> list[Participant]:
        return [*self.agents(), *(guest.participant for guest in self.guests.values())]

    def broadcast(self, message: str, *, but: str | None = None) -> None:
        for guest in self.guests.values():
            if guest.id != but:
                guest.send(message)

    def admit(self, guest: Guest) -> bool:
        """Puts `guest` among the others, in place of its own older socket. False when the place is full."""
        older = self.guests.get(guest.id)
        if older is None and len(self.guests) >= MAX_GUESTS:
            guest.part(FULL)
            return False
        self.guests[guest.id] = guest
        if older is None:
            self.broadcast(wire.joined(guest.participant), but=guest.id)
        else:
            older.part(REPLACED)
            if older.participant != guest.participant:
                self.broadcast(wire.changed(guest.participant), but=guest.id)
        return True

    def dismiss(self, guest: Guest) -> bool:
        """False when `guest` is not (or no longer) the one who stands for its id here."""
        if self.guests.get(guest.id) is not guest:
            return False
        del self.guests[guest.id]
        self.broadcast(wire.left(guest.id))
        return True

    def close(self) -> None:
        """The link goes down: everybody has to leave."""
        for guest in self.guests.values():
            guest.part(SHUTDOWN)

    def welcome(self, guest: Guest, posts: list[Post]) -> str:
        return wire.Welcome(
            you=guest.id,
            guest=guest.entry.secret,
            kind=self.invite.kind,
            title=self.invite.title,
            agent_name=self.invite.agent_name,
            participants=self.participants(),
            posts=posts,
            file_bytes=self.ctx.files.max_bytes,
            can=self.can,
            recorded=self.recorded,
        ).message()

    def hear(self, guest: Guest, samples: Samples) -> None:
        raise Refused(ErrorCode.INVALID_MESSAGE, "There is no audio here; ring the agent to talk")

    def typing(self, guest: Guest) -> None:
        self.broadcast(wire.typing(guest.id, guest.name), but=guest.id)

    def changed(self, guest: Guest) -> None:
        self.broadcast(wire.changed(guest.participant))

    async def ring(self, guest: Guest) -> None:
        raise Refused(ErrorCode.INVALID_MESSAGE, "The agent is called from its chat page")

    async def hang_up(self, guest: Guest) -> None:
        raise Refused(ErrorCode.INVALID_MESSAGE, "Nothing rings here")

    async def change(self, guest: Guest, change: Change) -> None:
        raise Refused(ErrorCode.INVALID_MESSAGE, "What is said in a room stays as it is", change.key)

    async def receipt(self, guest: Guest, receipt: Receipt) -> None:
        raise Refused(ErrorCode.INVALID_MESSAGE, "Nobody asks here how far messages have got")

    async def say(self, guest: Guest, say: Say) -> None:
        """Shows a message once and acknowledges it once it is stored, however often it is sent."""
        name = f"{guest.id}.{say.key}"
        post = self.ledger.shown(name)
        if post is None:
            post = self._new_post(guest, say, name)
            self.show(name, post)
        if not self.ledger.is_stored(name):
            try:
                await self.store(post)
            except Exception:
                log.exception("a message of a guest was not stored")
                raise Refused(
                    ErrorCode.STORE_FAILED, "The message was not stored; send it again", say.key
                ) from None
            self.ledger.store(name)
        guest.send(wire.ack(say.key, post.id))

    def show(self, name: str, post: Post) -> None:
        """Adds a message under the name by which a resend is known, for everybody to see."""
        self.ledger.show(name, post)
        self.keep(post)
        self.broadcast(wire.chat(post))

    def _new_post(self, guest: Guest, say: Say, name: str) -> Post:
        attachments = self._uploads.claim(self.invite.ref, guest.id, say.file_ids)
        if attachments is None:
            raise Refused(ErrorCode.UNKNOWN_FILE, "A file is not there any more; upload it again", say.key)
        at = iso(self.ctx.clock.now())
        quoted = self.quoted(say)
        return Post(name, say.key, guest.name, guest.id, Kind.PERSON, say.text, attachments, at, quoted)

    def quoted(self, say: Say) -> str | None:
        """The id of the message that `say` quotes, as far as that can be here."""
        return None
