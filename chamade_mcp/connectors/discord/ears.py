"""What Discord tells a bot, as facts."""

from typing import Final

from chamade_mcp.connectors.discord.messages import DiscordMessages
from chamade_mcp.connectors.discord.places import Places
from chamade_mcp.connectors.discord.text import channels_in, plain
from chamade_mcp.connectors.discord.wire import Changed, Command, Deleted, Event, Message, Reacted, User
from chamade_mcp.kit.connector import Context
from chamade_mcp.kit.greeter import Greeter
from chamade_mcp.model.access import Scope
from chamade_mcp.model.facts import MessageDeleted, MessageEdited, MessageReceived, Reacting, ReactionChanged
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, Sender

COMMAND: Final = "connect"
OPTION: Final = "link"
EVERYTHING: Final = "all"
_LOOK: Final = "I have written to you: see your direct messages."


class Ears:
    def __init__(self, ctx: Context, me: User, places: Places, mouth: DiscordMessages) -> None:
        self._ctx = ctx
        self._me = me
        self._places = places
        self._mouth = mouth
        self._greeter = Greeter(ctx.people, "This bot")
        own = ctx.connection is not None
        self._all_of_servers = own and ctx.settings.get("server_messages") == EVERYTHING

    async def hear(self, event: Event) -> None:
        """Returns once what it says is committed. Hearing it again is harmless."""
        match event:
            case Changed():
                await self._changed(event)
            case Message():
                await self._message(event)
            case Deleted():
                await self._deleted(event)
            case Reacted():
                await self._reacted(event)
            case Command():
                await self._command(event)

    async def _message(self, message: Message) -> None:
        if message.author.id == self._me.id or not message.says_something:
            return
        direct = message.guild_id is None
        mentions_me = await self._mentions_me(message)
        if not (direct or mentions_me or self._all_of_servers):
            return
        place, sender = ConversationRef(message.channel_id), Sender(message.author.id, message.author_name)
        scope = await self._scope(sender.ref)
        if scope is None:
            if direct and (words := self._greeter.turn_away(sender)):
                await self._mouth.tell(place, words)
            return
        fact = MessageReceived(
            place,
            MessageRef(message.id),
            sender,
            await self._plain(message),
            tuple(await self._attachments(scope, message)),
            reply_to=None if message.answers is None else MessageRef(message.answers),
            group=None if direct else await self._places.title(message.channel_id),
            mentions_me=mentions_me,
            sent_at=message.sent_at,
        )
        await self._ctx.emit(scope, fact)

    async def _attachments(self, scope: Scope, message: Message) -> list[Attachment]:
        kept: list[Attachment] = []
        for file in message.files:
            ref = f"{message.channel_id}/{message.id}/{file.id}"
            name = file.filename or "file"
            kept.append(
                await self._ctx.files.keep(scope, ref, name=name, mime=file.mime, size_bytes=file.size)
            )
        return kept

    async def _changed(self, message: Changed) -> None:
        if message.edited_timestamp is None or message.author.id == self._me.id or not message.words:
            return
        scope = await self._scope(message.author.id)
        if scope is not None:
            place, ref = ConversationRef(message.channel_id), MessageRef(message.id)
            await self._ctx.emit(scope, MessageEdited(place, ref, await self._plain(message)))

    async def _deleted(self, deleted: Deleted) -> None:
        scope = await self._scope_there(deleted.channel_id)
        if scope is not None:
            for ref in deleted.ids:
                fact = MessageDeleted(ConversationRef(deleted.channel_id), MessageRef(ref))
                await self._ctx.emit(scope, fact)

    async def _reacted(self, reacted: Reacted) -> None:
        if reacted.user_id == self._me.id or not reacted.shown:
            return
        scope = await self._scope(reacted.user_id)
        if scope is None:
            return
        name = reacted.member_name or await self._places.person(reacted.user_id)
        fact = ReactionChanged(
            ConversationRef(reacted.channel_id),
            MessageRef(reacted.message_id),
            Sender(reacted.user_id, name),
            Reacting.ADDED if reacted.added else Reacting.REMOVED,
            (reacted.shown,),
        )
        await self._ctx.emit(scope, fact)

    async def _command(self, command: Command) -> None:
        """Somebody brings the link that they were given, in a direct message or on a server."""
        who = command.who
        if command.data.name != COMMAND or who is None:
            return
        token = self._mouth.token_of(command.option(OPTION))
        place = await self._mouth.direct(who.id) or ConversationRef("")
        words = await self._greeter.redeem(token, Sender(who.id, who.name), place)
        elsewhere = command.guild_id is not None and await self._mouth.tell(place, words)
        await self._mouth.reply(command, _LOOK if elsewhere else words)

    # --- inside --------------------------------------------------------------------------------------------

    async def _mentions_me(self, message: Message) -> bool:
        if message.mentions_user(self._me.id):
            return True
        if not message.mention_roles or message.guild_id is None:
            return False
        # A bot has a role of its own name, which people often pick instead of it.
        guild = await self._places.guild(message.guild_id)
        return guild is not None and guild.role_of(self._me.id) in message.mention_roles

    async def _plain(self, message: Message) -> str:
        """With the names of those it calls."""
        words, names = message.words, message.called
        if channels := channels_in(words):
            names |= await self._places.names(channels)
        if message.mention_roles and message.guild_id:
            guild = await self._places.guild(message.guild_id)
            names |= {role.id: role.name for role in guild.roles} if guild else {}
        return plain(words, names)

    async def _scope(self, sender: str) -> Scope | None:
        """Whose agent it is for: on the shared bot, that of the person."""
        if self._ctx.connection is not None:
            return self._ctx.connection.scope
        return await self._ctx.people.scope_of(sender)

    async def _scope_there(self, channel: str) -> Scope | None:
        """For what tells no person. On a server the shared bot could not tell."""
        if self._ctx.connection is not None:
            return self._ctx.connection.scope
        about = await self._places.channel(channel)
        if about is None or len(about.recipients) != 1:
            return None
        return await self._ctx.people.scope_of(about.recipients[0].id)
