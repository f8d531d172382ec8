"""Activities of the Bot Framework as Teams sends them, as typed as the gateway needs them. Pure; only
`Unreadable` is raised.

https://github.com/microsoft/botframework-sdk/blob/main/specs/botframework-activity/botframework-activity.md
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

TEAMS: Final = "msteams"
FILE: Final = "application/vnd.microsoft.teams.file.download.info"
_THREAD: Final = ";messageid="
_MOST_PARTS: Final = 100
_LONGEST_KEPT: Final = 2000
"""Of an address that is remembered."""
_AT: Final = re.compile(r"</?at(?:\s[^<>]*)?>")
_QUOTED: Final = re.compile(r"<quoted\s[^<>]*/>")
_REPLY: Final = re.compile(r"""itemtype=["'][^"']*/Reply["'][^>]*?itemid=["']([^"']{1,190})["']""")
_BLANKS: Final = re.compile("[ \t]{2,}")


class Unreadable(ValueError):
    """It is no activity of Teams's."""


def _text(value: object) -> object:
    """A number or nothing where a text is expected: Teams is not strict."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _list(value: object) -> object:
    if isinstance(value, list):
        return cast("list[Any]", value)[:_MOST_PARTS]
    return () if value is None else value


def _moment(value: object) -> object:
    """A time stamp; what is none is unknown."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


