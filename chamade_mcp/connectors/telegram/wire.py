"""Telegram's JSON, as typed as the gateway needs it. Pure; nothing but `Unreadable` is raised.

Field names and types: https://core.telegram.org/bots/api#update
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

UPDATES: Final = ("message", "edited_message", "channel_post", "edited_channel_post", "message_reaction")
"""`allowed_updates`: reactions come only to who asks for them."""
_LAST_S: Final = 253_402_300_799
"""The last second of the year 9999: there are no later dates."""
_PRIVATE: Final = "private"
_FILES: Final = ("photo", "animation", "document", "audio", "voice", "video", "video_note", "sticker")
"""Fields of a message with a file."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Id = Annotated[int, Field(ge=-(1 << 53), le=1 << 53)]


class Unreadable(ValueError):
    """It is no update of Telegram's."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class User(_Wire):
    id: Id
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""
    username: str = ""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.username or str(self.id)


class Chat(_Wire):
    id: Id
    type: str
    title: str = ""

    @property
    def group(self) -> str | None:
        """The name of a group or channel; None for a private chat."""
        return None if self.type == _PRIVATE else self.title


class Entity(_Wire):
    type: str
    offset: int
    length: int
    user: User | None = None

    def of(self, text: str) -> str:
        """The piece of `text` it marks. Offsets count UTF-16 units."""
        units = text.encode("utf-16-le", "surrogatepass")
        return units[2 * self.offset : 2 * (self.offset + self.length)].decode("utf-16-le", "replace")


class File(_Wire):
    """A photo size, document, audio, voice, video, animation or sticker."""

    file_id: str = Field(min_length=1, max_length=1000)
    file_name: str = ""
    mime_type: str = ""
    file_size: int | None = None
    is_animated: bool = False
    is_video: bool = False
    emoji: str = ""


class Location(_Wire):
    latitude: float
    longitude: float


class Contact(_Wire):
    phone_number: str
    first_name: str = ""
    last_name: str = ""


class Quoted(_Wire):
    """The message that one answers."""

    message_id: Id
    from_: User | None = Field(default=None, alias="from")


class Message(_Wire):
    message_id: Id
    date: Annotated[int, Field(ge=0, le=_LAST_S)]
    chat: Chat
    from_: User | None = Field(default=None, alias="from")
    sender_chat: Chat | None = None
    message_thread_id: Id | None = None
    is_topic_message: bool = False
    reply_to_message: Quoted | None = None
    text: str = ""
    entities: tuple[Entity, ...] = Field(default=(), strict=False)
    caption: str = ""
    caption_entities: tuple[Entity, ...] = Field(default=(), strict=False)
    photo: tuple[File, ...] = Field(default=(), strict=False)
    animation: File | None = None
    document: File | None = None
    audio: File | None = None
    voice: File | None = None
    video: File | None = None
    video_note: File | None = None
    sticker: File | None = None
    location: Location | None = None
    contact: Contact | None = None

    @property
    def said(self) -> str:
        """What the person wrote, or what stands for it."""
        if self.text or self.caption:
            return self.text or self.caption
        if self.sticker is not None:
            return self.sticker.emoji
        if self.location is not None:
            return f"Location: {self.location.latitude:.6f}, {self.location.longitude:.6f}"
        if self.contact is not None:
            name = f"{self.contact.first_name} {self.contact.last_name}".strip()
            return f"Contact: {name} {self.contact.phone_number}"
        return ""

    @property
    def files(self) -> list[File]:
        """What came with it, each with a name and a type."""
        if self.model_fields_set.isdisjoint(_FILES):
            return []
        kinds = (
            (self.photo[-1] if self.photo else None, "photo.jpg", "image/jpeg"),  # the last is the largest
            (self.animation, "animation.mp4", "video/mp4"),
            # A document beside an animation is the same file, for old clients.
            (None if self.animation else self.document, "file", "application/octet-stream"),
            (self.audio, "audio.mp3", "audio/mpeg"),
            (self.voice, "voice.ogg", "audio/ogg"),
            (self.video, "video.mp4", "video/mp4"),
            (self.video_note, "video.mp4", "video/mp4"),
            (self.sticker, *_sticker_kind(self.sticker)),
        )
        return [
            file.model_copy(update={"file_name": file.file_name or name, "mime_type": file.mime_type or mime})
            for file, name, mime in kinds
            if file is not None
        ]

    @property
    def thread(self) -> str | None:
        """The topic of a forum."""
        return str(self.message_thread_id) if self.is_topic_message and self.message_thread_id else None

    @property
    def sent_at(self) -> datetime:
        return _EPOCH + timedelta(seconds=self.date)

    @property
    def author(self) -> tuple[str, str] | None:
        """Reference and name: of a person, or of a group or channel that speaks for itself."""
        if self.sender_chat is not None:
            return str(self.sender_chat.id), self.sender_chat.title or str(self.sender_chat.id)
        return None if self.from_ is None else (str(self.from_.id), self.from_.name)

    def start_token(self) -> str | None:
        """What stands behind ``/start``, as a deep link sends it."""
        command, _, rest = self.text.partition(" ")
        return rest.strip() if command == "/start" and self.chat.group is None and rest.strip() else None

    def mentions(self, me: User) -> bool:
        """Whether `me` is called by name, by a command of its own, or answered."""
        if self.reply_to_message and self.reply_to_message.from_ and self.reply_to_message.from_.id == me.id:
            return True
        name = f"@{me.username}".casefold()
        text, entities = (self.text, self.entities) if self.text else (self.caption, self.caption_entities)
        for entity in entities:
            if entity.type == "text_mention" and entity.user is not None and entity.user.id == me.id:
                return True
            marked = entity.of(text).casefold()
            if entity.type == "mention" and marked == name:
                return True
            if entity.type == "bot_command" and marked.endswith(name):
                return True
        return False


class Reaction(_Wire):
    type: str
    emoji: str = ""


class Reacted(_Wire):
    chat: Chat
    message_id: Id
    user: User | None = None
    actor_chat: Chat | None = None
    new_reaction: tuple[Reaction, ...] = Field(default=(), strict=False)

    @property
    def author(self) -> tuple[str, str] | None:
        if self.user is not None:
            return str(self.user.id), self.user.name
        return None if self.actor_chat is None else (str(self.actor_chat.id), self.actor_chat.title)

    @property
    def emoji(self) -> tuple[str, ...]:
        """Those that everybody can see; emoji of Telegram's own have no character."""
        return tuple(one.emoji for one in self.new_reaction if one.type == "emoji" and one.emoji)


