"""Discord's JSON, as typed as the gateway needs it. Pure; nothing but `Unreadable` is raised.

Shapes: https://docs.discord.com/developers/events/gateway-events and .../resources/message
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_EPOCH: Final = datetime(2015, 1, 1, tzinfo=UTC)
"""Discord's own, from which the milliseconds of an id count."""
_SAID: Final = frozenset({0, 19, 20, 23})
"""Types of messages in which somebody says something (plain, a reply, an answer to a command); the others
tell of joins, pins, boosts and the like."""
_REPLY: Final = 19
_FORWARD: Final = 1
_COMMAND: Final = 2

Id = Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]
"""A snowflake. Never a number: digits would be lost."""


class Unreadable(ValueError):
    """It is nothing that Discord sends."""


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class User(Wire):
    id: Id
    username: str = ""
    global_name: str | None = None

    @property
    def name(self) -> str:
        return self.global_name or self.username or self.id


class _Member(Wire):
    """Somebody on a server. Beside a message it has no user: that is the author."""

    nick: str | None = None
    user: User | None = None


class File(Wire):
    """What the documents call an attachment."""

    id: Id
    filename: str = ""
    content_type: str | None = None
    size: int | None = None
    url: str = ""

    @property
    def mime(self) -> str:
        """Without its parameters."""
        return (self.content_type or "").partition(";")[0].strip() or "application/octet-stream"


class _Sticker(Wire):
    name: str = ""


class _Embed(Wire):
    title: str | None = None
    description: str | None = None


class _Words(Wire):
    text: str | None = None


class _Choice(Wire):
    poll_media: _Words


class _Poll(Wire):
    question: _Words
    answers: tuple[_Choice, ...] = Field(default=(), strict=False)

    @property
    def words(self) -> str:
        choices = [f"- {one.poll_media.text}" for one in self.answers]
        return "\n".join([f"Poll: {self.question.text}", *choices])


class Said(Wire):
    """What is in a message, or in one that was forwarded."""

    content: str = ""
    attachments: tuple[File, ...] = Field(default=(), strict=False)
    sticker_items: tuple[_Sticker, ...] = Field(default=(), strict=False)
    embeds: tuple[_Embed, ...] = Field(default=(), strict=False)
    poll: _Poll | None = None
    mentions: tuple[User, ...] = Field(default=(), strict=False)
    mention_roles: tuple[Id, ...] = Field(default=(), strict=False)

    @property
    def own_words(self) -> str:
        """As Discord writes them, or what stands for them."""
        if self.content or self.attachments:
            return self.content
        if self.sticker_items:
            return "\n".join(f":{sticker.name}:" for sticker in self.sticker_items)
        if self.poll is not None:
            return self.poll.words
        # Of bots, mostly: people's embeds are previews of the links in their words.
        return "\n".join(line for one in self.embeds for line in (one.title, one.description) if line)


class _Snapshot(Wire):
    message: Said


class _Reference(Wire):
    type: int = 0
    message_id: Id | None = None


class _Quoted(Wire):
    author: User


class _Placed(Wire):
    channel_id: Id
    guild_id: Id | None = None
    """The server; a direct message has none."""


class Message(Said, _Placed):
    id: Id
    author: User
    member: _Member | None = None
    type: int = 0
    message_reference: _Reference | None = None
    referenced_message: _Quoted | None = None
    message_snapshots: tuple[_Snapshot, ...] = Field(default=(), strict=False)

    @property
    def says_something(self) -> bool:
        return self.type in _SAID and bool(self.words or self.files)

    @property
    def words(self) -> str:
        return "\n".join(words for one in self._parts if (words := one.own_words))

    @property
    def files(self) -> list[File]:
        return [file for one in self._parts for file in one.attachments]

    @property
    def called(self) -> dict[str, str]:
        """Names of the people whom its words call, by id."""
        return {user.id: user.name for one in self._parts for user in one.mentions}

    @property
    def author_name(self) -> str:
        """As the server calls them, where it has a name of its own for them."""
        return (self.member.nick if self.member else None) or self.author.name

    @property
    def answers(self) -> str | None:
        """The message it is a reply to."""
        reference = self.message_reference
        replied = self.type == _REPLY and reference is not None and reference.type != _FORWARD
        return reference.message_id if replied and reference is not None else None

    @property
    def sent_at(self) -> datetime:
        return _EPOCH + timedelta(milliseconds=int(self.id) >> 22)

    def mentions_user(self, user: str) -> bool:
        """Called by name, or answered."""
        quoted = self.referenced_message
        answered = self.answers is not None and quoted is not None and quoted.author.id == user
        return answered or any(one.id == user for one in self.mentions)

    @property
    def _parts(self) -> tuple[Said, ...]:
        return (self, *(snapshot.message for snapshot in self.message_snapshots))


