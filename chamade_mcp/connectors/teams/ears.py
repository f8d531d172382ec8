"""What Teams tells a bot, as facts."""

import asyncio
import logging
import mimetypes
import re
from typing import Final

from chamade_mcp.connectors.teams.client import BotConnector
from chamade_mcp.connectors.teams.messages import TOKEN_PREFIX, TeamsMessages
from chamade_mcp.connectors.teams.names import Names
from chamade_mcp.connectors.teams.offers import INVOKE, Offers
from chamade_mcp.connectors.teams.reactions import emoji_of
from chamade_mcp.connectors.teams.wire import Activity, Attachment, Unreadable, read_consent
from chamade_mcp.kit.connection import HookReply
from chamade_mcp.kit.connector import AuthNeeded, Context, PlatformUnavailable
from chamade_mcp.kit.greeter import Greeter
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import GatewayError, TooLarge
from chamade_mcp.model.facts import MessageDeleted, MessageEdited, MessageReceived, Reacting, ReactionChanged
from chamade_mcp.model.ids import ConversationRef, MessageRef, ThreadRef
from chamade_mcp.model.messages import Attachment as Kept
from chamade_mcp.model.messages import Sender

log = logging.getLogger(__name__)

_TOKEN: Final = re.compile(rf"{TOKEN_PREFIX}([A-Za-z0-9_-]{{20,60}})")
_FETCH_S: Final = 8.0
"""Teams waits 15 s for an answer, and its files cannot be had later."""
TAKEN: Final = HookReply(body=b"{}", media_type="application/json")
_UNKNOWN: Final = HookReply(501)


