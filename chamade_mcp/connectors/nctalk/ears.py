"""What people say in Nextcloud, as facts.

Talk's own history is what is read: it has numbers, names, answers and files. A webhook of the addon says only
that there is something to read, and in which room; where none comes, the rooms are looked at in turns.

But where the addon encrypts what it tells, its word alone is taken: the history, which the bot could read, is
left unheard.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Final

from chamade_mcp.connectors.nctalk.client import Cloud, Page
from chamade_mcp.connectors.nctalk.messages import TalkMessages
from chamade_mcp.connectors.nctalk.rooms import Rooms
from chamade_mcp.connectors.nctalk.wire import ONE_TO_ONE, PROBE, ChatHook, Room, Said, readable
from chamade_mcp.kit.connector import Context, PlatformUnavailable
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.kit.waiting import lasting, to_the_end
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import GatewayError, PlatformRefused
from chamade_mcp.model.facts import MessageDeleted, MessageEdited, MessageReceived, Reacting, ReactionChanged
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, Sender

log = logging.getLogger(__name__)

COMMANDS: Final = ("/activate", "/deactivate")
_BOTS: Final = "chamade-bot-"
"""Before the login of every bot user of the addon's."""
_COMING: Final = ("user_added", "conversation_created")
_AGAIN_S: Final = 2.0
_REMEMBERED: Final = 100
_MOST_ROOMS: Final = 16
"""That are read at a time, those included that are tried again a little later."""
_MOST_HEARD: Final = 4
"""Of these so many are asked for and heard at the same time: a small Nextcloud has few processes for
everybody, and the longer a room waits for its turn, the more of it one request brings."""
_SEALED: Final = "sealed-"
"""Before the key of each message that was taken from a webhook because its room's are encrypted."""


