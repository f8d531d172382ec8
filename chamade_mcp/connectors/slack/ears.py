"""What Slack tells an app, as facts."""

import asyncio
from collections.abc import Awaitable, Collection

from chamade_mcp.connectors.slack.client import Me, WebApi
from chamade_mcp.connectors.slack.emoji import emoji_of
from chamade_mcp.connectors.slack.names import Names
from chamade_mcp.connectors.slack.text import mentioned, plain
from chamade_mcp.connectors.slack.wire import Changed, Deleted, Event, Message, Reacted, Revoked, Said
from chamade_mcp.kit.connector import AuthNeeded, Context, PlatformUnavailable
from chamade_mcp.kit.holding import Fate
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.facts import MessageDeleted, MessageEdited, MessageReceived, Reacting, ReactionChanged
from chamade_mcp.model.ids import ConversationRef, MessageRef, ThreadRef
from chamade_mcp.model.messages import Attachment, Sender


class Ears:
    def __init__(self, ctx: Context, scope: Scope, api: WebApi, me: Me, fate: Fate) -> None:
        self._ctx = ctx
        self._scope = scope
        self._api = api
        self._me = me
        self._names = Names(api, ctx.clock)
        self._fate = fate

    def hear(self, event: Event) -> Awaitable[None]:
        """Returns once what it says is committed. Hearing it again is harmless."""
        match event:
            case Message():
                return self._message(event)
            case Changed():
                return self._changed(event)
            case Deleted():
                return self._deleted(event.channel, event.deleted_ts)
            case Reacted():
                return self._reacted(event)
            case Revoked():
                return self._look()

    async def _message(self, message: Message) -> None:
        author, words, files = message.author, message.words, message.kept_files
        if author is None or self._mine(message) or not (words or files):
            return
        # Known as a rule, so there is nothing to wait for: tasks of their own would cost more than the rest.
        name = message.author_name or (await self._names.person(author) if message.user else author)
        group = None if message.direct else await self._group(message)
        called = mentioned(words)
        text = await self._plain(words, called) if called else plain(words, {})
        attachments: list[Attachment] = []
        for file in files:
            mime = file.mimetype or "application/octet-stream"
            attachments.append(
                await self._ctx.files.keep(
                    self._scope, file.id, name=file.shown_name, mime=mime, size_bytes=file.size
                )
            )
        fact = MessageReceived(
            ConversationRef(message.channel),
            MessageRef(message.ts),
            Sender(author, name),
            text,
            tuple(attachments),
            thread=None if message.thread is None else ThreadRef(message.thread),
            group=group,
            mentions_me=self._me.user in called,
            sent_at=message.sent_at,
        )
        await self._ctx.emit(self._scope, fact)

    async def _changed(self, changed: Changed) -> None:
        message = changed.message
        if changed.gone:
            await self._deleted(changed.channel, message.ts)
        elif not (changed.same or self._mine(message)) and message.words:
            text = await self._plain(message.words, mentioned(message.words))
            fact = MessageEdited(ConversationRef(changed.channel), MessageRef(message.ts), text)
            await self._ctx.emit(self._scope, fact)

    async def _deleted(self, channel: str, ts: str) -> None:
        await self._ctx.emit(self._scope, MessageDeleted(ConversationRef(channel), MessageRef(ts)))

    async def _reacted(self, reacted: Reacted) -> None:
        if reacted.user == self._me.user:
            return
        sender = Sender(reacted.user, await self._names.person(reacted.user))
        place, ref = ConversationRef(reacted.item.channel), MessageRef(reacted.item.ts)
        how = Reacting.ADDED if reacted.added else Reacting.REMOVED
        fact = ReactionChanged(place, ref, sender, how, (emoji_of(reacted.reaction),))
        await self._ctx.emit(self._scope, fact)

    async def _look(self) -> None:
        """Whether the app is gone: Slack may repeat what it said before the app was installed anew."""
        try:
            await self._api.call("auth.test")
        except AuthNeeded:
            self._fate.lost(AuthNeeded("The app was removed from the workspace"))
        except (PlatformUnavailable, PlatformRefused, Unanswered):
            self._fate.lost(PlatformUnavailable("The app may have been removed, and Slack does not say"))

    def _mine(self, message: Said) -> bool:
        """The app's own: Slack tells it what it says itself."""
        return message.user == self._me.user or message.bot_id == self._me.bot

    async def _group(self, message: Message) -> str:
        return "" if message.nameless else await self._names.channel(message.channel)

    async def _plain(self, text: str, called: Collection[str]) -> str:
        """With the names of those it calls, the app's own as Slack shows it."""
        names = await asyncio.gather(*(self._names.person(user) for user in called))
        return plain(text, dict(zip(called, names, strict=True)))
