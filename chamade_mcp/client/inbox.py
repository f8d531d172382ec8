"""Direct messages: read, wait, answer."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from chamade_mcp.client.errors import ChamadeError
from chamade_mcp.client.http import Http, segment
from chamade_mcp.client.reading import record
from chamade_mcp.client.records import (
    Account,
    Attachable,
    Attachment,
    Conversation,
    Message,
    Sent,
    attachable,
)
from chamade_mcp.client.retry import helps, pause
from chamade_mcp.model.limits import LONGEST_WAIT_S

_OUTAGE_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Incoming:
    """Something a person wrote to the agent."""

    platform: str
    conversation_id: str
    remote_name: str
    """Of the conversation."""
    message: Message

    @property
    def text(self) -> str:
        return self.message.text

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        return self.message.attachments


@dataclass(frozen=True, slots=True)
class News:
    """What came after a cursor."""

    conversations: tuple[Conversation, ...]
    """Those with news, with all that is new in them; after a `reset` all of them, with `last_message`."""
    cursor: str
    """Where to go on once this has been dealt with."""
    reset: bool = False
    """The cursor names no message that is there: begin anew from `conversations`."""

    @property
    def incoming(self) -> tuple[Incoming, ...]:
        """What people wrote, in order; after a `reset` the messages that are the last of their
        conversation."""
        found = [
            Incoming(one.platform, one.conversation_id, one.remote_name, message)
            for one in self.conversations
            for message in (one.messages or ((one.last_message,) if one.last_message else ()))
            if message.direction == "inbound"
        ]
        return tuple(sorted(found, key=lambda incoming: incoming.message.timestamp))


class Inbox:
    """``client.inbox``. Every method raises `Refused` or `Unreachable`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def conversations(
        self, *, limit: int = 50, offset: int = 0, status: str = "active"
    ) -> tuple[Conversation, ...]:
        """The newest first, each with its `last_message`."""
        query = {"limit": limit, "offset": offset, "status": status}
        return record(_Answer, await self._http.ask("GET", "/api/inbox", query=query)).conversations

    async def conversation(self, conversation_id: str, *, limit: int = 50) -> Conversation:
        """One, with its newest `limit` messages. Raises `NotFound`."""
        path = f"/api/inbox/{segment(conversation_id)}"
        return record(Conversation, await self._http.ask("GET", path, query={"limit": limit}))

    async def news(self, cursor: str, *, wait_s: int = 0, platform: str | None = None) -> News:
        """What is newer than `cursor`, as soon as there is something, at the latest after `wait_s` (55 at
        most)."""
        query: dict[str, str | int] = {"last_message_cursor": cursor, "wait": wait_s}
        if platform is not None:
            query["platform"] = platform
        answer = record(_Answer, await self._http.ask("GET", "/api/inbox", query=query, longer_s=wait_s))
        return News(answer.conversations, answer.last_message_cursor, answer.reset)

    async def listen(self, cursor: str | None = None, *, platform: str | None = None) -> AsyncGenerator[News]:
        """News without end, each as soon as it is there, from `cursor` on or from now.

        Keep `News.cursor` once its messages are dealt with: whoever begins there again misses and repeats
        nothing. A gateway that cannot be reached is asked again until it can; only what no waiting helps
        against is raised, such as a key that was revoked.
        """
        if cursor is None:
            cursor = record(Account, await self._http.ask("GET", "/api/account")).last_message_cursor
        while True:
            try:
                news = await self.news(cursor, wait_s=LONGEST_WAIT_S, platform=platform)
            except ChamadeError as error:
                if not helps(error):
                    raise
                await pause(
                    max(_OUTAGE_PAUSE_S, error.retry_after or 0)
                )  # it has been tried several times already
                continue
            cursor = news.cursor
            if news.conversations or news.reset:
                yield news

    async def messages(
        self, cursor: str | None = None, *, platform: str | None = None
    ) -> AsyncGenerator[Incoming]:
        """What people write, one message after the other, without end; `listen` for those who keep no cursor.

        After a reset the last message of each conversation comes, if a person wrote it, and perhaps again.
        """
        async for news in self.listen(cursor, platform=platform):
            for incoming in news.incoming:
                yield incoming

    async def send(
        self,
        platform: str,
        text: str = "",
        *,
        conversation_id: str | None = None,
        attachments: Sequence[Attachable] = (),
        keep_typing: bool = False,
        reply_to: str | None = None,
        thread: str | None = None,
        split: bool = False,
        key: str | None = None,
    ) -> Sent:
        """Writes `text` (up to 10,000 characters) or files to a conversation, by default the platform's
        newest. `reply_to` is the id of a message that is quoted; `split` lets what is too long for the
        platform go out as several messages.

        Sent once, however often it has to be tried. `key` (1 to 255 characters) names this message across
        restarts of your program: the same again within 24 hours is the same message. `keep_typing` says that
        more is coming. Raises `NotFound` when nobody has written there, `GatewayFailed` when the platform
        refuses.
        """
        body: dict[str, object] = {
            "platform": platform,
            "text": text,
            "attachments": attachable(attachments),
            "keep_typing": keep_typing,
        }
        more = {"conversation_id": conversation_id, "reply_to": reply_to, "thread": thread, "split": split}
        body |= {name: value for name, value in more.items() if value}
        answer = await self._http.ask("POST", "/api/dm/chat", body=body, key=key or uuid4().hex)
        return record(Sent, answer)

    async def reply(
        self,
        to: Incoming,
        text: str = "",
        *,
        attachments: Sequence[Attachable] = (),
        keep_typing: bool = False,
        key: str | None = None,
    ) -> Sent:
        """`send` to where a message came from."""
        return await self.send(
            to.platform,
            text,
            conversation_id=to.conversation_id,
            attachments=attachments,
            keep_typing=keep_typing,
            key=key,
        )

    async def edit(self, message_id: str, text: str) -> None:
        """What the agent said says `text` from now on; attachments stay. Raises `InvalidRequest` where the
        platform cannot, `Forbidden` for what others said, `Conflict` while it is not out."""
        await self._http.ask("PATCH", _message(message_id), body={"text": text})

    async def delete(self, message_id: str) -> None:
        """Takes back what the agent said; twice is harmless. Raises as `edit` does."""
        await self._http.ask("DELETE", _message(message_id))

    async def react(self, message_id: str, emoji: str, *, remove: bool = False) -> None:
        """Puts an emoji on anybody's message, or takes it away; twice is harmless. Raises as `edit` does, and
        `GatewayFailed` for an emoji that the platform does not take."""
        body = {"emoji": emoji, "remove": remove}
        await self._http.ask("POST", f"{_message(message_id)}/react", body=body)

    async def typing(self, platform: str, *, conversation_id: str | None = None) -> None:
        """Shows that the agent is typing; about every 55 s while an answer takes longer than a minute."""
        body = {"platform": platform}
        if conversation_id is not None:
            body["conversation_id"] = conversation_id
        await self._http.ask("POST", "/api/dm/typing", body=body)

    async def retry(self, message_id: str) -> Sent:
        """Sends again what has failed, or may have, under the same id. Raises `Conflict` when it has not."""
        return record(Sent, await self._http.ask("POST", f"{_message(message_id)}/retry"))


def _message(message_id: str) -> str:
    return f"/api/messages/{segment(message_id)}"


@dataclass(frozen=True, slots=True)
class _Answer:
    conversations: tuple[Conversation, ...]
    last_message_cursor: str
    reset: bool = False
