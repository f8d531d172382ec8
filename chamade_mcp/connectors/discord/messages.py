"""What an agent says, in Discord's words."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar

from chamade_mcp.connectors.discord.client import UNKNOWN_MESSAGE, RestApi
from chamade_mcp.connectors.discord.wire import Command, User
from chamade_mcp.kit.connector import Context, Invite, InviteKind, PlatformUnavailable
from chamade_mcp.kit.form import FilePart, Form
from chamade_mcp.kit.holding import Fate
from chamade_mcp.kit.http import Unanswered, repeatable
from chamade_mcp.kit.parts import SentParts
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import PlatformRefused
from chamade_mcp.model.ids import ConversationRef, MessageRef
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing

T = TypeVar("T")

_LINK_LIFE: Final = timedelta(minutes=15)
_TOKEN: Final = re.compile(r"(?:^|#)([A-Za-z0-9_-]{43})$")
_MOST_FILES: Final = 10
_MOST_BYTES: Final = 24 * 1024 * 1024
"""Of the files of one message: Discord takes requests of 25 MiB."""
_NOBODY: Final = {"parse": list[str](), "replied_user": True}
"""Whatever an agent writes calls nobody, but whom it answers is told so, as people are."""
_UNREPEATED_S: Final = 120.0
""""The past few minutes", in which Discord knows a nonce again."""
_DOUBTS: Final = 1000
_EPHEMERAL: Final = 1 << 6
_ANSWER: Final = 4
_CUSTOM: Final = re.compile(r"<?a?:?(\w{2,32}:[0-9]{1,20})>?", re.ASCII)


class DiscordMessages:
    """`Messages` with the facets `Edits`, `Deletes` and `Reacts`."""

    def __init__(self, ctx: Context, api: RestApi, me: User, fate: Fate) -> None:
        self._ctx = ctx
        self._api = api
        self._me = me
        self._fate = fate
        self._parts = SentParts()
        self._doubts: Recent[str, float] = Recent(_DOUBTS)
        """Since when it is not known whether a message is out, by its key."""

    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        doubtful = self._doubts.get(message.key)
        if doubtful is not None and self._ctx.clock.monotonic() - doubtful > _UNREPEATED_S:
            return Delivery(DeliveryState.UNKNOWN, detail="Discord did not answer")
        try:
            return Delivery(DeliveryState.DELIVERED, await self._fate.decided_by(self._send(to, message)))
        except Unanswered as error:
            # Discord knows a message again by its nonce, so it can be sent once more, for a while.
            if doubtful is None:
                self._doubts[message.key] = self._ctx.clock.monotonic()
            raise PlatformUnavailable(str(error)) from None

    async def typing(self, to: ConversationRef) -> None:
        # It is shown for ten seconds at most: not worth a word.
        with suppress(PlatformRefused, Unanswered):
            await self._fate.decided_by(self._api.call("POST", "/channels/{}/typing", to))

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        """It opens the bot's profile; the person then gives it to the bot's command."""
        token = await self._ctx.people.issue(scope)
        until = self._ctx.clock.now() + _LINK_LIFE
        url = f"https://discord.com/users/{self._me.id}#{token}"
        return url, Invite(scope, InviteKind.CHAT, "", f"Chat with {agent_name}", agent_name, until)

    async def edit(self, to: ConversationRef, ref: MessageRef, message: Outgoing) -> None:
        words = {"content": message.text, "allowed_mentions": _NOBODY}
        await self._once("PATCH", "/channels/{}/messages/{}", to, ref, json=words)

    async def delete(self, to: ConversationRef, ref: MessageRef) -> None:
        await self._once("DELETE", "/channels/{}/messages/{}", to, ref, fine=UNKNOWN_MESSAGE)

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        custom = _CUSTOM.fullmatch(emoji)
        named = custom[1] if custom else emoji
        method = "PUT" if on else "DELETE"
        await self._once(method, "/channels/{}/messages/{}/reactions/{}/@me", to, ref, named)

    # --- for the ears --------------------------------------------------------------------------------------

    def token_of(self, link: str) -> str:
        """What `invite` put into a link; the token alone will do. "" for what is neither."""
        found = _TOKEN.search(link.strip())
        return found[1] if found else ""

    async def direct(self, user: str) -> ConversationRef | None:
        """Where somebody is written to; None when the bot may not."""
        try:
            return ConversationRef(await self._fate.decided_by(self._api.direct(user))) or None
        except (PlatformRefused, PlatformUnavailable, Unanswered):
            return None

    async def tell(self, to: ConversationRef, words: str) -> bool:
        """A line of the gateway's own, not worth more than one try; whether it is out."""
        said = {"content": words, "allowed_mentions": _NOBODY}
        try:
            await self._fate.decided_by(self._api.call("POST", "/channels/{}/messages", to, json=said))
        except (PlatformRefused, PlatformUnavailable, Unanswered):
            return False
        return True

    async def reply(self, command: Command, words: str) -> None:
        """To a command, seen by who gave it alone. It is of use for three seconds."""
        data = {"content": words, "flags": _EPHEMERAL, "allowed_mentions": _NOBODY}
        answer = {"type": _ANSWER, "data": data}
        route = "/interactions/{}/{}/callback"
        with suppress(PlatformRefused, PlatformUnavailable, Unanswered):
            await self._api.call("POST", route, command.id, command.token, json=answer, counted=False)

    # --- inside --------------------------------------------------------------------------------------------

    async def _send(self, to: ConversationRef, message: Outgoing) -> MessageRef:
        """The first part's reference: that which has the text."""
        refs: list[MessageRef] = []
        for number, files in enumerate(batches(message.attachments)):
            said: dict[str, object] = {"content": message.text} if message.text and not number else {}
            if message.reply_to is not None and not number:
                said["message_reference"] = {"message_id": message.reply_to, "fail_if_not_exists": False}
            said |= {"nonce": nonce(message.key, number), "enforce_nonce": True, "allowed_mentions": _NOBODY}
            refs.append(
                await self._parts.once(message.key, number, lambda s=said, f=files: self._post(to, s, f))
            )
        return refs[0]

    async def _post(self, to: str, said: Mapping[str, object], files: Sequence[Attachment]) -> MessageRef:
        route = "/channels/{}/messages"
        if not files:
            told = await self._api.call("POST", route, to, json=said)
            return MessageRef(str(told.get("id", "")))
        listed = [{"id": number, "filename": file.name} for number, file in enumerate(files)]
        parts = [
            FilePart(f"files[{number}]", file.name, file.mime, await self._ctx.files.open(file))
            for number, file in enumerate(files)
        ]
        form = Form({"payload_json": json.dumps({**said, "attachments": listed})}, parts)
        told = await self._api.call("POST", route, to, form=form)
        return MessageRef(str(told.get("id", "")))

    async def _once(self, method: str, route: str, *ids: str, **more: Any) -> None:
        with repeatable():
            await self._fate.decided_by(self._api.call(method, route, *ids, **more))


def batches(files: Sequence[Attachment]) -> list[list[Attachment]]:
    """What goes out together; one that is empty where there are none."""
    found: list[list[Attachment]] = [[]]
    size = 0
    for file in files:
        full = len(found[-1]) == _MOST_FILES or size + file.size_bytes > _MOST_BYTES
        if full and found[-1]:
            found.append([])
            size = 0
        found[-1].append(file)
        size += file.size_bytes
    return found


def nonce(key: str, number: int) -> str:
    """25 characters at most, the same for the same part of the same message."""
    digest = hashlib.sha256(f"{key}/{number}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:24].decode()