class _Numbered(_Wire):
    update_id: Id


class Update(_Numbered):
    message: Message | None = None
    edited_message: Message | None = None
    channel_post: Message | None = None
    edited_channel_post: Message | None = None
    message_reaction: Reacted | None = None


# Without what `model_validate_json` does around it: some of the time that reading takes.
_read_json: Final = TypeAdapter(Update).validator.validate_json


def read_update(raw: bytes) -> Update:
    """A webhook's body."""
    try:
        return _read_json(raw)
    except (ValidationError, RecursionError) as error:
        raise Unreadable("not an update of Telegram's") from error


def read_listed(raw: object) -> tuple[int, Update | None]:
    """One of those that getUpdates gave, after its number; None when the rest cannot be read.

    Raises `Unreadable` without a number: what comes after it could not be asked for.
    """
    try:
        number = _Numbered.model_validate(raw).update_id
    except ValidationError as error:
        raise Unreadable("an update without a number") from error
    try:
        return number, Update.model_validate(raw)
    except (ValidationError, RecursionError):
        return number, None


def _sticker_kind(sticker: File | None) -> tuple[str, str]:
    if sticker is None or not (sticker.is_animated or sticker.is_video):
        return "sticker.webp", "image/webp"
    if sticker.is_video:
        return "sticker.webm", "video/webm"
    return "sticker.tgs", "application/gzip"
