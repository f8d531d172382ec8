"""What Telegram tells a bot, as facts."""

from collections.abc import Awaitable

from chamade_mcp.connectors.telegram.messages import START_PREFIX, TelegramMessages
from chamade_mcp.connectors.telegram.wire import Message, Reacted, Update, User
from chamade_mcp.kit.connector import Context
from chamade_mcp.kit.greeter import Greeter
from chamade_mcp.model.access import Scope
from chamade_mcp.model.facts import MessageEdited, MessageReceived, Reacting, ReactionChanged
from chamade_mcp.model.ids import ConversationRef, MessageRef, ThreadRef
from chamade_mcp.model.messages import Attachment, Sender


class Ears:
    def __init__(self, ctx: Context, me: User, mouth: TelegramMessages) -> None:
        self._ctx = ctx
        self._me = me
        self._mouth = mouth
        self._greeter = Greeter(ctx.people, "This bot")

    def hear(self, update: Update) -> Awaitable[None]:
        """Returns once what it says is committed. Hearing it again is harmless."""
        if (message := update.message or update.channel_post) is not None:
            return self._message(message)
        if (edited := update.edited_message or update.edited_channel_post) is not None:
            return self._edited(edited)
        return self._reacted(update.message_reaction)

    async def _message(self, message: Message) -> None:
        sender, place = _sender(message), ConversationRef(str(message.chat.id))
        files = message.files
        if sender is None or not (message.said or files):
            return  # somebody joined, a title changed: nothing was said
        token = message.start_token()
        if token is not None and token.startswith(START_PREFIX):
            words = await self._greeter.redeem(token.removeprefix(START_PREFIX), sender, place)
            await self._mouth.tell(place, words)
            return
        group = message.chat.group
        scope = await self._scope(sender, group is not None)
        if scope is None:
            if group is None and (words := self._greeter.turn_away(sender)):
                await self._mouth.tell(place, words)
            return
        attachments: list[Attachment] = []
        for file in files:
            attachments.append(
                await self._ctx.files.keep(
                    scope, file.file_id, name=file.file_name, mime=file.mime_type, size_bytes=file.file_size
                )
            )
        quoted = message.reply_to_message
        # In a topic everything answers the message that opened it.
        answers = quoted is not None and str(quoted.message_id) != message.thread
        fact = MessageReceived(
            place,
            MessageRef(str(message.message_id)),
            sender,
            message.said,
            tuple(attachments),
            reply_to=MessageRef(str(quoted.message_id)) if quoted is not None and answers else None,
            thread=None if message.thread is None else ThreadRef(message.thread),
            group=group,
            mentions_me=message.mentions(self._me),
            sent_at=message.sent_at,
        )
        await self._ctx.emit(scope, fact)

    async def _edited(self, message: Message) -> None:
        sender = _sender(message)
        scope = None if sender is None else await self._scope(sender, message.chat.group is not None)
        if scope is not None and message.said:
            place, ref = ConversationRef(str(message.chat.id)), MessageRef(str(message.message_id))
            await self._ctx.emit(scope, MessageEdited(place, ref, message.said))

    async def _reacted(self, reacted: Reacted | None) -> None:
        if reacted is None or reacted.author is None:
            return
        sender, place = Sender(*reacted.author), ConversationRef(str(reacted.chat.id))
        scope = await self._scope(sender, reacted.chat.group is not None)
        if scope is not None:
            ref = MessageRef(str(reacted.message_id))
            fact = ReactionChanged(place, ref, sender, Reacting.REPLACED, reacted.emoji)
            await self._ctx.emit(scope, fact)

    async def _scope(self, sender: Sender, group: bool) -> Scope | None:
        """Whose agent it is for. In a group the shared bot could not tell."""
        if self._ctx.connection is not None:
            return self._ctx.connection.scope
        return None if group else await self._ctx.people.scope_of(sender.ref)


def _sender(message: Message) -> Sender | None:
    author = message.author
    return None if author is None else Sender(*author)