Part = TypeVar("Part", bound=BaseModel)
String = TypeVar("String", bound=str)
Loose = Annotated[String | Annotated[String, BeforeValidator(_text)], Field(union_mode="left_to_right")]
"""What is a text already is read without a call of ours, which would take longer than all of it."""
Text = Loose[str]
Name = Loose[Annotated[str, Field(max_length=190)]]
Url = Loose[Annotated[str, Field(max_length=1000)]]
Ref = Annotated[str, Field(min_length=1, max_length=190)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Parts = Annotated[tuple[Any, ...], BeforeValidator(_list)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Account(_Wire):
    id: Ref
    name: Text = ""
    aad_object_id: Name = ""

    @property
    def person(self) -> str:
        """The same for every bot, and in what Microsoft says when the person signs in; the bot's own name for
        somebody who is in no directory."""
        return self.aad_object_id.lower() or self.id


class Conversation(_Wire):
    id: Ref
    name: Text = ""
    conversation_type: Text = ""
    tenant_id: Text = ""


class _Named(_Wire):
    id: Text = ""
    name: Text = ""


class ChannelData(_Wire):
    tenant: _Named | None = None
    team: _Named | None = None
    channel: _Named | None = None


class Attachment(_Wire):
    content_type: Text = ""
    content_url: Text = ""
    name: Text = ""
    content: Any = None

    @property
    def download_url(self) -> str:
        """Where a file lies, for a few minutes and without a token; "" for what is no file."""
        return self._told("downloadUrl") if self.content_type == FILE else ""

    @property
    def picture(self) -> bool:
        """Put into the text by the person: it lies where the bot's token is needed."""
        return self.content_type.startswith("image/") and 0 < len(self.content_url) <= _LONGEST_KEPT

    @property
    def quoted(self) -> str:
        """The message that a reply quotes, as the mirror of the text in HTML has it."""
        if self.content_type == "text/html" and isinstance(self.content, str):
            found = _REPLY.search(self.content[:20_000])
            return found[1] if found else ""
        found = self._told("messageId") if self.content_type == "messageReference" else ""
        return found if len(found) <= 190 else ""

    def _told(self, name: str) -> str:
        content: object = self.content
        value = cast("dict[str, Any]", content).get(name) if isinstance(content, dict) else None
        return value if isinstance(value, str) else ""


class _Quote(_Wire):
    message_id: Name = ""


class Entity(_Wire):
    type: Text = ""
    mentioned: _Named | None = None
    text: Text = ""
    quoted_reply: _Quote | None = None


class Reaction(_Wire):
    type: Ref


class Activity(_Wire):
    """Lists are read entry by entry: one that cannot be read is left out."""

    type: Ref
    id: Name = ""
    channel_id: Text = ""
    service_url: Url = ""
    timestamp: Moment = None
    from_: Account | None = Field(default=None, alias="from")
    recipient: Account | None = None
    conversation: Conversation
    text: Text = ""
    reply_to_id: Name = ""
    name: Text = ""
    action: Text = ""
    value: Any = None
    channel_data: ChannelData | None = None
    raw_attachments: Parts = Field(default=(), alias="attachments")
    raw_entities: Parts = Field(default=(), alias="entities")
    raw_added: Parts = Field(default=(), alias="reactionsAdded")
    raw_removed: Parts = Field(default=(), alias="reactionsRemoved")
    raw_members: Parts = Field(default=(), alias="membersAdded")

    @property
    def attachments(self) -> list[Attachment]:
        return _each(Attachment, self.raw_attachments)

    @property
    def added(self) -> list[str]:
        return [one.type for one in _each(Reaction, self.raw_added)]

    @property
    def removed(self) -> list[str]:
        return [one.type for one in _each(Reaction, self.raw_removed)]

    @property
    def members_added(self) -> list[Account]:
        return _each(Account, self.raw_members)

    @property
    def tenant(self) -> str:
        told = self.channel_data.tenant if self.channel_data else None
        return (told.id if told else "") or self.conversation.tenant_id

    @property
    def place(self) -> str:
        """The chat or channel, whatever thread of it this is in."""
        return self.conversation.id.partition(_THREAD)[0]

    @property
    def thread(self) -> str:
        """The post of a channel below which this stands; "" elsewhere."""
        return self.conversation.id.partition(_THREAD)[2]

    @property
    def group(self) -> str | None:
        """The name of the channel or group, "" for one without; None: a person and the bot alone."""
        kind = self.conversation.conversation_type
        if kind == "personal":
            return None
        data = self.channel_data or ChannelData()
        if kind == "channel":
            return " / ".join(named.name for named in (data.team, data.channel) if named and named.name)
        return self.conversation.name

    @property
    def team(self) -> str:
        """The id of the team that its channel belongs to; "" elsewhere."""
        told = self.channel_data.team if self.channel_data else None
        return told.id if told and self.conversation.conversation_type == "channel" else ""

    def mentions(self, bot: str) -> bool:
        return any(_mentioned(entity) == bot for entity in self._entities())

    def said(self, bot: str) -> str:
        """What the person wrote: the bot's own name is left out, others' stay as ``@name``."""
        text = self.text.replace("\xa0", " ")
        for entity in self._entities():
            if entity.type == "mention" and entity.text:
                name = entity.mentioned.name if entity.mentioned else ""
                text = text.replace(entity.text, "" if _mentioned(entity) == bot else f"@{name}", 1)
        if "<" in text:
            text = _AT.sub("", _QUOTED.sub("", text))
        text = _BLANKS.sub(" ", text).strip()
        return "\n".join(line.strip() for line in text.split("\n")) if "\n" in text else text

    @property
    def quotes(self) -> str:
        """The message that this one answers; "" for none."""
        for entity in self._entities():
            if entity.quoted_reply is not None and entity.quoted_reply.message_id:
                return entity.quoted_reply.message_id
        for attachment in self.attachments:
            if attachment.quoted:
                return attachment.quoted
        return "" if self.reply_to_id == self.thread else self.reply_to_id

    def _entities(self) -> list[Entity]:
        return _each(Entity, self.raw_entities)


class UploadInfo(_Wire):
    upload_url: Text = ""
    content_url: Text = ""
    name: Text = ""
    unique_id: Text = ""
    file_type: Text = ""


class Consent(_Wire):
    """What a person said to the card that offers them a file."""

    action: Text = ""
    context: Any = None
    upload_info: UploadInfo | None = None


# Without what `model_validate_json` does around it: some of the time that reading takes.
_read_json: Final = TypeAdapter(Activity).validator.validate_json


def read_activity(raw: bytes) -> Activity:
    """Raises `Unreadable`."""
    try:
        return _read_json(raw)
    except (ValidationError, RecursionError) as error:
        raise Unreadable("not an activity") from error


def read_consent(value: object) -> Consent:
    """Raises `Unreadable`."""
    try:
        return Consent.model_validate(value)
    except (ValidationError, RecursionError) as error:
        raise Unreadable("no answer to an offer of a file") from error


def in_thread(place: str, thread: str) -> str:
    """The conversation below a post of a channel."""
    return f"{place}{_THREAD}{thread}"


def _mentioned(entity: Entity) -> str:
    return entity.mentioned.id if entity.type == "mention" and entity.mentioned else ""


def _each(kind: type[Part], raw: tuple[Any, ...]) -> list[Part]:
    found: list[Part] = []
    for one in raw:
        try:
            found.append(kind.model_validate(one))
        except (ValidationError, RecursionError):
            continue
    return found