class Ears:
    def __init__(
        self, ctx: Context, api: BotConnector, mouth: TeamsMessages, offers: Offers, *, files: bool
    ) -> None:
        self._ctx = ctx
        self._api = api
        self._me = api.me
        self._mouth = mouth
        self._offers = offers
        self._files = files
        self._names = Names(api, ctx.clock)
        self._greeter = Greeter(ctx.people, "This app")

    async def hear(self, activity: Activity) -> HookReply:
        """Returns once it is committed. Hearing it again is harmless."""
        match activity.type:
            case "message" if activity.from_ is not None and activity.id:
                await self._message(activity)
            case "messageUpdate" if activity.id:
                await self._edited(activity)
            case "messageDelete" if activity.id:
                await self._deleted(activity)
            case "messageReaction" if activity.reply_to_id:
                await self._reacted(activity)
            case "conversationUpdate" | "installationUpdate":
                await self._installed(activity)
            case "invoke":
                return await self._invoked(activity)
            case _:
                pass  # somebody types, a meeting began: nothing was said
        return TAKEN

    async def _message(self, activity: Activity) -> None:
        sender, place = _sender(activity), ConversationRef(activity.place)
        assert sender is not None, "it was looked at"
        text = activity.said(self._me)
        token = _TOKEN.search(text)
        if token is not None and activity.group is None:
            await self._mouth.tell(place, await self._greeter.redeem(token[1], sender, place))
            return
        scope = await self._scope(sender, activity)
        if scope is None:
            await self._turn_away(sender, activity)
            return
        attachments, left_out = await self._attachments(scope, activity)
        text = "\n".join([*([text] if text else []), *left_out])
        if not text and not attachments:
            return  # a button of a card was pressed, and there are none of ours
        quoted, thread = activity.quotes, activity.thread
        fact = MessageReceived(
            place,
            MessageRef(activity.id),
            sender,
            text,
            tuple(attachments),
            reply_to=MessageRef(quoted) if quoted else None,
            thread=ThreadRef(thread) if thread else None,
            group=await self._names.group_of(activity) if activity.team else activity.group,
            mentions_me=activity.mentions(self._me),
            sent_at=activity.timestamp,
        )
        await self._ctx.emit(scope, fact)

    async def _edited(self, activity: Activity) -> None:
        scope, text = await self._scope(_sender(activity), activity), activity.said(self._me)
        if scope is not None and text:
            place = ConversationRef(activity.place)
            await self._ctx.emit(scope, MessageEdited(place, MessageRef(activity.id), text))

    async def _deleted(self, activity: Activity) -> None:
        scope = await self._scope(_sender(activity), activity)
        if scope is not None:
            place = ConversationRef(activity.place)
            await self._ctx.emit(scope, MessageDeleted(place, MessageRef(activity.id)))

    async def _reacted(self, activity: Activity) -> None:
        sender = _sender(activity)
        scope = await self._scope(sender, activity)
        if sender is None or scope is None:
            return
        place, ref = ConversationRef(activity.place), MessageRef(activity.reply_to_id)
        for how, names in ((Reacting.ADDED, activity.added), (Reacting.REMOVED, activity.removed)):
            if names:
                emoji = tuple(map(emoji_of, names))
                await self._ctx.emit(scope, ReactionChanged(place, ref, sender, how, emoji))

    async def _installed(self, activity: Activity) -> None:
        """A person who adds the shared bot is told how to get in."""
        sender = _sender(activity)
        new = activity.action == "add" or any(one.id == self._me for one in activity.members_added)
        if new and sender is not None and await self._scope(sender, activity) is None:
            await self._turn_away(sender, activity)

    async def _invoked(self, activity: Activity) -> HookReply:
        if activity.name != INVOKE:
            return _UNKNOWN
        scope = await self._scope(_sender(activity), activity)
        if scope is not None and self._files:
            try:
                await self._offers.answered(scope, activity, read_consent(activity.value))
            except Unreadable:
                log.warning("an answer to an offer of a file could not be read and is left out")
        return TAKEN

    # --- inside --------------------------------------------------------------------------------------------

    async def _attachments(self, scope: Scope, activity: Activity) -> tuple[list[Kept], list[str]]:
        """What came with a message, and a line on each that did not make it."""
        kept: list[Kept] = []
        left_out: list[str] = []
        for one in activity.attachments:
            if not (one.download_url or one.picture):
                continue
            name = one.name or ("picture" if one.picture else "file")
            if not self._files:
                left_out.append(f"[{name}: files on Teams are off on this gateway]")
                continue
            try:
                kept.append(await self._take(scope, one, name))
            except TooLarge:
                left_out.append(f"[{name}: larger than this gateway takes]")
            except (GatewayError, PlatformUnavailable, AuthNeeded, Unanswered, TimeoutError) as error:
                log.warning("a file could not be fetched: %s", type(error).__name__)
                left_out.append(f"[{name}: it could not be fetched]")
        return kept, left_out

    async def _take(self, scope: Scope, one: Attachment, name: str) -> Kept:
        if one.picture:
            guessed = mimetypes.guess_extension(one.content_type) or ""
            called = name if "." in name else f"{name}{guessed}"
            mime = one.content_type if "*" not in one.content_type else "application/octet-stream"
            return await self._ctx.files.keep(scope, one.content_url, name=called, mime=mime, size_bytes=None)
        mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
        async with asyncio.timeout(_FETCH_S), self._api.download(one.download_url) as chunks:
            return await self._ctx.files.save(scope, name=name, mime=mime, chunks=chunks)

    async def _scope(self, sender: Sender | None, activity: Activity) -> Scope | None:
        """Whose agent it is for. In a group the shared bot could not tell."""
        if self._ctx.connection is not None:
            return self._ctx.connection.scope
        if sender is None or activity.group is not None:
            return None
        return await self._ctx.people.scope_of(sender.ref)

    async def _turn_away(self, sender: Sender, activity: Activity) -> None:
        """Tells a stranger how to get in, once."""
        if activity.group is None and (words := self._greeter.turn_away(sender)):
            await self._mouth.tell(ConversationRef(activity.place), words)


def _sender(activity: Activity) -> Sender | None:
    told = activity.from_
    return None if told is None else Sender(told.person, told.name or told.id)
