"""Webhooks of the WhatsApp Cloud API, as typed as the gateway needs them. Pure; only `Unreadable` is raised.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple, TypeVar

from pydantic import AliasPath, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S: Final = 253_402_300_799
_NAMES: Final = {
    "image": "photo.jpg",
    "video": "video.mp4",
    "audio": "audio.ogg",
    "voice": "voice.ogg",
    "sticker": "sticker.webp",
    "document": "file",
}


class Unreadable(ValueError):
    """It is no webhook of WhatsApp's."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


Part = TypeVar("Part")
OrAnything = Annotated[Part | Any, Field(union_mode="left_to_right")]
"""What cannot be read as a part stays as it is, and spoils none beside it."""
Ref = Annotated[str, Field(min_length=1, max_length=190)]


class Contact(_Wire):
    name: str = Field(default="", validation_alias=AliasPath("profile", "name"))
    username: str = Field(default="", validation_alias=AliasPath("profile", "username"))
    wa_id: str = ""
    user_id: str = ""


_NOBODY: Final = Contact()


class Context(_Wire):
    id: str = ""


class Body(_Wire):
    body: str = ""


class Media(_Wire):
    id: str = Field(default="", max_length=200)
    caption: str = ""
    filename: str = ""
    mime_type: str = ""
    voice: bool = False


class Location(_Wire):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class Reacted(_Wire):
    message_id: Ref
    emoji: str = ""


class Choice(_Wire):
    title: str = ""
    description: str = ""


class Interactive(_Wire):
    button_reply: Choice | None = None
    list_reply: Choice | None = None


class Button(_Wire):
    text: str = ""


class _PersonName(_Wire):
    formatted_name: str = ""


class _Phone(_Wire):
    phone: str = ""


class SharedContact(_Wire):
    name: _PersonName = _PersonName()
    phones: tuple[_Phone, ...] = ()


class Content(_Wire):
    """What a message says: a new one's, or that of one which was edited."""

    type: str = ""
    text: Body | None = None
    image: Media | None = None
    video: Media | None = None
    audio: Media | None = None
    document: Media | None = None
    sticker: Media | None = None
    location: Location | None = None
    contacts: tuple[SharedContact, ...] = ()
    interactive: Interactive | None = None
    button: Button | None = None

    @property
    def media(self) -> tuple[str, Media] | None:
        """The kind of file, and the file."""
        for kind in ("image", "video", "audio", "document", "sticker"):
            found: Media | None = getattr(self, kind)
            if found is not None and found.id:
                return ("voice" if kind == "audio" and found.voice else kind), found
        return None

    @property
    def said(self) -> str:
        """What the person wrote, or what stands for it."""
        if self.text is not None:
            return self.text.body
        if self.media is not None:
            return self.media[1].caption
        if self.location is not None:
            where = f"Location: {self.location.latitude:.6f}, {self.location.longitude:.6f}"
            return ", ".join(part for part in (where, self.location.name, self.location.address) if part)
        if self.interactive is not None:
            chosen = self.interactive.button_reply or self.interactive.list_reply
            return chosen.title if chosen else ""
        if self.button is not None:
            return self.button.text
        return "\n".join(
            " ".join(["Contact:", c.name.formatted_name, *(p.phone for p in c.phones)]) for c in self.contacts
        )


class _Edit(_Wire):
    original_message_id: Ref
    message: Content


class _Revoke(_Wire):
    original_message_id: Ref


class Message(Content):
    id: Ref
    from_: str = Field(default="", alias="from")
    timestamp: Any = None
    context: Context | None = None
    reaction: Reacted | None = None
    edit: _Edit | None = None
    revoke: _Revoke | None = None

    @property
    def sent_at(self) -> datetime | None:
        """The time stamp comes as text; what is none is unknown."""
        try:
            number = int(str(self.timestamp))
        except ValueError:
            return None
        return _EPOCH + timedelta(seconds=number) if 0 < number <= _LAST_S else None


class Problem(_Wire):
    code: int = 0
    title: str = ""
    message: str = ""
    error_data: dict[str, Any] = Field(default_factory=dict[str, Any])

    @property
    def words(self) -> str:
        details = self.error_data.get("details")
        return details if isinstance(details, str) and details else self.message or self.title


class Status(_Wire):
    id: Ref
    status: str
    recipient_id: str = ""
    recipient_user_id: str = ""
    errors: tuple[Problem, ...] = ()
    key: str = Field(default="", validation_alias="biz_opaque_callback_data")


class Value(_Wire):
    phone_number_id: str = Field(default="", validation_alias=AliasPath("metadata", "phone_number_id"))
    contacts: tuple[Contact, ...] = ()
    messages: tuple[OrAnything[Message], ...] = ()
    statuses: tuple[OrAnything[Status], ...] = ()


class _Change(_Wire):
    field: str = ""
    value: OrAnything[Value] = None


class _Entry(_Wire):
    changes: tuple[_Change, ...] = ()


class _Envelope(_Wire):
    object: str
    entry: tuple[_Entry, ...] = ()


# Without what `model_validate_json` does around it: some of the time that reading takes.
_read: Final = TypeAdapter(_Envelope).validator.validate_json


class Author(NamedTuple):
    """A person: by the id that WhatsApp made for this business, by the telephone number, or by both."""

    user_id: str
    wa_id: str
    name: str

    @property
    def ref(self) -> str:
        """The id where there is one: the number may be missing, and changes."""
        return self.user_id or self.wa_id


class Heard(NamedTuple):
    author: Author
    message: Message


def read_webhook(raw: bytes, phone_number_id: str) -> Iterator[Heard | Status]:
    """What it tells about one of our numbers. Parts that cannot be read are left out.

    Raises `Unreadable` before the first, when all of it is something else.
    """
    try:
        envelope: _Envelope = _read(raw)
    except (ValidationError, RecursionError) as error:
        raise Unreadable("not a webhook of WhatsApp's") from error
    if envelope.object != "whatsapp_business_account":
        raise Unreadable("a webhook about something else")
    return _each(envelope, phone_number_id)


def _each(envelope: _Envelope, phone_number_id: str) -> Iterator[Heard | Status]:
    for change in (change for entry in envelope.entry for change in entry.changes):
        value = change.value
        if change.field != "messages" or not isinstance(value, Value):
            continue
        if value.phone_number_id != phone_number_id:
            continue
        for message in value.messages:
            author = _author(message, value.contacts) if isinstance(message, Message) else None
            if author is not None:
                yield Heard(author, message)
        for status in value.statuses:
            if isinstance(status, Status):
                known = {c.wa_id: c.user_id for c in value.contacts if c.user_id}
                user_id = status.recipient_user_id or known.get(status.recipient_id, "")
                yield status.model_copy(update={"recipient_user_id": user_id})


def _author(message: Message, contacts: tuple[Contact, ...]) -> Author | None:
    """Contacts belong to the messages beside them: by number, or the only one."""
    contact = contacts[0] if contacts else _NOBODY
    for one in contacts:
        if one.wa_id and one.wa_id == message.from_:
            contact = one
            break
    wa_id = contact.wa_id or message.from_
    name = contact.name or contact.username or wa_id or contact.user_id
    return Author(contact.user_id, wa_id, name) if contact.user_id or wa_id else None


def file_name(kind: str, media: Media) -> str:
    return media.filename or _NAMES[kind]