class Ears:
    def __init__(
        self, ctx: Context, scope: Scope, cloud: Cloud, place: str, rooms: Rooms, mouth: TalkMessages
    ) -> None:
        self._ctx = ctx
        self._scope = scope
        self._cloud = cloud
        self._place = place
        self._rooms = rooms
        self._mouth = mouth
        self._read: dict[str, int] = {}
        """By room, the number of the last message that was read."""
        self._sealed: set[str] = set()
        """Rooms in which messages have come encrypted."""
        self._due: dict[str, None] = {}
        self._reading: set[str] = set()
        self._wake = asyncio.Event()
        self._turns = asyncio.Semaphore(_MOST_HEARD)
        self._closed = False

    def sender(self, sender_id: str, name: str) -> Sender:
        return Sender(f"{sender_id}@{self._place}", name or sender_id.partition("/")[2])

    async def begin(self, room: Room) -> None:
        """Goes on where the gateway's own memory of the room ends; what was said before it is not heard."""
        past = await self._ctx.history.recent(self._scope, ConversationRef(room.token), _REMEMBERED)
        if any(one.inbound and one.key.startswith(_SEALED) for one in past):
            self._sealed.add(room.token)
        known = [int(one.key) for one in past if one.inbound and one.key.isdecimal()]
        self._read[room.token] = max(known, default=room.last)
        if known and room.last > self._read[room.token]:
            self.wake(room.token)

    def wake(self, room: str) -> None:
        """There is something to read."""
        self._due[room] = None
        if room not in self._reading:  # who reads it looks again
            self._wake.set()

    async def notice(self, told: ChatHook, random: str) -> None:
        """A webhook of a message; `random` is its own."""
        if told.block:
            self._sealed.add(told.room_token)
        plain = _is_plain(told.message, bool(told.attachments))
        if told.room_token in self._sealed and told.type == "Create" and not plain:
            await self._hear_sealed(told, random)
        self.wake(told.room_token)

    def leave(self, room: str) -> None:
        self._read.pop(room, None)
        self._rooms.remove(room)

    async def look(self) -> None:
        """Whether there is something new in any room."""
        for room in await self._rooms.refresh():
            if room.last > self._read.get(room.token, 0):
                self.wake(room.token)

    async def read(self) -> None:
        """Reads what there is, for ever. A message is done with once it is committed, and then the next one
        of its room is begun: their order is kept."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    free = _MOST_ROOMS - len(self._reading)
                    for token in list(
                        islice((room for room in self._due if room not in self._reading), free)
                    ):
                        del self._due[token]
                        self._reading.add(token)
                        group.create_task(self._read_one(token))
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._closed = True

    async def _read_one(self, token: str) -> None:
        try:
            await self._read_room(token)
        finally:
            self._reading.discard(token)
            if self._due:
                self._wake.set()

    async def _read_room(self, token: str) -> None:
        try:
            async with self._turns:
                room = await self._rooms.find(token)
                if room is not None:
                    await self._news(room)
        except PlatformRefused:
            self.leave(token)  # the bot is no longer in it
        except (PlatformUnavailable, Unanswered, GatewayError) as error:
            log.warning("a room of Nextcloud Talk is read later: %s", type(error).__name__)
            wait = None if isinstance(error, Unanswered) else error.retry_after
            await self._ctx.clock.sleep(wait or _AGAIN_S)
            self.wake(token)

    async def _news(self, room: Room) -> None:
        if room.token not in self._read:
            self._read[room.token] = await self._joined(room)
        last = self._read[room.token]
        while room.token in self._read:  # the bot may leave meanwhile
            self._due.pop(room.token, None)  # what was told of before it is asked for, the answer holds
            page = await self._cloud.since(room.token, last)
            await to_the_end(self._hear_all(room, page))
            if not page.full:
                return
            last = page.end

    async def _hear_all(self, room: Room, page: Page) -> None:
        """For `to_the_end`: so what is told, which is told to the end as well, needs no task of its own."""
        with lasting():
            facts: list[MessageReceived] = []
            for said in page.said:
                if self._closed:
                    await self._tell(facts)
                    return
                if not self._is_for_us(said):
                    continue
                if not said.system and said.message.strip() not in COMMANDS:
                    facts += await self._said(room, said)
                    continue
                await self._tell(facts)
                facts = []
                self._done(room.token, said.id - 1)
                await (self._happened(room, said) if said.system else self._obey(room, said))
                self._done(room.token, said.id)
            await self._tell(facts)
        self._done(room.token, page.end)

    async def _tell(self, facts: Sequence[MessageReceived]) -> None:
        """Of a page all that follow one another: each alone would wait for a commit of its own."""
        if facts:
            await self._ctx.emit(self._scope, *facts)

    def _done(self, room: str, number: int) -> None:
        if room in self._read:
            self._read[room] = max(self._read[room], number)

    async def _joined(self, room: Room) -> int:
        """Where to begin in a room that is new: at somebody's coming, which was the bot's."""
        newest = await self._cloud.newest(room.token)
        came = (said.id for said in newest if said.system in _COMING)
        return next(came, max(0, room.last - 1))

    def _is_for_us(self, said: Said) -> bool:
        actor = said.actor_id
        return not (said.actor_type == "bots" or actor == self._cloud.login or actor.startswith(_BOTS))

    async def _obey(self, room: Room, said: Said) -> None:
        answer = await self._rooms.command(room, said.sender_id, said.message.strip())
        if answer:
            await self._mouth.tell(ConversationRef(room.token), answer)

    def _hears(self, room: Room, said: Said) -> bool:
        """Of what is encrypted elsewhere, a webhook tells."""
        text = said.message.strip()
        return (
            self._rooms.hears(room, said.sender_id)
            and not PROBE.fullmatch(text)
            and (room.token not in self._sealed or _is_plain(text, bool(said.files)))
        )

    async def _hear_sealed(self, told: ChatHook, random: str) -> None:
        """As it came: a block, for which the agent has the key, is a file of its own."""
        known = self._rooms.known(told.room_token)
        room = known or Room(token=told.room_token, type=told.room_type)
        if not self._rooms.hears(room, told.sender_id):
            return
        attachments: list[Attachment] = []
        if told.block:
            block = _once(told.block)
            kept = await self._ctx.files.save(
                self._scope, name="encrypted.json", mime="application/json", chunks=block
            )
            attachments.append(kept)
        text = "" if attachments else readable(told.message, {})
        if not (text or attachments):
            return
        fact = MessageReceived(
            ConversationRef(room.token),
            MessageRef(_SEALED + random),
            self.sender(told.sender_id, told.sender),
            text,
            tuple(attachments),
            group=None if room.type == ONE_TO_ONE else room.name,
        )
        await self._ctx.emit(self._scope, fact)

    async def _said(self, room: Room, said: Said) -> Sequence[MessageReceived]:
        """One, or none that is for the agent."""
        if not self._hears(room, said):
            return ()
        attachments: list[Attachment] = []
        for file in said.files:
            kept = await self._ctx.files.keep(
                self._scope,
                file.path or file.name,
                name=file.name or "file",
                mime=file.mime or "application/octet-stream",
                size_bytes=file.size,
            )
            attachments.append(kept)
        text = said.text
        if not (text or attachments):
            return ()
        fact = MessageReceived(
            ConversationRef(room.token),
            MessageRef(str(said.id)),
            self.sender(said.sender_id, said.actor_name),
            text,
            tuple(attachments),
            reply_to=None if said.parent is None else MessageRef(str(said.parent.id)),
            group=None if room.type == ONE_TO_ONE else room.name,
            mentions_me=said.mentions(self._cloud.login),
            sent_at=said.sent_at,
        )
        return (fact,)

    async def _happened(self, room: Room, said: Said) -> None:
        """Talk tells of changes by messages of its own that nobody sees."""
        if said.parent is None or not self._hears(room, said):
            return
        place, ref = ConversationRef(room.token), MessageRef(str(said.parent.id))
        match said.system:
            case "message_edited":
                text = readable(said.parent.message, said.parent.parameters)
                if text:
                    await self._ctx.emit(self._scope, MessageEdited(place, ref, text))
            case "message_deleted":
                await self._ctx.emit(self._scope, MessageDeleted(place, ref))
            case "reaction":
                sender = self.sender(said.sender_id, said.actor_name)
                fact = ReactionChanged(place, ref, sender, Reacting.ADDED, (said.message,))
                await self._ctx.emit(self._scope, fact)
            case _:
                return


def _is_plain(text: str, has_files: bool) -> bool:
    """The addon encrypts neither commands nor files."""
    return has_files or text.startswith("/")


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