class Changed(Message):
    """A message as it is now; told also when only its preview of a link has changed."""

    edited_timestamp: str | None = None


class Deleted(_Placed):
    ids: tuple[Id, ...] = Field(strict=False)


class _Emoji(Wire):
    id: Id | None = None
    name: str | None = None


class Reacted(_Placed):
    added: bool
    message_id: Id
    user_id: Id
    member: _Member | None = None
    emoji: _Emoji

    @property
    def shown(self) -> str:
        """The character, or the name of an emoji that a server has made; "" when that is gone."""
        name = self.emoji.name or ""
        return f":{name}:" if self.emoji.id is not None and name else name

    @property
    def member_name(self) -> str:
        """Where the event tells it: on servers, for what is added."""
        if self.member is None or self.member.user is None:
            return ""
        return self.member.nick or self.member.user.name


class _Option(Wire):
    name: str
    value: Any = None


class _Called(Wire):
    name: str
    options: tuple[_Option, ...] = Field(default=(), strict=False)


class Command(Wire):
    """Somebody used a slash command."""

    id: Id
    token: str = Field(min_length=1, max_length=1000)
    data: _Called
    guild_id: Id | None = None
    member: _Member | None = None
    user: User | None = None

    @property
    def who(self) -> User | None:
        """On a server it stands within the member."""
        return self.user or (self.member.user if self.member else None)

    def option(self, name: str) -> str:
        return next((str(one.value) for one in self.data.options if one.name == name), "")


T = TypeVar("T", bound=Wire)

Event = Message | Changed | Deleted | Reacted | Command


class Frame(Wire):
    """What comes over the Gateway's socket."""

    op: int
    d: Any = None
    s: int | None = None
    t: str | None = None


class Hello(Wire):
    heartbeat_interval: Annotated[int, Field(gt=0, le=3_600_000)]
    """Milliseconds."""


class Ready(Wire):
    session_id: str = Field(min_length=1, max_length=200)
    resume_gateway_url: str = Field(min_length=1, max_length=500)


class Application(Wire):
    id: Id
    flags: int = 0


class Entrance(Wire):
    """Where the Gateway is, and how often one may begin there."""

    class Starts(Wire):
        remaining: int
        reset_after: int
        """Milliseconds."""

    url: str
    session_start_limit: Starts


class Channel(Wire):
    id: Id
    type: int
    guild_id: Id | None = None
    name: str | None = None
    parent_id: Id | None = None
    recipients: tuple[User, ...] = Field(default=(), strict=False)
    """Of a direct channel: whom it is with."""

    @property
    def is_thread(self) -> bool:
        return self.type in (10, 11, 12)


class Role(Wire):
    class Tags(Wire):
        bot_id: Id | None = None

    id: Id
    name: str = ""
    tags: Tags | None = None


class Guild(Wire):
    """What people call a server."""

    id: Id
    name: str = ""
    roles: tuple[Role, ...] = Field(default=(), strict=False)

    def role_of(self, bot: str) -> str | None:
        """The role that Discord made for a bot, under its name."""
        return next((role.id for role in self.roles if role.tags and role.tags.bot_id == bot), None)


def read_frame(raw: str | bytes) -> Frame:
    try:
        return Frame.model_validate(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise Unreadable("not a frame of the Gateway's") from error


def read_event(name: str | None, told: object) -> Event | None:
    """What happened; None for what the gateway has no use for."""
    about = members(told)
    match name:
        case "MESSAGE_CREATE":
            return read(Message, told)
        case "MESSAGE_UPDATE":
            return read(Changed, told) if "author" in about else None
        case "MESSAGE_DELETE":
            return read(Deleted, {**about, "ids": [about.get("id")]})
        case "MESSAGE_DELETE_BULK":
            return read(Deleted, told)
        case "MESSAGE_REACTION_ADD" | "MESSAGE_REACTION_REMOVE":
            return read(Reacted, {**about, "added": name.endswith("ADD")})
        case "INTERACTION_CREATE":
            return read(Command, told) if about.get("type") == _COMMAND else None
        case _:
            return None


def members(told: object) -> dict[str, Any]:
    """Of a JSON object; none of anything else."""
    return cast("dict[str, Any]", told) if isinstance(told, Mapping) else {}


def read(kind: type[T], told: object) -> T:
    """`told`, which Discord says is a `kind`."""
    try:
        return kind.model_validate(told)
    except (ValidationError, RecursionError) as error:
        raise Unreadable(f"no {kind.__name__.lower()} of Discord's") from error
